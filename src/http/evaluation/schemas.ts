// The words of evaluations as zod: what is taken, what is answered. Foreign words (useCase, testCase, experimentId) end here.
import { z } from 'zod';
import { RUN_MAX } from '../../domain/evaluation/plan.ts';
import { STEP_TYPES } from '../../domain/evaluation/steps.ts';

/** A prompt with a page of context each; a case larger than this is a document and belongs behind a link. */
const TEXT_MAX = 100_000;
const NAME_MAX = 500;

export const DOC_ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;
const docId = z.string().regex(DOC_ID, 'has 1 to 128 letters, digits, _ . : or -');
const name = z.string().trim().min(1).max(NAME_MAX);
const text = (max: number) => z.string().max(max);
const httpUrl = z.string().min(1).max(2_048);
const headers = z.record(z.string(), z.string().max(4_096)).describe('Sent along; kept apart and never shown again');
const ms = (what: string, max: number) => z.int().min(1).max(max).describe(`${what}, ms`);
const HOUR = 3_600_000;

/** Files of the seed's kind name it `{type, content}`; both mean the same. */
const contextItem = z.union([
  z.strictObject({ description: text(TEXT_MAX), value: text(TEXT_MAX) }),
  z.strictObject({ type: text(NAME_MAX), content: text(TEXT_MAX) }).transform(({ type, content }) => ({ description: type, value: content })),
]);
const expectedStep = z.strictObject({ step: z.int().min(0).max(10_000).optional(), description: text(5_000), requiredTools: z.array(text(NAME_MAX)).max(100).optional() });
const tool = z.strictObject({ name: text(NAME_MAX).min(1), description: text(5_000).optional(), parameters: z.unknown().optional() });

export const testCaseBody = z.strictObject({
  id: docId.optional().describe('Made up if absent'), name, description: text(5_000).optional(), category: text(NAME_MAX).optional(), difficulty: text(NAME_MAX).optional(),
  labels: z.array(text(NAME_MAX)).max(100).optional(), tags: z.array(text(NAME_MAX)).max(100).optional(),
  initialPrompt: text(TEXT_MAX).min(1), context: z.array(contextItem).max(100).default([]), tools: z.array(tool).max(100).optional(),
  expectedOutcomes: z.array(text(5_000)).max(100).optional(), expectedTrajectory: z.array(expectedStep).max(100).optional(), isPromoted: z.boolean().optional(),
}).describe('A test case ("use case"): what the agent is asked and what is expected of it');
export type TestCaseBody = z.output<typeof testCaseBody>;

export const experimentBody = z.strictObject({
  id: docId.optional(), name, description: text(5_000).optional(), testCaseIds: z.array(docId).max(RUN_MAX).default([]).describe('In the order in which they run'),
});

export const agentBody = z.strictObject({
  key: docId.describe('The agentKey of runs'), name: name.optional(), description: text(5_000).optional(), endpoint: httpUrl.describe('Its AG-UI endpoint'), headers: headers.optional(),
  concurrency: z.int().min(1).max(1_000).optional().describe('Runs at once; default 10'),
  timeouts: z.strictObject({ first: ms('Until the first event', HOUR).optional(), silence: ms('Between two events', HOUR).optional(), total: ms('The whole run', 24 * HOUR).optional() }).optional(),
});

export const modelBody = z.strictObject({
  id: docId.describe('The modelId of runs'), name: name.optional(), description: text(5_000).optional(), kind: z.enum(['openai', 'rules']).default('openai'),
  baseUrl: httpUrl.optional().describe('Of an OpenAI-compatible API: what stands before /chat/completions'), model: text(NAME_MAX).optional().describe('What the provider calls it; default the id'),
  apiKey: text(4_096).min(1).optional().describe('Kept apart and never shown again'), headers: headers.optional(), timeout: ms('One question', 600_000).optional(),
  maxAttempts: z.int().min(1).max(100).optional().describe('Default 10'), concurrency: z.int().min(1).max(1_000).optional().describe('Questions at once; default 4'),
  prices: z.strictObject({ input: z.number().min(0).max(1e6), output: z.number().min(0).max(1e6) }).optional().describe('Per million tokens'),
}).refine((body) => body.kind === 'rules' || body.baseUrl !== undefined, { message: 'is required for an openai model', path: ['baseUrl'] });

const limits = z.strictObject({
  time: ms('Whole run of the agent', 24 * HOUR).optional(), steps: z.int().min(1).max(10_000).optional(), tokens: z.int().min(1).max(1e9).optional(), cost: z.number().min(0).max(1e9).optional(),
}).describe('Of each case. One that is reached ends the agent; what it had done is scored');
export const runConfig = z.strictObject({
  name, description: text(5_000).optional(), agentKey: docId, modelId: docId, agentEndpoint: httpUrl.optional(), headers: headers.optional(),
  onRestart: z.enum(['pause', 'resume']).optional().describe('What a restart of the server does to a run under way; default pause'),
  width: z.int().min(1).max(1_000).optional().describe('Cases at once; default 1'), repetitions: z.int().min(1).max(100).optional().describe('Of each case; default 1'),
  limits: limits.optional(), maxErrorRate: z.number().min(0).max(1).optional().describe('The run stops once a larger part of its cases ended without a score'),
  baseline: z.strictObject({ jobId: z.string().regex(/^job_[0-9a-z]{26}$/, 'is not a job id'), tolerance: z.number().min(0).max(100).optional().describe('Points of accuracy; default 5') }).optional(),
});
export const experimentSubmit = z.strictObject({ experimentId: docId, runConfig }).describe('A run of a stored experiment. It is held: POST /api/jobs/{id}/start starts it');

export const testBody = z.strictObject({ testCaseId: docId, agentKey: docId, modelId: docId.optional() });
export const rejudgeBody = z.strictObject({ modelId: docId.optional() }).nullish();
const step = z.looseObject({ type: z.enum(STEP_TYPES), content: z.string().max(1_048_576) });
export const judgeBody = z.strictObject({
  trajectory: z.array(step).max(10_000), expectedOutcomes: z.array(text(5_000)).max(100).optional(), expectedTrajectory: z.array(expectedStep).max(100).optional(),
  logs: z.array(z.unknown()).max(1_000).optional(), modelId: docId.optional(),
}).refine((body) => (body.expectedOutcomes?.length ?? 0) + (body.expectedTrajectory?.length ?? 0) > 0, { message: 'is required: expectedOutcomes or expectedTrajectory', path: ['expectedOutcomes'] });

const list = <T extends z.ZodType>(item: T) => z.union([z.array(item).min(1).max(1_000), z.strictObject({ items: z.array(item).min(1).max(1_000) }).transform(({ items }) => items)])
  .describe('A list, or {"items": list}; application/x-ndjson has one a line');
export const importBodies = { 'test-cases': list(testCaseBody), experiments: list(experimentBody), agents: list(agentBody), models: list(modelBody) } as const;

/** A report as it was exported; what is computed of it is not read. */
export const reportImport = list(z.looseObject({
  id: docId, testCaseId: docId, testCaseName: text(NAME_MAX).optional(), trajectory: z.array(step).max(10_000).default([]), rawEvents: z.array(z.unknown()).max(200_000).optional(),
  passFailStatus: z.enum(['passed', 'failed']).nullish(), metrics: z.looseObject({ accuracy: z.number().min(0).max(100) }).optional(), llmJudgeReasoning: text(TEXT_MAX).optional(),
}));
export type ReportImport = z.output<typeof reportImport>[number];

// Parameters.
const number = (min: number, max: number, what: string) => z.string()
  .refine((digits) => /^\d{1,15}$/.test(digits) && Number(digits) >= min && Number(digits) <= max, `must be a whole number from ${min} to ${max}`)
  .transform(Number).meta({ type: 'integer', minimum: min, maximum: max, description: what });
const cursor = z.string().transform((given, context): number => {
  const value = /^d[0-9a-z]{1,11}$/.test(given) ? Number.parseInt(given.slice(1), 36) : Number.NaN;
  if (!Number.isSafeInteger(value)) context.addIssue({ code: 'custom', message: 'is not a cursor of this list; pass nextCursor as it came' });
  return value;
}).meta({ description: 'nextCursor of the page before' });
export const encodeCursor = (value: number | null): string | null => (value === null ? null : `d${value.toString(36)}`);
const flag = (what: string) => z.enum(['true', 'false', '1', '0']).transform((word) => word === 'true' || word === '1').meta({ description: what }).optional();
const runId = z.string().regex(/^job_[0-9a-z]{26}$/, 'is not a job id: those look like job_01jv5x9k3qf0bsx1r4y7m2n8ga');

export const docParams = z.strictObject({ id: docId });
export const runParams = z.strictObject({ id: runId });
export const pageQuery = z.strictObject({ limit: number(1, 200, 'Items in one page; default 50').optional(), cursor: cursor.optional() });
export const versionQuery = z.strictObject({ version: number(1, 1e9, 'An earlier version; default the newest').optional() });
export const exportQuery = z.strictObject({ format: z.enum(['json', 'jsonl']).optional() });
export const reportsQuery = z.strictObject({ limit: number(1, 200, 'Items in one page; default 50').optional(), cursor: cursor.optional(), jobId: runId.optional().describe('Of one run'), testCaseId: docId.optional() })
  .refine((query) => query.jobId === undefined || query.testCaseId === undefined, 'jobId and testCaseId exclude each other');
export const reportsExport = z.strictObject({ format: z.enum(['json', 'jsonl']).optional(), jobId: runId.optional().describe('Of one run; default all'), raw: flag('With the raw events') });
export const reportQuery = z.strictObject({ raw: flag('With the raw events') });
export const comparisonQuery = z.strictObject({ baseline: runId.describe('The run to compare with'), tolerance: number(0, 100, 'Points of accuracy; default 5').optional() });
export const htmlQuery = z.strictObject({ baseline: runId.optional(), download: flag('As a file') });

// Answers.
const instant = z.string().describe('ISO 8601, UTC');
export const documentSchema = z.looseObject({ id: z.string(), name: z.string(), version: z.int(), createdAt: instant, updatedAt: instant });
export const pageSchema = (key: string, item: z.ZodType) => z.object({ [key]: z.array(item), nextCursor: z.string().nullable() });
export const importedSchema = z.object({ ids: z.array(z.string()) });
export const removedSchema = z.object({ deleted: z.int().describe('Versions that are gone') });
const spread = z.object({ n: z.int(), mean: z.number(), sd: z.number(), min: z.number(), max: z.number() }).nullable();
export const figuresSchema = z.object({
  total: z.int(), passed: z.int(), failed: z.int(), errors: z.int(), accuracy: spread, passRate: z.number().nullable(), tokens: z.number(), cost: z.number(),
  cases: z.array(z.object({ useCaseId: z.string(), runs: z.int(), passed: z.int(), failed: z.int(), errors: z.int(), accuracy: spread })),
});
export const comparisonSchema = z.object({
  verdict: z.enum(['PASS', 'FAIL', 'UNSURE']), reason: z.string(), tolerance: z.number(), difference: z.object({ mean: z.number(), low: z.number(), high: z.number() }).nullable(),
  cases: z.array(z.object({ useCaseId: z.string(), before: z.number().nullable(), after: z.number().nullable(), difference: z.number().nullable(), change: z.enum(['better', 'worse', 'same', 'added', 'removed', 'unscored']) })),
});
export const reportSchema = z.looseObject({
  id: z.string(), createdAt: instant, testCaseId: z.string(), status: z.enum(['completed', 'failed']), passFailStatus: z.enum(['passed', 'failed']).nullable(),
  metricsStatus: z.enum(['ready', 'pending']), metrics: z.looseObject({ accuracy: z.number() }), llmJudgeReasoning: z.string(),
});
export const testAnswer = z.looseObject({
  trajectory: z.array(z.looseObject({ type: z.enum(STEP_TYPES), content: z.string() })), metrics: z.looseObject({ accuracy: z.number() }), status: z.enum(['completed', 'failed', 'running']), runId: z.string().nullable(), reportId: z.string(),
});
export const judgeAnswer = z.object({
  passFailStatus: z.enum(['passed', 'failed']), metrics: z.looseObject({ accuracy: z.number() }), llmJudgeReasoning: z.string(), improvementStrategies: z.array(z.unknown()), duration: z.number(),
}).loose();
export const startedSchema = z.object({ jobId: z.string(), reportId: z.string() });

const caseResult = z.object({ reportId: z.string(), status: z.enum(['pending', 'running', 'completed', 'failed']), reportIds: z.array(z.string()).optional() });
/** What an experiment's job has besides the native fields; `error` is the seed's: its message. */
export const experimentJobSchema = z.object({
  success: z.literal(true).optional().describe('In answers to start, pause, resume and cancel'), experimentId: z.string(), experimentName: z.string(), runConfig: z.record(z.string(), z.unknown()), useCaseIds: z.array(z.string()),
  currentUseCaseIndex: z.int(), currentUseCaseId: z.string().nullable(), results: z.record(z.string(), caseResult), pausedAt: instant.nullable(), completedAt: instant.nullable(), experimentRunId: z.string().nullable(),
  error: z.string().nullable(), failure: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).nullable(),
});
export const experimentEventSchema = z.object({ type: z.enum(['job:status', 'job:progress', 'job:trajectory', 'job:complete', 'job:error']), jobId: z.string(), timestamp: z.int().describe('Epoch ms'), data: z.record(z.string(), z.unknown()) });
