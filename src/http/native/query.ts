// Parameters of paths and queries: numbers, lists and cursors out of strings, each with its bounds.
import { z } from 'zod';
import { STATUSES, type JobStatus } from '../../domain/job.ts';
import { MAX_WAIT } from '../../orchestrator/wait.ts';
import { jobId } from './schemas.ts';

/** A decimal number in a query. The document shows it as the number it is. */
export function number(min: number, max: number, what: string) {
  return z.string()
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .meta({ type: 'integer', minimum: min, maximum: max, description: what });
}

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 200;
export const pageLimit = number(1, MAX_LIMIT, `Items in one page; default ${DEFAULT_LIMIT}`).optional();

const statusList = z.string().max(200).transform((text, context): JobStatus[] => {
  const words = text.split(',');
  const bad = words.find((word) => !(STATUSES as readonly string[]).includes(word));
  if (bad !== undefined) context.addIssue({ code: 'custom', message: `has the unknown status ${JSON.stringify(bad.slice(0, 40))}; there are ${STATUSES.join(', ')}` });
  return words as JobStatus[];
}).meta({ description: `One status or several with commas: ${STATUSES.join(', ')}`, example: 'queued,running' });

/** Opaque to clients: a letter for the kind of list and a number in base 36. */
export function pageCursor(kind: string) {
  return z.string().transform((text, context): number => {
    const value = text.startsWith(kind) && /^[0-9a-z]{1,11}$/.test(text.slice(1)) ? Number.parseInt(text.slice(1), 36) : Number.NaN;
    if (!Number.isSafeInteger(value)) context.addIssue({ code: 'custom', message: 'is not a cursor of this list; pass nextCursor as it came' });
    return value;
  }).meta({ description: 'nextCursor of the page before' });
}
export const encodeCursor = (kind: string, value: number | null): string | null => (value === null ? null : kind + value.toString(36));

/** The cursor of the log, as SSE ids have it: decimal. */
export const eventCursor = number(0, Number.MAX_SAFE_INTEGER, 'Only what came after this cursor');

const word = (max: number, what: string) => z.string().min(1).max(max).refine((text) => !text.includes('\0') && text.isWellFormed(), 'has characters that no job can have').describe(what);

export const idParams = z.strictObject({ id: jobId });
export const typeParams = z.strictObject({ type: z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'is not the name of a job type') });
export const listQuery = z.strictObject({
  status: statusList.optional(), type: word(64, 'Job type').optional(), parent: jobId.optional(), root: jobId.optional(), tag: word(128, 'A tag').optional(),
  text: word(200, 'Looked for in id, type and the first 4,096 characters of the input (as JSON text); upper and lower case of ASCII are the same').optional(), limit: pageLimit, cursor: pageCursor('j').optional(),
});
export const childrenQuery = z.strictObject({ status: statusList.optional(), limit: pageLimit, cursor: pageCursor('c').optional() });
export const waitQuery = z.strictObject({ wait: number(0, MAX_WAIT / 1_000, 'Seconds to wait for the end of the job').optional() });
export const eventsQuery = z.strictObject({ after: eventCursor.optional(), limit: number(1, 1_000, 'Events in one page; default 200').optional() });
export const logsQuery = z.strictObject({
  tail: number(1, 10_000, 'Only the last lines').optional(), offset: number(0, 1_000_000_000, 'Lines to skip').optional(),
  limit: number(1, 10_000, 'Lines in one answer; default 1000').optional(),
  download: z.enum(['true', 'false', '1', '0', '']).transform((text) => text !== 'false' && text !== '0').meta({ description: 'Everything, as a file' }).optional(),
  format: z.enum(['text', 'json']).optional(),
  stream: z.enum(['stdout', 'stderr', 'log']).optional().describe('Only what was printed there; log: what Muster and handlers said'),
}).refine((query) => query.tail === undefined || query.offset === undefined, 'tail and offset exclude each other');
