// Which statuses a route can answer, for the document. The common refusals are added here, so none is forgotten.
import type { z } from 'zod';
import { problemSchema } from './native/schemas.ts';

type Good = Readonly<Record<number, readonly [description: string, schema: z.ZodType | null, contentType?: string]>>;
type Declared = { description: string; content?: Record<string, { schema: z.ZodType }> };

const BAD: Readonly<Record<number, string>> = {
  400: 'The request is malformed: shape, JSON, cursor, id or URL', 401: 'The signature is not valid, or not of whom this was granted to', 403: 'A browser sent this for another web site', 404: 'There is no such job, or it was deleted',
  405: 'The path has other methods; Allow names them', 408: 'The request did not arrive in time', 409: 'The status of the job forbids this',
  413: 'The body or the tree is too large', 414: 'The URL is too long', 415: 'The content type is not accepted', 421: 'This host name is not served here',
  422: 'A value is out of range', 429: 'This address has all the streams it may have; Retry-After says when to try again', 431: 'The headers are too large', 500: 'A defect of the server, or what was asked for is damaged on disk', 501: 'This server is not set up for it', 503: 'Too much is waiting, the disk is full, or the server is starting or stopping',
};
/** Refused before any route is asked, so every route has them. */
const EVERYWHERE = [400, 408, 414, 421, 431, 500] as const;

/** What a dialect refuses with, instead of problem+json. */
export interface RefusalSchema {
  readonly contentType: string;
  readonly schema: z.ZodType;
  /** Its status for one of the native ones, where that differs. */
  readonly statusOf: (status: number) => number;
}
/** Refused by Node's parser before a path is known: problem+json whatever the dialect. */
const UNREAD: ReadonlySet<number> = new Set([400, 408, 431]);

export function answersIn(dialect: RefusalSchema, good: Good, ...more: readonly number[]): Record<string, Declared> {
  const declared = answers(good);
  for (const status of [...EVERYWHERE, ...more]) {
    const own = dialect.statusOf(status);
    const content = { [dialect.contentType]: { schema: dialect.schema }, ...(UNREAD.has(own) ? { 'application/problem+json': { schema: problemSchema } } : {}) };
    declared[own] = { description: BAD[own] ?? 'Refused', content };
  }
  return declared;
}

export function answers(good: Good, ...more: readonly number[]): Record<string, Declared> {
  const declared: Record<string, Declared> = {};
  for (const [status, [description, schema, contentType]] of Object.entries(good)) {
    declared[status] = schema === null ? { description } : { description, content: { [contentType ?? 'application/json']: { schema } } };
  }
  for (const status of [...EVERYWHERE, ...more].sort((a, b) => a - b)) {
    declared[status] ??= { description: BAD[status] ?? 'Refused', content: { 'application/problem+json': { schema: problemSchema } } };
  }
  return declared;
}
