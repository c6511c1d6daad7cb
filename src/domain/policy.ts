// What differs between job types, as rows instead of branches. Filled by handlers/registry.ts, read by the decisions.
import type { Backoff, Job } from './job.ts';

export interface TypePolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** Length of a lease, ms; renewed at a third. */
  readonly lease: number;
  /** One run of the handler, ms; null = no limit. */
  readonly timeout: number | null;
  /** From the first start, ms, where the submitter gave none (theirs counts from creation); null = no limit. */
  readonly ttl: number | null;
  /** Lost attempts (not failures) after which the job is set aside as poison. */
  readonly maxInterruptions: number;
  /** What happens to a job found running by a dead process; adopt: the same attempt is taken up again. */
  readonly onOrphan: 'retry' | 'pause' | 'fail' | 'adopt';
  /**
   * Its work goes on outside of this process: to end it takes a while, in which it is still running, and its last words are
   * kept. ms after which nobody waits any longer. Absent: a run is cut at once.
   */
  readonly stopWithin?: number;
  /** Of a parent: pause and cancel let the children at work end first, with all that belongs to them. */
  readonly gentle?: true;
}
export type Policies = Readonly<Record<string, TypePolicy>>;

/** A participant is asked again after about 1, 2, 4 … s, as the seeds do, and never less often than once a minute. */
export const DEFAULT_BACKOFF: Backoff = { kind: 'exponential', base: 1_000, cap: 60_000, jitter: true };

export const DEFAULT_POLICY: TypePolicy = {
  maxAttempts: 4,
  backoff: DEFAULT_BACKOFF,
  lease: 30_000, // three missed heartbeats of 10 s
  timeout: null,
  ttl: null,
  maxInterruptions: 10, // a week of nightly restarts is not poison; ten losses of one job are
  onOrphan: 'retry',
};

/** A job running at this many server deaths in a row is set aside: it may be what kills the server. */
export const MAX_CRASHES = 3;

export const policyOf = (policies: Policies, type: string): TypePolicy => policies[type] ?? DEFAULT_POLICY;
export const maxAttemptsOf = (job: Job, policy: TypePolicy): number => job.spec.maxAttempts ?? policy.maxAttempts;
export const timeoutOf = (job: Job, policy: TypePolicy): number | null => job.spec.timeout ?? policy.timeout;
