// The contract of a handler: it gets a claimed job and answers an outcome. It never touches the store or a status.
import type { Claim, Keep } from '../domain/commands.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { TypePolicy } from '../domain/policy.ts';

/** What a callback and a batch's own call carry: the original data and the children's final results. */
export interface FinalBody {
  readonly jobId: string;
  readonly type: string;
  readonly state: string;
  readonly status: string;
  readonly input: unknown;
  readonly result: unknown;
  readonly error: unknown;
  readonly children: readonly { readonly id: string; readonly ordinal: number; readonly state: string; readonly result?: unknown; readonly error?: unknown }[];
  /** ISO-8601 UTC, or null for a batch that makes its own call before it ends. */
  readonly endedAt: string | null;
  /** Children's results were left out for size; GET /api/jobs/:id/children has them all. */
  readonly truncated?: true;
}

export interface HandlerContext {
  /** Aborted when the run must stop: cancelled, timed out, lease lost, server stopping. Answer soon after; the outcome then no longer counts. */
  readonly signal: AbortSignal;
  /** Adds a line to the job's log. Gathered (10 lines or 100 ms) and fenced by the lease; never throws. */
  log(line: string): void;
  /** It was asked to end (cancelled, out of time) and its lease still holds: stop it, keep its last words, then answer. */
  readonly stopping: AbortSignal;
  /** Keeps output and where to go on, in one transaction, durable when it resolves. Rejects when the lease is gone. */
  keep(keep: Keep): Promise<void>;
  /** Adds a job:trajectory event with this object as its data; gathered and fenced like log lines, in one order with them. */
  step(data: Readonly<Record<string, unknown>>): void;
  /** 0..1. */
  progress(fraction: number): void;
  /** What job `id` came to so far, for calls that report it. */
  finalBody(id: string): Promise<FinalBody | null>;
}

export type Handler = (job: Claim, context: HandlerContext) => Promise<Outcome>;

/** One row of the registry: everything in which a job type differs. */
export interface JobType {
  readonly policy: TypePolicy;
  /** Runs at once in this process, by default; changeable while running. */
  readonly concurrency: number;
  readonly run: Handler;
}
export type Registry = Readonly<Record<string, JobType>>;
