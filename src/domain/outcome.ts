// What a handler answers: a closed union. No handler ever writes a status.
import type { JobError } from './job.ts';
import type { NewJob } from './commands.ts';
import type { NewDocument } from './document.ts';

/** `documents`: that stand in the same commit as the end they belong to. */
export type Outcome =
  /** The work is done. `result` is JSON text, or null. */
  | { readonly kind: 'done'; readonly result: string | null; readonly documents?: readonly NewDocument[] }
  /** This attempt failed. `error.retryable` decides whether another may follow; `delay` (ms) overrules the backoff. */
  | { readonly kind: 'fail'; readonly error: JobError; readonly delay?: number; readonly result?: string | null; readonly documents?: readonly NewDocument[] }
  /** Not yet: ask again after `delay` ms. The attempt goes on and no retry is burned. */
  | { readonly kind: 'later'; readonly delay: number }
  /** Nothing is wrong with the job, but what it needs is away: the same attempt goes on after `delay` ms, and `error` says why it waits. */
  | { readonly kind: 'wait'; readonly delay: number; readonly error: JobError; readonly begun: boolean }
  /** The work is these children; the job ends by their roll-up. */
  | { readonly kind: 'spawn'; readonly children: readonly NewJob[]; readonly documents?: readonly NewDocument[] }
  /** The handler stopped at a safe place because it was asked to. */
  | { readonly kind: 'paused' }
  /** The run was cut through no fault of the job: the server is stopping, or its worker went silent. */
  | { readonly kind: 'interrupted'; readonly reason: string; readonly lost?: true }
  | { readonly kind: 'timed_out'; readonly after: number; readonly result?: string | null };
