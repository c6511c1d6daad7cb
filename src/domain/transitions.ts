// The moves of one job and what they do to its parents. Every status change in the system is written here.
import type { AttemptOutcome, NewJob } from './commands.ts';
import { backoffDelay } from './backoff.ts';
import type { Draft } from './draft.ts';
import {
  atWork, type Backoff, EMPTY_SPEC, type FinalStatus, haltOf, isFinal, isParentAtWork, isSealed, type Job, type JobError, NO_CHILDREN, stateOf,
} from './job.ts';
import { maxAttemptsOf, MAX_CRASHES } from './policy.ts';
import { admissible, describeFailure, judgeJob, makesFinalCall } from './rollup.ts';

/** Longest delay that an answer may ask for: a year. Whoever means longer means never. */
const DELAY_MAX = 365 * 24 * 3_600_000;

const NO_LEASE = { leaseUntil: null, worker: null } as const;

export const jobError = (code: JobError['code'], message: string, retryable = false): JobError => ({ code, message, retryable });

/** Event data of a move: the words every reader of the log gets. */
export function statusData(job: Job, more = ''): string {
  const due = (job.status === 'queued' || job.status === 'retry') && job.dueAt !== null ? `,"dueAt":${job.dueAt}` : '';
  return `{"status":"${job.status}","state":"${stateOf(job.status)}","attempt":${job.attempt}${due}${more}}`;
}

const errorPart = (error: JobError): string => `,"error":${JSON.stringify(error)}`;

/** The final transition: one final event, the callback as a job of its own, and the roll-up of every ancestor. */
export function settle(d: Draft, job: Job, status: FinalStatus, end: { result?: string | null; error?: JobError | null } = {}): void {
  if (job.leaseUntil !== null && status === 'cancelled') d.answer.revoked.push({ jobId: job.id, epoch: job.leaseEpoch });
  const error = end.error ?? null;
  const after = d.put({
    ...job, ...NO_LEASE, status, ending: null, gate: 'open', endedAt: d.env.now, error,
    progress: status === 'completed' && job.progress !== null ? 1 : job.progress,
  });
  const result = end.result ?? null;
  d.event(
    after, status === 'completed' ? 'job:complete' : 'job:error',
    statusData(after, `${error === null ? '' : errorPart(error)}${result === null ? '' : `,"result":${result}`}`), true,
  );
  if (job.spec.callback !== undefined) addCallback(d, after, job.spec.callback);
  if (job.parentId !== null) childEnded(d, job.parentId, status, job.gate === 'parent');
  if (job.spec.schedule !== undefined) d.again.push({ kind: 'track', jobId: job.id });
}

/** A receiver may be down for most of a day: 10 s, 20 s, … then every six hours; 15 tries within 12 to 23 hours. */
const CALLBACK_ATTEMPTS = 15;
const CALLBACK_BACKOFF: Backoff = { kind: 'exponential', base: 10_000, cap: 6 * 3_600_000, jitter: true };

/** For jobs that a set change ended. */
export function addCallbacks(d: Draft, ids: readonly string[]): void {
  for (const job of ids.map((id) => d.get(id))) if (job.spec.callback !== undefined) addCallback(d, job, job.spec.callback);
}

/** The callback is an ordinary request job; its body is made from the log when it runs, so nothing is stored twice. */
function addCallback(d: Draft, job: Job, url: string): void {
  addJob(d, {
    type: 'request', priority: job.priority, spec: { tags: ['callback'], maxAttempts: CALLBACK_ATTEMPTS, backoff: CALLBACK_BACKOFF },
    input: JSON.stringify({ url: url.replaceAll('$JOB$', job.id), method: 'POST', about: job.id }), // the job it tells of, not its own id
  }, null, 0);
}

function childEnded(d: Draft, parentId: string, status: FinalStatus, waited: boolean): void {
  const parent = d.find(parentId);
  if (parent === undefined) return;
  const c = parent.children;
  d.put({ ...parent, children: { ...c, open: c.open - 1, waiting: c.waiting - (waited ? 1 : 0), [status]: c[status] + 1 } });
  judgeParent(d, parentId);
}

/** Applies the batch's rules after its counters moved: cut, let the next in, make the final call, or end. */
export function judgeParent(d: Draft, id: string, afterCut = false): void {
  const job = d.get(id);
  if (isFinal(job.status)) { // abandoned children go on without it; only the run of a schedule waits for them
    if (d.find(job.rootId)?.spec.schedule !== undefined) d.again.push({ kind: 'track', jobId: job.rootId });
    return;
  }
  const halt = haltOf(job);
  if (halt !== null && atWork(job) > 0) return; // the end of the last one brings us back here
  if (halt === 'cancel') return settle(d, job, 'cancelled', { error: job.error });
  if (halt === 'pause' && job.children.open > 0) return pauseJob(d, { ...job, error: null });
  const { verdict, cut } = judgeJob(job);
  if (cut !== null) {
    if (afterCut) return; // what is left is running; its end brings us back here
    const why = jobError('cancelled', `Its batch ${id} needs no more of its children.`);
    d.set({ kind: 'cut', parentId: id, scope: cut, error: why });
    d.again.push({ kind: 'judge', jobId: id });
    return;
  }
  if (verdict === 'open') admit(d, job);
  else if (makesFinalCall(job)) finalCall(d, job);
  else endByVerdict(d, job, verdict);
}

/** Ends a parent as its counters say. */
export function endByVerdict(d: Draft, job: Job, verdict: 'completed' | 'failed'): void {
  settle(d, job, verdict, verdict === 'failed' ? { error: jobError('child_failed', describeFailure(job)) } : {});
}

/** The batch's own call: it becomes ready like any other job, and its handler's outcome decides it. */
function finalCall(d: Draft, job: Job): void {
  if (!isParentAtWork(job)) return; // held or paused: the call waits for start or resume
  const after = d.put({ ...job, status: 'queued', dueAt: d.env.now });
  d.event(after, 'job:status', statusData(after, ',"reason":"final_call"'));
}

export function admit(d: Draft, job: Job): void {
  const count = isParentAtWork(job) && haltOf(job) === null ? admissible(job) : 0;
  if (count === 0) return;
  d.put({ ...job, children: { ...job.children, waiting: job.children.waiting - count } });
  d.set({ kind: 'admit', parentId: job.id, count });
}

/** Opens a batch whose turn has come: it runs because its children do. */
export function openBatch(d: Draft, job: Job): void {
  const after = d.put({ ...job, status: 'running', startedAt: job.startedAt ?? d.env.now });
  d.event(after, 'job:status', statusData(after));
  judgeParent(d, job.id); // an empty sealed batch is complete already
}

export function lease(d: Draft, job: Job, worker: string): Job {
  const { now } = d.env;
  const goesOn = job.attemptStartedAt !== null;
  const after = d.put({
    ...job, status: 'running', worker, leaseUntil: now + d.policy(job).lease, leaseEpoch: job.leaseEpoch + 1,
    attempt: goesOn ? job.attempt : job.attempt + 1, attemptStartedAt: job.attemptStartedAt ?? now,
    claimedAt: isTakenUp(d, job) ? (job.claimedAt ?? now) : now,
    startedAt: job.startedAt ?? now, expiresAt: job.expiresAt ?? expiry(d, job),
  });
  d.event(after, 'job:status', statusData(after, goesOn && job.children.total > 0 ? ',"reason":"goes_on"' : ''));
  return after;
}

/** What runs outside went on meanwhile: its time began when it was first claimed. */
const isTakenUp = (d: Draft, job: Job): boolean => job.attemptStartedAt !== null && d.policy(job).onOrphan === 'adopt';

/** The type's own time to live counts from the first start, so that a long wait for a turn never uses it up. */
function expiry(d: Draft, job: Job): number | null {
  const { ttl } = d.policy(job);
  return ttl === null ? null : d.env.now + ttl;
}

/** A delay comes from whoever answered: a fraction, a negative or a million years must not break the row it is written to. */
const asked = (delay: number): number => (Number.isFinite(delay) ? Math.round(Math.min(Math.max(0, delay), DELAY_MAX)) : 0);

/** "Ask again later": the attempt goes on, no retry is burned. */
export function askLater(d: Draft, job: Job, delay: number): void {
  const after = d.put({ ...job, ...NO_LEASE, status: 'queued', dueAt: d.env.now + asked(delay), crashes: 0 });
  d.event(after, 'job:status', statusData(after, ',"reason":"pending"'));
}

/** What it needs is away. No attempt is used up; one that had not begun has all of its time when it does. */
export function waitFor(d: Draft, job: Job, wait: { readonly delay: number; readonly error: JobError; readonly begun: boolean }): void {
  const after = d.put({ ...job, ...NO_LEASE, status: 'retry', dueAt: d.env.now + asked(wait.delay), error: wait.error, claimedAt: wait.begun ? job.claimedAt : null });
  d.event(after, 'job:status', statusData(after, errorPart(wait.error)));
}

/** Its process died or went silent, but its work goes on outside: the same attempt is taken up by whoever claims it next. */
export function adopt(d: Draft, job: Job, reason: 'server_restarted' | 'worker_silent'): void {
  d.answer.revoked.push({ jobId: job.id, epoch: job.leaseEpoch });
  const after = d.put({ ...job, ...NO_LEASE, status: 'queued', dueAt: d.env.now });
  d.event(after, 'job:status', statusData(after, `,"reason":"${reason}"`));
}

/** Work outside of this process is asked to end, and its last words are waited for. False: there is none, it can be ended at once. */
export function askToEnd(d: Draft, job: Job, status: 'failed' | 'cancelled', error: JobError): boolean {
  const { stopWithin } = d.policy(job);
  if (stopWithin === undefined || job.leaseUntil === null) return false;
  if (job.ending !== null && job.ending.until <= d.env.now) return false;
  d.answer.stopping.push({ jobId: job.id, epoch: job.leaseEpoch });
  if (job.ending !== null) return true;
  const after = d.put({ ...job, ending: { status, error, until: d.env.now + stopWithin } });
  d.event(after, 'job:status', statusData(after, `,"reason":"ending","message":${JSON.stringify(error.message)}`));
  return true;
}

export function pauseJob(d: Draft, job: Job): void {
  const after = d.put({ ...job, ...NO_LEASE, status: 'paused', ...pausedAt(d, job) });
  d.event(after, 'job:status', statusData(after));
}

/** A gentle parent that has begun is due no more: while it is paused, its due time says since when. */
export const pausedAt = (d: Draft, job: Job): { dueAt?: number } => (d.policy(job).gentle === true && job.startedAt !== null ? { dueAt: d.env.now } : {});

function closeAttempt(d: Draft, job: Job, outcome: AttemptOutcome, error: JobError | null): void {
  d.set({
    kind: 'attempt', jobId: job.id, number: job.attempt, outcome, startedAt: job.attemptStartedAt ?? d.env.now,
    endedAt: d.env.now, error, worker: job.worker,
  });
}

/** A failed or timed-out attempt: another one after the backoff, or the end. */
export function failAttempt(d: Draft, job: Job, error: JobError, more: { delay?: number | undefined; result?: string | null | undefined } = {}): void {
  const failures = job.failures + 1;
  const max = maxAttemptsOf(job, d.policy(job));
  if (!error.retryable || failures >= max) {
    const exhausted = error.retryable && max > 1;
    if (exhausted) closeAttempt(d, job, error.code === 'timeout' ? 'timed_out' : 'failed', error); // its own error stays on record
    const last = exhausted
      ? jobError('attempts_exhausted', `All ${max} attempts failed; the last with ${error.code}: ${error.message}`) : { ...error, retryable: false };
    settle(d, { ...job, failures }, 'failed', { error: last, result: more.result ?? null });
    return;
  }
  closeAttempt(d, job, error.code === 'timeout' ? 'timed_out' : 'failed', error);
  const delay = more.delay !== undefined ? asked(more.delay) : backoffDelay(job.spec.backoff ?? d.policy(job).backoff, failures, d.env.random());
  const after = d.put({
    ...job, ...NO_LEASE, status: 'retry', failures, dueAt: d.env.now + delay, attemptStartedAt: null, crashes: 0, error,
  });
  d.event(after, 'job:status', statusData(after, errorPart(error)));
}

/**
 * The attempt was lost through no fault of the job: it burns no retry, but has a limit of its own.
 * @param cause stopping: the server asked (never counted); lost: a worker went silent; crash: the server died
 */
export function interrupt(d: Draft, job: Job, cause: 'stopping' | 'lost' | 'crash', message: string): void {
  const error = jobError('interrupted', message, true);
  const policy = d.policy(job);
  const next: Job = {
    ...job,
    ending: null,
    interruptions: job.interruptions + (cause === 'stopping' ? 0 : 1),
    crashes: cause === 'crash' ? job.crashes + 1 : 0,
  };
  d.answer.revoked.push({ jobId: job.id, epoch: job.leaseEpoch });
  if (next.crashes >= MAX_CRASHES || next.interruptions >= policy.maxInterruptions) {
    const times = next.crashes >= MAX_CRASHES ? `running at ${next.crashes} server deaths in a row` : `interrupted ${next.interruptions} times`;
    settle(d, next, 'failed', { error: jobError('interrupted_too_often', `Set aside: ${times}. If it is not to blame, POST /retry runs it again.`) });
    return;
  }
  if (cause === 'crash' && policy.onOrphan === 'fail') {
    settle(d, next, 'failed', { error: jobError('interrupted_too_often', `${message} Jobs of type ${job.type} are not run again after that.`) });
    return;
  }
  closeAttempt(d, job, 'interrupted', error);
  const status = cause === 'crash' && policy.onOrphan === 'pause' ? 'paused' : 'queued';
  const after = d.put({ ...next, ...NO_LEASE, status, dueAt: d.env.now, attemptStartedAt: null });
  d.event(after, 'job:status', statusData(after, `,"reason":"interrupted","message":${JSON.stringify(message)}`));
}

/** Adds a job and its descendants; parents come before children. Returns the job. */
export function addJob(d: Draft, plan: NewJob, parent: Job | null, ordinal: number, gateOpen = true): Job {
  const { now } = d.env;
  const dueAt = plan.dueAt === undefined ? now : plan.dueAt;
  const id = d.env.newId();
  const total = plan.children?.length ?? 0;
  const spec = plan.spec ?? EMPTY_SPEC;
  const job: Job = {
    id, type: plan.type, parentId: parent?.id ?? null, rootId: parent?.rootId ?? id, ordinal: parent === null ? null : ordinal,
    depth: parent === null ? 0 : parent.depth + 1, spec, status: 'queued', gate: gateOpen ? 'open' : 'parent',
    priority: plan.priority ?? parent?.priority ?? 5, dueAt, createdAt: now, startedAt: null, endedAt: null,
    expiresAt: spec.ttl === undefined ? null : now + spec.ttl, deadlineAt: spec.deadline === undefined ? null : now + spec.deadline,
    attempt: 0, failures: 0, interruptions: 0, crashes: 0, attemptStartedAt: null, claimedAt: null,
    leaseUntil: null, leaseEpoch: 0, worker: null,
    children: total === 0 ? NO_CHILDREN : { ...NO_CHILDREN, total, open: total, waiting: total },
    progress: null, logBytes: 0, error: null, ending: null,
  };
  d.add(job, plan.input, plan.secret);
  d.event(job, 'job:status', statusData(job));
  plan.children?.forEach((child, i) => addJob(d, child, job, i, false));
  return job;
}

/** Adds children to a parent that is at work (spawn, or a child posted to an unsealed batch). */
export function addChildren(d: Draft, parent: Job, plans: readonly NewJob[]): Job[] {
  const c = parent.children;
  const room = isParentAtWork(parent) ? Math.max(0, (parent.spec.width ?? Infinity) - (c.open - c.waiting)) : 0;
  const jobs = plans.map((plan, i) => addJob(d, plan, parent, c.total + i, i < room));
  const waiting = c.waiting + Math.max(0, plans.length - room);
  d.put({ ...parent, children: { ...c, total: c.total + plans.length, open: c.open + plans.length, waiting } });
  return jobs;
}

export const takesChildren = (job: Job): boolean => !isFinal(job.status) && !isSealed(job);
