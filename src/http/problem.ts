// Every refusal this server answers: the one table from codes to status, and the RFC 9457 body made from it.
// Nothing here knows which route refused; dialects with an envelope of their own read the same table.
import { DomainError, type ErrorCode } from '../domain/errors.ts';

/** Refusals that only HTTP knows. */
export const HTTP_CODES = [
  'malformed_body', 'invalid_request', 'cross_site', 'no_such_route', 'method_not_allowed', 'request_timeout',
  'body_too_large', 'uri_too_long', 'unsupported_media_type', 'misdirected', 'headers_too_large', 'internal',
  'unauthenticated', 'forbidden', 'not_configured', 'too_many_streams',
] as const;
export type ProblemCode = ErrorCode | (typeof HTTP_CODES)[number];

interface Row {
  readonly status: number;
  readonly title: string;
  /** Said when the refusal itself has no better advice. */
  readonly hint: string;
}

export const PROBLEMS: Readonly<Record<ProblemCode, Row>> = {
  malformed_body: { status: 400, title: 'The body is not acceptable JSON', hint: 'Send one UTF-8 JSON value without duplicate keys.' },
  invalid_request: { status: 400, title: 'The request has the wrong shape', hint: 'Compare it with the schema in /openapi.json.' },
  cross_site: { status: 403, title: 'Changes from other web sites are refused', hint: 'Call the API from a program, or from a page that this server delivers.' },
  not_found: { status: 404, title: 'There is no such thing', hint: 'Check the id; a deleted job is gone for good.' },
  no_such_route: { status: 404, title: 'There is no such path', hint: 'GET /docs lists every path.' },
  forbidden: { status: 403, title: 'This is not yours to see', hint: 'Sign with the key of the grantor or the grantee.' },
  unauthenticated: { status: 401, title: 'The signature is not valid', hint: 'Sign the exact text with personal_sign (EIP-191).' },
  not_granted: { status: 401, title: 'The signer has no such permission', hint: 'Sign with the key of the grantee.' },
  grant_invalid: { status: 422, title: 'The permission does not allow this', hint: 'Look at it: GET /api/grants/{id}.' },
  not_configured: { status: 501, title: 'This server is not set up for that', hint: 'See the configuration in the README.' },
  method_not_allowed: { status: 405, title: 'This path has no such method', hint: 'The Allow header names the methods it has.' },
  request_timeout: { status: 408, title: 'The request took too long to arrive', hint: 'Send headers within 10 s and the body within 30 s.' },
  conflict: { status: 409, title: 'The status of the job forbids this', hint: 'GET the job and look at its status.' },
  lease_lost: { status: 409, title: 'This attempt is over', hint: 'Stop working on it; somebody else has it, or it has ended.' },
  sealed: { status: 409, title: 'The batch takes no more children', hint: 'Create batches that grow with "sealed": false.' },
  body_too_large: { status: 413, title: 'The body is too large', hint: 'POST /api/jobs takes 1 MiB, POST /api/jobs/bulk 16 MiB; send several requests.' },
  too_large: { status: 413, title: 'Too much at once', hint: 'Send it in several parts.' },
  uri_too_long: { status: 414, title: 'The URL is too long', hint: 'Shorten the path or the query.' },
  unsupported_media_type: { status: 415, title: 'The content type is not accepted', hint: "Send -H 'Content-Type: application/json' (bulk also takes application/x-ndjson)." },
  misdirected: { status: 421, title: 'This host name is not served here', hint: 'Use the address the server listens on, or name this host in MUSTER_ALLOWED_HOSTS.' },
  invalid: { status: 422, title: 'A value is out of range', hint: 'The errors name each value and its bounds.' },
  idempotency_mismatch: { status: 422, title: 'The Idempotency-Key stands for another body', hint: 'Use a new key for new work.' },
  too_many_streams: { status: 429, title: 'This address has too many streams', hint: 'Close streams you do not read; one stream of a tree, or of everything, tells of all jobs in it.' },
  headers_too_large: { status: 431, title: 'The headers are too large', hint: 'Headers may have 16 KiB in all.' },
  internal: { status: 500, title: 'The server failed', hint: 'This is a defect; the log has the details under the request id.' },
  damaged: { status: 500, title: 'The disk changed what is stored here', hint: 'Restore the newest backup beside the damaged file. Everything else goes on; a job that is in the way can be cancelled and deleted.' },
  overloaded: { status: 503, title: 'Too much is waiting', hint: 'Try again after the seconds in Retry-After.' },
  storage_full: { status: 503, title: 'The disk is full', hint: 'Reads work; free space on the disk, then try again.' },
  unavailable: { status: 503, title: 'The server is starting, stopping or has failed', hint: 'Try again after the seconds in Retry-After; GET /ready tells why.' },
};

/** For an envelope that has no list of errors to point to. */
export const hintWithoutErrors = ({ hint }: { readonly hint: string }): string => (hint === PROBLEMS.invalid.hint ? PROBLEMS.invalid_request.hint : hint);

/** For whoever runs the server; the client is told which part. */
export const FILE_DAMAGED = 'the database file is damaged: keep it, and restore the newest backup beside it';

/** Seconds a client should wait; a disk takes longer to be freed than a queue to drain, and streams are open for long. */
export const RETRY_AFTER: Partial<Record<ProblemCode, number>> = { overloaded: 1, storage_full: 10, unavailable: 5, too_many_streams: 10 };

/** A refusal of one field: where (JSON Pointer, or the name of a parameter) and what. */
export interface FieldError {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

/** Thrown by http code for refusals that the domain does not know. */
export class Refusal extends Error {
  readonly code: ProblemCode;
  readonly hint: string | undefined;
  readonly errors: readonly FieldError[] | undefined;

  constructor(code: ProblemCode, detail: string, more: { hint?: string; errors?: readonly FieldError[] } = {}) {
    super(detail);
    this.name = 'Refusal';
    this.code = code;
    this.hint = more.hint;
    this.errors = more.errors;
  }
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly hint: string;
  readonly errors?: readonly FieldError[];
  readonly requestId?: string;
  readonly [fact: string]: unknown;
}

export function problem(code: ProblemCode, detail: string, more: { hint?: string | undefined; errors?: readonly FieldError[] | undefined; facts?: Record<string, unknown> } = {}): Problem {
  const row = PROBLEMS[code];
  return {
    ...more.facts, type: `/docs#${code}`, title: row.title, status: row.status, detail, code, hint: more.hint ?? row.hint,
    ...(more.errors === undefined ? {} : { errors: more.errors }),
  };
}

/** Codes of Fastify and Node that stand for a bad request, not for a defect of ours. */
const FOREIGN: Readonly<Record<string, { code: ProblemCode; detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'body_too_large', detail: 'The body is over the limit of this path.' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', detail: 'This path does not take a body of that content type.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'malformed_body', detail: 'The body does not have the length that Content-Length says.' },
  FST_ERR_CTP_EMPTY_TYPE: { code: 'unsupported_media_type', detail: 'The body has no content type.' },
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: { code: 'unsupported_media_type', detail: 'The body has no content type.' },
  FST_ERR_BAD_URL: { code: 'invalid_request', detail: 'The path has a percent sign that is not followed by two hexadecimal digits of valid UTF-8.' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'uri_too_long', detail: 'A part of the path is longer than 100 characters.' },
  ECONNRESET: { code: 'malformed_body', detail: 'The connection ended before the body did.' },
};

/** What to answer for anything that was thrown, or null if it is a defect of ours. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof Refusal) return problem(error.code, error.message, { hint: error.hint, errors: error.errors });
  if (error instanceof DomainError) {
    const { hint, status, ...facts } = error.details; // of a job; the problem's own is HTTP's
    return problem(error.code, error.message, { hint, facts: status === undefined ? facts : { ...facts, jobStatus: status } });
  }
  const { code, statusCode, message } = error as { code?: unknown; statusCode?: unknown; message?: string };
  const known = typeof code === 'string' ? FOREIGN[code] : undefined;
  if (known !== undefined) return problem(known.code, known.detail);
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return problem('invalid_request', message ?? 'The request is malformed.');
  return null;
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';
