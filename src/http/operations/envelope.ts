// How this dialect says no: `{"detail": {"kind", "detail", "error_code", "field"}}`, for every refusal under its prefix.
import { z } from 'zod';
import type { RefusalSchema } from '../answers.ts';
import type { Envelope } from '../deps.ts';
import { hintWithoutErrors, type Problem, type ProblemCode } from '../problem.ts';

export const PREFIX = '/api/v1/';

const JSON_TYPE = 'application/json; charset=utf-8';
/** Any page may read what this dialect answers; no cookie or other credential is ever looked at. */
export const ANY_ORIGIN = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'x-request-id, retry-after, content-disposition' } as const;

const CODE = {
  malformed_body: 'VALIDATION_ERROR', invalid_request: 'VALIDATION_ERROR', invalid: 'VALIDATION_ERROR', headers_too_large: 'VALIDATION_ERROR', uri_too_long: 'VALIDATION_ERROR',
  unauthenticated: 'AUTHENTICATION_ERROR', not_granted: 'AUTHENTICATION_ERROR', forbidden: 'AUTHORIZATION_ERROR', cross_site: 'AUTHORIZATION_ERROR', misdirected: 'AUTHORIZATION_ERROR',
  grant_invalid: 'GRANT_VALIDATION_ERROR', not_found: 'NOT_FOUND_ERROR', no_such_route: 'NOT_FOUND_ERROR', method_not_allowed: 'METHOD_NOT_ALLOWED_ERROR',
  conflict: 'OPERATION_ERROR', lease_lost: 'OPERATION_ERROR', sealed: 'OPERATION_ERROR', idempotency_mismatch: 'OPERATION_ERROR',
  body_too_large: 'PAYLOAD_TOO_LARGE_ERROR', too_large: 'PAYLOAD_TOO_LARGE_ERROR', unsupported_media_type: 'UNSUPPORTED_MEDIA_TYPE_ERROR', request_timeout: 'TIMEOUT_ERROR',
  overloaded: 'OVERLOADED_ERROR', too_many_streams: 'RATE_LIMIT_ERROR', storage_full: 'STORAGE_ERROR', unavailable: 'UNAVAILABLE_ERROR', not_configured: 'NOT_CONFIGURED_ERROR', internal: 'INTERNAL_SERVER_ERROR', damaged: 'INTERNAL_SERVER_ERROR',
} as const satisfies Record<ProblemCode, string>;

/** This dialect knows one status for what is wrong with a request. */
const statusOf = (status: number): number => (status === 422 ? 400 : status);

/** The name of the field at fault, as the request spells it. */
function fieldOf({ errors, field }: Problem): string | null {
  if (typeof field === 'string') return field;
  const [first] = errors ?? [];
  const name = first?.parameter ?? first?.pointer?.replace(/^#\/?/, '').split('/').join('.');
  return name === undefined || name === '' ? null : name;
}

function render(problem: Problem): { status: number; contentType: string; text: string } {
  const code = CODE[problem.code];
  const field = fieldOf(problem);
  const error_code = code === 'VALIDATION_ERROR' && field !== null ? `${code}_${field.toUpperCase().replace(/[^A-Z0-9]+/g, '_').slice(0, 80)}` : code;
  return { status: statusOf(problem.status), contentType: JSON_TYPE, text: JSON.stringify({ detail: { kind: 'Error', detail: `${problem.detail} ${hintWithoutErrors(problem)}`, error_code, field } }) };
}

export const operationsEnvelope: Envelope = { prefix: PREFIX, headers: ANY_ORIGIN, render };

export const errorSchema = z.object({
  detail: z.object({ kind: z.literal('Error'), detail: z.string().describe('What is wrong, and what to do'), error_code: z.string(), field: z.string().nullable() }),
});
export const refusalSchema: RefusalSchema = { contentType: 'application/json', schema: errorSchema, statusOf };
