// The native API's words as zod: validation, OpenAPI and the types all come from here.
// What a type accepts as input comes from the handlers' registry; everything else is the same for all.
import { z } from 'zod';
import { CHILD_FAILURE_RULES, JOB_ERROR_CODES, PARENT_CANCEL_RULES, STATES, STATUSES } from '../../domain/job.ts';
import { EVENT_TYPES } from '../../domain/event.ts';
import { DEFAULT_BACKOFF } from '../../domain/policy.ts';
import { MAX_CHILDREN, MAX_TREE } from '../../domain/decide-submit.ts';
import { MAX_CONCURRENCY } from '../../orchestrator/capacity.ts';
import { REASON_CODES } from '../../orchestrator/explain.ts';

/** Longest duration, ms: beyond a year nobody waits for an answer, and sums stay far from the bounds of a date. */
export const YEAR = 365 * 24 * 3_600_000;
export const JOB_ID = /^job_[0-9a-z]{26}$/;

const duration = (what: string, min = 1) => z.int().min(min).max(YEAR).describe(`${what}, ms`);
export const jobId = z.string().regex(JOB_ID, 'is not a job id: those look like job_01jv5x9k3qf0bsx1r4y7m2n8ga').describe('A job id');

export const backoff = z.strictObject({
  kind: z.enum(['exponential', 'linear', 'fixed']),
  base: duration('First delay', 0).default(DEFAULT_BACKOFF.base),
  cap: duration('Longest delay', 0).default(DEFAULT_BACKOFF.cap),
  jitter: z.boolean().default(DEFAULT_BACKOFF.jitter).describe('Draw each delay from its upper half, so that failures do not return in step'),
});

export const completion = z.union([
  z.enum(['all', 'any']),
  z.strictObject({ count: z.int().min(1).max(MAX_CHILDREN) }),
  z.strictObject({ percent: z.int().min(1).max(100) }),
]).describe('When the batch is a success: all of its children, any one, a count or a percentage of them');

const common = z.strictObject({
  priority: z.int().min(1).max(10).optional().describe('10 goes first; default 5, or the parent\'s'),
  tags: z.array(z.string().min(1).max(128)).max(64).optional(),
  delay: duration('Start this long after submission', 0).optional(),
  dueAt: z.iso.datetime({ offset: true }).optional().describe('Start at this instant'),
  hold: z.boolean().optional().describe('Do not start before POST /api/jobs/{id}/start'),
  ttl: duration('Fails with ttl_expired if it still waits this long after submission').optional(),
  timeout: duration('Longest run of one attempt; it is then tried again').optional(),
  deadline: duration('Longest life of the whole job; a running attempt is cut').optional(),
  maxAttempts: z.int().min(1).max(100).optional().describe('Failed attempts before the job fails; default 4'),
  backoff: backoff.optional().describe('How long failed attempts wait'),
  callback: z.string().min(1).max(2_048).optional().describe('URL that gets the final body by POST when the job has ended'),
});
const batchOnly = z.strictObject({
  width: z.int().min(1).max(10_000).optional().describe('Children open at once; 1 makes a sequence'),
  completion: completion.optional(),
  onChildFailure: z.enum(CHILD_FAILURE_RULES).optional(),
  onParentCancel: z.enum(PARENT_CANCEL_RULES).optional(),
  sealed: z.boolean().optional().describe('false: children may still be added, and the batch does not end before it is sealed'),
});

/** A body of POST /api/jobs once it is validated. */
export interface Submit extends z.output<typeof common>, z.output<typeof batchOnly> {
  readonly type: string;
  readonly input?: unknown;
  readonly parentId?: string | undefined;
  readonly children?: readonly Submit[];
}

export type Inputs = Readonly<Record<string, z.ZodType>>;
const EMPTY_OK = (input: z.ZodType): z.ZodType => (input.safeParse({}).success ? input.optional() : input);

export interface SubmitSchemas {
  readonly submit: z.ZodType<Submit>;
  /** A child cannot name another parent. */
  readonly child: z.ZodType<Submit>;
  readonly bulk: z.ZodType<{ jobs: Submit[] }>;
}

/** Submit and a list of them, for the types that this process runs. */
export function submitSchemas(inputs: Inputs): SubmitSchemas {
  const types = Object.keys(inputs);
  const unknownType = {
    error: (issue: { code?: string | undefined; input?: unknown }) => {
      if (issue.code !== 'invalid_union') return undefined;
      const isGiven = typeof (issue.input as { type?: unknown } | undefined)?.type === 'string';
      return `${isGiven ? 'must be' : 'is required:'} one of ${types.join(', ')}`;
    },
  };
  const variants = (top: { parentId?: z.ZodType }): [z.ZodObject, ...z.ZodObject[]] =>
    types.map((type) => {
      const own = { type: z.literal(type), input: EMPTY_OK(inputs[type] ?? z.unknown()), ...common.shape, ...top };
      return type === 'batch'
        ? z.strictObject({ ...own, ...batchOnly.shape, get children() { return z.array(child).max(MAX_TREE).optional(); } })
        : z.strictObject(own);
    }) as unknown as [z.ZodObject, ...z.ZodObject[]];
  const child: z.ZodType = z.discriminatedUnion('type', variants({}), unknownType);
  const parentId = jobId.optional().describe('An unsealed batch to add this to');
  const submit: z.ZodType = z.discriminatedUnion('type', variants({ parentId }), unknownType);
  const bulk = z.strictObject({ jobs: z.array(submit).min(1).max(MAX_TREE) });
  return { submit: submit as z.ZodType<Submit>, child: child as z.ZodType<Submit>, bulk: bulk as unknown as z.ZodType<{ jobs: Submit[] }> };
}

export const patch = z.strictObject({
  priority: z.int().min(1).max(10).optional(),
  tags: common.shape.tags,
  timeout: duration('Longest run of one attempt; null = the type\'s').nullable().optional(),
  ttl: duration('Counted from creation; null = none').nullable().optional(),
  deadline: duration('Counted from creation; null = none').nullable().optional(),
  sealed: z.literal(true).optional().describe('The batch has all its children'),
}).refine((body) => Object.keys(body).length > 0, 'names nothing to change');

export const cancelBody = z.strictObject({ reason: z.string().min(1).max(1_000).optional() }).nullish();
export const noBody = z.strictObject({}).nullish();
export const concurrencyBody = z.strictObject({ concurrency: z.int().min(0).max(MAX_CONCURRENCY) });

// What is answered. Described here, checked by the tests; the hot paths write it as text.
const instant = z.iso.datetime().describe('UTC');
export const jobError = z.object({ code: z.enum(JOB_ERROR_CODES), message: z.string(), retryable: z.boolean() });
const status = z.enum(STATUSES);
const state = z.enum(STATES).describe('PENDING until the job has ended');
const attempt = z.object({
  number: z.int(), outcome: z.enum(['completed', 'failed', 'timed_out', 'interrupted', 'cancelled']).nullable().describe('null while it runs'),
  startedAt: instant, endedAt: instant.nullable(), error: jobError.nullable(), agentId: z.string().optional(),
  run: z.record(z.string(), z.unknown()).optional().describe('What is known of a run outside of the server: of a container its exit code, image and times'),
});
export const jobSchema = z.object({
  id: jobId, type: z.string(), status, state, priority: z.int(), tags: z.array(z.string()), input: z.unknown(), result: z.unknown(), error: jobError.nullable(),
  attempt: z.int().describe('Attempts begun'), maxAttempts: z.int(), attempts: z.array(attempt).describe('Oldest first; at most the newest 100'),
  parentId: jobId.nullable(), rootId: jobId, ordinal: z.int().nullable(),
  children: z.object({ total: z.int(), open: z.int(), completed: z.int(), failed: z.int(), cancelled: z.int() }).nullable(),
  progress: z.number().min(0).max(1).nullable(), createdAt: instant, startedAt: instant.nullable(), endedAt: instant.nullable(), dueAt: instant.nullable(),
  options: z.record(z.string(), z.unknown()).describe('What the submitter chose: ttl, timeout, deadline, maxAttempts, backoff, callback, width …'),
  cursor: z.string().describe('Events after this cursor are not in this picture yet: pass it as ?after='),
});
export const submitAnswer = z.union([jobSchema, z.strictObject({ id: jobId }).describe('With Prefer: return=minimal')]);
export const jobListSchema = z.object({
  jobs: z.array(jobSchema), nextCursor: z.string().nullable(),
  damaged: z.array(z.object({ id: z.string(), detail: z.string() })).optional().describe('Jobs of this page that are left out, for what the disk holds of them is not what was stored; absent where there are none'),
});
export const bulkAnswer = z.object({ ids: z.array(jobId).describe('In the order they were sent; roots only') });
export const eventSchema = z.object({ type: z.enum(EVENT_TYPES), jobId, timestamp: instant, data: z.record(z.string(), z.unknown()) });
export const eventListSchema = z.object({ events: z.array(eventSchema), nextCursor: z.string(), more: z.boolean(), reset: z.boolean().describe('Events after the cursor asked for were dropped long ago; the oldest kept come first') });
export const explainSchema = z.object({
  jobId, status, runnable: z.boolean(),
  reasons: z.array(z.object({ code: z.enum(REASON_CODES), message: z.string(), unblock: z.string() })),
});
export const logSchema = z.object({ 
  lines: z.array(z.string()), streams: z.array(z.enum(['stdout', 'stderr', 'log'])).describe('Where each line was printed'),
  offset: z.int().describe('Number of the first line, from 0'), nextOffset: z.int().nullable(), total: z.int().nullable().describe('Lines kept; null when only reading on would tell'),
  truncated: z.boolean(), droppedLines: z.int(), droppedBytes: z.int(),
});
export const artifactListSchema = z.object({ artifacts: z.array(z.object({ path: z.string(), size: z.int(), contentType: z.string() })) });
export const typeSchema = z.object({ type: z.string(), limit: z.int(), running: z.int(), ready: z.boolean().describe('At least one job waits for a turn') });
export const typeListSchema = z.object({ types: z.array(typeSchema) });
export const problemSchema = z.object({
  type: z.string(), title: z.string(), status: z.int(), detail: z.string(), code: z.string(), hint: z.string(), error: z.string().optional().describe('The detail again, for clients of the evaluation contract'), requestId: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string().optional(), parameter: z.string().optional(), detail: z.string() })).optional(),
}).loose().describe('RFC 9457; `code` is for programs, `hint` says what to do');
