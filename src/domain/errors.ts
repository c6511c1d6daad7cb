// The one error of the domain. A refusal is a value with a code; clients match codes, never prose.

/** Closed list of refusals. `http/problem.ts` holds the one table from code to status. */
export const ERROR_CODES = [
  'not_found', // no such job, or it was deleted
  'invalid', // the request is well formed but asks for something out of range
  'conflict', // the job's status forbids this verb
  'lease_lost', // the attempt named by the epoch is no longer the current one
  'not_granted', // the address that signed is not the one the permission names
  'grant_invalid', // the permission is revoked or expired, or does not allow what is asked
  'sealed', // the batch takes no more children
  'idempotency_mismatch', // the key was used before with another body
  'too_large', // a tree, a queue or a payload over its bound
  'overloaded', // too much is waiting to be written; try again later
  'damaged', // what is asked for no longer is what was stored: the disk changed it
  'storage_full', // the disk is full: reads and the ends of running jobs only
  'unavailable', // the server is starting, stopping or has failed
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** What the person reading this should do next. */
  readonly hint?: string;
  /** Facts a program may want: ids, the status that stood in the way, a bound. */
  readonly [key: string]: unknown;
}

export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.name = 'DomainError';
    this.code = code;
    this.details = details;
  }
}

/** Said where work is submitted and, of what came between, by the store. Without a stack: it is made thousands of times a second, and a trace is most of its cost. */
export function tooMuchWaits(): DomainError {
  const depth = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return new DomainError('overloaded', 'More is waiting for the disk than it can write in time; nothing was accepted.', { hint: 'Try again after the Retry-After header.' });
  } finally {
    Error.stackTraceLimit = depth;
  }
}
