// The job: what is kept of one unit of work. Types and the questions that can be answered from one row.
//
// Glossary (one word per idea; the wire, the schema and the code use these):
//   job       one unit of work; a tree of them shares a root
//   batch     a job whose work is its children
//   status    the fine word (queued, running, …); state is the coarse one a poller asks for
//   due       the instant from which a job may run; null means held until someone starts it
//   gate      who keeps a due job from running: nobody, its parent (width) or a paused ancestor
//   attempt   one try; it ends completed, failed, timed_out or interrupted
//   lease     the right to write to a running job until an instant, named by its epoch
//   outcome   what a handler answers: done, fail, later, spawn, paused
//   event     one row of the append-only log; its seq is every reader's cursor
//   verdict   what a batch's rules say of its children: completed, failed, or still open

export const STATUSES = ['queued', 'assigned', 'running', 'retry', 'paused', 'completed', 'failed', 'cancelled'] as const;
export type JobStatus = (typeof STATUSES)[number];
export const FINAL_STATUSES = ['completed', 'failed', 'cancelled'] as const;
export type FinalStatus = (typeof FINAL_STATUSES)[number];

export const STATES = ['PENDING', 'COMPLETE', 'FAIL'] as const;
export type JobState = (typeof STATES)[number];

export const JOB_ERROR_CODES = [
  'ttl_expired', 'deadline_exceeded', 'timeout', 'interrupted', 'interrupted_too_often', 'attempts_exhausted', 'child_failed',
  'cancelled', 'http_status', 'network', 'egress_refused', 'answer_too_large', 'invalid_answer', 'participant_failed',
  'handler_error', 'unknown_type', 'damaged', 'engine_unavailable', 'container_failed', 'container_exit', 'out_of_memory', 'output_limit',
  'agent_error', 'artifact_refused',
  'pausing', 'judge_invalid', 'error_rate',
] as const;
export type JobErrorCode = (typeof JOB_ERROR_CODES)[number];

export interface JobError {
  readonly code: JobErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

export interface Backoff {
  readonly kind: 'exponential' | 'linear' | 'fixed';
  /** First delay, ms. */
  readonly base: number;
  /** Longest delay, ms. */
  readonly cap: number;
  /** Draw the delay from [half, whole] so that failures do not return in step. */
  readonly jitter: boolean;
}

export type Completion = 'all' | 'any' | { readonly count: number } | { readonly percent: number };
export const CHILD_FAILURE_RULES = ['continue', 'stop_new', 'cancel_siblings', 'fail_fast'] as const;
export type ChildFailureRule = (typeof CHILD_FAILURE_RULES)[number];
export const PARENT_CANCEL_RULES = ['cancel', 'abandon'] as const;
export type ParentCancelRule = (typeof PARENT_CANCEL_RULES)[number];

/** What the submitter chose; absent means the type's policy or the default decides. Durations in ms. */
export interface JobSpec {
  readonly tags?: readonly string[];
  readonly maxAttempts?: number;
  readonly backoff?: Backoff;
  readonly ttl?: number;
  readonly timeout?: number;
  readonly deadline?: number;
  readonly callback?: string;
  readonly width?: number;
  readonly completion?: Completion;
  readonly onChildFailure?: ChildFailureRule;
  readonly onParentCancel?: ParentCancelRule;
  /** False: children may still be added, so the batch does not end when those it has are done. Default true. */
  readonly sealed?: boolean;
  /** The batch makes a call of its own when its children have ended, and that decides it. */
  readonly finalCall?: boolean;
  /** Children that may fail or be cancelled before `onChildFailure` applies. */
  readonly tolerate?: number;
  /** An operation: the permission it runs under. Never given by a submitter. */
  readonly grant?: number;
  /** The due time was given as an instant, not as a delay: it stays when the clock is set. */
  readonly dueAtInstant?: true;
  /** The schedule that made it, and the instant it was made for. Never from outside. */
  readonly schedule?: { readonly id: string; readonly at: number };
}

/** Counters of direct children. total = open + completed + failed + cancelled; waiting ⊆ open. */
export interface ChildCounts {
  readonly total: number;
  readonly open: number;
  /** Not yet let in by this parent (gate 'parent'). */
  readonly waiting: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

export type Gate = 'open' | 'parent' | 'ancestor';

export interface Lease {
  readonly worker: string;
  readonly until: number;
  readonly epoch: number;
}

export interface Job {
  readonly id: string;
  readonly type: string;
  readonly parentId: string | null;
  readonly rootId: string;
  /** Place among its siblings, from 0. */
  readonly ordinal: number | null;
  /** 0 for a root. */
  readonly depth: number;
  readonly spec: JobSpec;
  readonly status: JobStatus;
  readonly gate: Gate;
  /** 1..10, 10 first. */
  readonly priority: number;
  readonly dueAt: number | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly expiresAt: number | null;
  readonly deadlineAt: number | null;
  /** Attempts started. */
  readonly attempt: number;
  /** Attempts that failed or timed out since submission or the last manual retry: the budget is maxAttempts. */
  readonly failures: number;
  /** Attempts lost through no fault of the job (crash, silent worker). */
  readonly interruptions: number;
  /** Server deaths in a row while this job ran. */
  readonly crashes: number;
  /** Start of the current attempt; set while queued if a participant said "ask again". */
  readonly attemptStartedAt: number | null;
  /** Start of the current run of the handler. */
  readonly claimedAt: number | null;
  readonly leaseUntil: number | null;
  readonly leaseEpoch: number;
  readonly worker: string | null;
  readonly children: ChildCounts;
  /** 0..1 as the handler last reported, or null. */
  readonly progress: number | null;
  readonly logBytes: number;
  readonly error: JobError | null;
  /** It was asked to end and its worker is at it. */
  readonly ending: Ending | null;
}

/** How a job ends once its worker has stopped it, and when nobody waits for that any longer. */
export interface Ending {
  readonly status: 'failed' | 'cancelled';
  readonly error: JobError;
  readonly until: number;
}

export const NO_CHILDREN: ChildCounts = { total: 0, open: 0, waiting: 0, completed: 0, failed: 0, cancelled: 0 };
export const EMPTY_SPEC: JobSpec = {};

export const isFinal = (status: JobStatus): status is FinalStatus =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

export const stateOf = (status: JobStatus): JobState =>
  status === 'completed' ? 'COMPLETE' : isFinal(status) ? 'FAIL' : 'PENDING';

export const isSealed = (job: Job): boolean => job.spec.sealed ?? true;

/** A parent is running because its children are open, not because someone holds a lease. */
export const isParentAtWork = (job: Job): boolean => job.status === 'running' && job.leaseUntil === null;

/** Children that have a place and have not ended. */
export const atWork = ({ children }: Job): number => children.open - children.waiting;

/**
 * A gentle parent that stops once the children at work have ended: its error says for what. It lets nobody in meanwhile.
 * On the row itself, so that it survives a restart and readers see it.
 */
export const haltOf = (job: Job): 'pause' | 'cancel' | null =>
  !isParentAtWork(job) || job.error === null ? null : job.error.code === 'pausing' ? 'pause' : job.error.code === 'cancelled' ? 'cancel' : null;

/** May a worker take this job at `now`? The store keeps this as a private flag, so that a claim never scans the future. */
export const isReady = (job: Job, now: number): boolean =>
  (job.status === 'queued' || job.status === 'retry') && job.gate === 'open' && job.dueAt !== null && job.dueAt <= now;

/** The lease holder of everything this process runs itself. */
export const LOCAL_WORKER = 'local';

/**
 * When this lease is over unless it is renewed, or null. The process's own never are: whoever would take them back is who
 * renews them, so a clock would only find that this process has forgotten a run; the dispatcher gives back what it
 * cannot end, and the next start takes back what a dead process held. Saves a no-op two writes of the index of alarms.
 */
export const lapsesAt = (job: Job): number | null => (job.worker === LOCAL_WORKER ? null : job.leaseUntil);

/** The next instant at which something happens to this job because time passed, or null. The sweeper's index. */
export function alarmAt(job: Job, now: number, timeout: number | null): number | null {
  if (isFinal(job.status)) return null;
  let at = job.ending === null ? (job.deadlineAt ?? Infinity) : job.ending.until;
  if (job.status === 'queued' || job.status === 'retry') {
    if (job.expiresAt !== null) at = Math.min(at, job.expiresAt);
    if (job.dueAt !== null && job.dueAt > now) at = Math.min(at, job.dueAt);
  } else if (job.leaseUntil !== null) {
    at = Math.min(at, lapsesAt(job) ?? Infinity);
    if (timeout !== null && job.ending === null && job.claimedAt !== null) at = Math.min(at, job.claimedAt + timeout);
  }
  return at === Infinity ? null : at;
}
