// The words of the operations dialect (snake case, its own status words, `kind` in every answer) and their translation.
// Pure: rows in, words out. What an operation is under the hood, a job, never shows here but as its id.
import { z } from 'zod';
import type { JsonObject } from '../../domain/grant.ts';
import { isFinal, type Job, type JobError, type JobStatus } from '../../domain/job.ts';
import { iso } from '../../orchestrator/final.ts';
import type { JobRecord } from '../../store/store.ts';
import { ADDRESS, SIGNATURE } from './signature.ts';

/** The newer of the two vocabularies that the personal server had: its clients know both, and this one names both waits. */
export const STATUS_WORDS = ['starting', 'processing', 'succeeded', 'failed', 'canceled'] as const;
export type StatusWord = (typeof STATUS_WORDS)[number];
export const STATUS_OF = {
  queued: 'starting', assigned: 'starting', running: 'processing', retry: 'processing', paused: 'starting',
  completed: 'succeeded', failed: 'failed', cancelled: 'canceled',
} as const satisfies Record<JobStatus, StatusWord>;

/** Lines in an answer: the seed's figure for a poll, and the most it allows. */
export const LINES_DEFAULT = 100;
export const LINES_MAX = 1_000;
const REQUEST_MAX = 100_000;

const signature = (allowShort: boolean) => z.string()
  .refine((text) => SIGNATURE.test(text) || (allowShort && text === '0x0000...000'), 'is not a signature: those are 0x and 130 hexadecimal digits')
  .meta({ minLength: 132, maxLength: 132, pattern: SIGNATURE.source });
/** @param isOpen development: the shortened signature that the documentation prints is a signature too */
export const createBody = (isOpen: boolean) => z.object({
  app_signature: signature(isOpen).describe('personal_sign (EIP-191) of the exact text of operation_request_json, by the grantee'),
  operation_request_json: z.string().min(2).max(REQUEST_MAX).describe('A JSON object as text: `{"permission_id": 4096, "operation"?: "…", "parameters"?: {…}}`'),
});
export const requestSchema = z.object({
  permission_id: z.int().min(1).max(Number.MAX_SAFE_INTEGER - 1), operation: z.string().max(64).nullish(), parameters: z.record(z.string(), z.unknown()).nullish(),
});
export const artifactListBody = (isOpen: boolean) => z.object({ operation_id: z.string().min(1).max(100), signature: signature(isOpen).describe('personal_sign of exactly `{"operation_id":"<id>"}`') });
export const artifactBody = (isOpen: boolean) => artifactListBody(isOpen).extend({ artifact_path: z.string().min(1).max(4_096) });
export const operationParams = z.object({ operation_id: z.string().min(1).max(100).describe('An operation id') });
export const linesQuery = z.strictObject({
  lines: z.string().refine((text) => /^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= LINES_MAX, `must be a whole number from 1 to ${LINES_MAX}`).transform(Number)
    .meta({ type: 'integer', minimum: 1, maximum: LINES_MAX, description: `Lines of output in the answer, the last ones; default ${LINES_DEFAULT}` }).optional(),
});
export const identityQuery = z.strictObject({ address: z.string().regex(ADDRESS, 'is not an address: those are 0x and 40 hexadecimal digits').describe('The user') });

const status = z.enum(STATUS_WORDS);
export const createdSchema = z.object({ kind: z.literal('OperationCreated'), id: z.string(), created_at: z.iso.datetime() });
export const statusSchema = z.object({
  kind: z.literal('OperationStatus'), id: z.string(), status, started_at: z.iso.datetime().nullable(), finished_at: z.iso.datetime().nullable(),
  result: z.object({ status: z.string(), summary: z.string(), artifacts: z.array(z.unknown()), logs: z.array(z.string()), log_count: z.int(), truncated: z.boolean() }).loose()
    .describe('What the agent answered, with the last lines of what it printed'),
  error: z.object({ code: z.string(), message: z.string() }).nullable().describe('Why it failed or was canceled'),
});
export const artifactsSchema = z.object({ kind: z.literal('ArtifactList'), operation_id: z.string(), artifacts: z.array(z.object({ path: z.string(), size: z.int(), content_type: z.string() })) });
export const identitySchema = z.object({ kind: z.literal('Identity'), user_address: z.string(), personal_server: z.object({ kind: z.literal('PersonalServer'), address: z.string(), public_key: z.string() }) });

/** What artifacts are asked for with: signed once, it serves the list and every download. */
export const artifactMessage = (operationId: string): string => JSON.stringify({ operation_id: operationId });

export interface Logs {
  readonly lines: readonly string[];
  readonly total: number;
  readonly truncated: boolean;
}

const when = (at: number | null): string | null => (at === null ? null : iso(at));
const errorOf = (error: JobError | null): { code: string; message: string } | null => (error === null ? null : { code: error.code, message: error.message });

const asObject = (value: unknown): JsonObject | null => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null);

/** The agent's own answer where it gave one; else its place, filled. Of a container it is what was printed, not what is known of the run. */
function resultOf({ job, result }: Pick<JobRecord, 'job' | 'result'>): JsonObject {
  const word = STATUS_OF[job.status];
  const value: unknown = result === null ? null : JSON.parse(result);
  const ran = job.type === 'container' ? asObject(value) : null;
  const answer = ran === null ? asObject(value) : asObject(ran['output']);
  const why = job.error === null || !isFinal(job.status) ? '' : `: ${job.error.message}`;
  const kept = ((ran?.['artifacts'] ?? []) as readonly { readonly path: string }[]).map(({ path }) => path);
  const whole = { status: word, summary: `Task is ${word}${why}`, result: ran === null && answer === null ? (value ?? {}) : {}, ...answer };
  return { ...whole, artifacts: Array.isArray(answer?.['artifacts']) ? answer['artifacts'] : kept, ...(ran === null ? {} : { exit_code: ran['exitCode'] ?? null }) };
}

/** Files by the names of this dialect: `out/`, where agents write, is left out unless that would make two of one. */
export function artifactNames(paths: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set(paths);
  return new Map(paths.map((path) => { const short = path.replace(/^out\//, ''); return [taken.has(short) ? path : short, path]; }));
}

export const createdText = (job: Pick<Job, 'id' | 'createdAt'>): string => JSON.stringify({ kind: 'OperationCreated', id: job.id, created_at: iso(job.createdAt) });

export function statusText(record: Pick<JobRecord, 'job' | 'result'>, logs: Logs): string {
  const { job } = record;
  return JSON.stringify({
    kind: 'OperationStatus', id: job.id, status: STATUS_OF[job.status], started_at: when(job.startedAt), finished_at: when(job.endedAt),
    result: { ...resultOf(record), logs: logs.lines, log_count: logs.total, truncated: logs.truncated }, error: errorOf(job.error),
  });
}

/** The last message of a stream: the result without its lines, which came before. */
export const completeText = (record: Pick<JobRecord, 'job' | 'result'>): string =>
  JSON.stringify({ type: 'complete', status: STATUS_OF[record.job.status], result: resultOf(record), error: errorOf(record.job.error) });
