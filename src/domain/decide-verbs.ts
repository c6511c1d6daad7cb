// What people ask of a job that exists: start, pause, resume, cancel, retry, edit, remove.
import type { JobPatch } from './commands.ts';
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';
import { atWork, type FinalStatus, haltOf, isFinal, type Job, type JobError, type JobSpec } from './job.ts';
import { admit, askToEnd, jobError, judgeParent, pausedAt, settle, statusData } from './transitions.ts';

function refuse(job: Job, verb: string, hint: string): never {
  throw new DomainError('conflict', `Job ${job.id} is ${job.status}; it cannot be ${verb}.`, { hint, status: job.status });
}

const waits = (job: Job): boolean => job.status === 'queued' || job.status === 'retry';

/** Due now, whether it was held, delayed or backing off. */
export function decideStart(d: Draft, job: Job): void {
  if (!waits(job)) refuse(job, 'started', job.status === 'paused' ? 'POST /resume continues a paused job.' : 'Only a job that waits (queued or retry) can be started.');
  const after = d.put({ ...job, dueAt: d.env.now });
  d.event(after, 'job:status', statusData(after, ',"reason":"start"'));
}

/** A gentle parent pauses once the children at work have ended: the row says so at once, the status follows. */
export function decidePause(d: Draft, job: Job, atOnce = false): void {
  const batchAtWork = job.status === 'running' && job.leaseUntil === null;
  if (!waits(job) && !batchAtWork) {
    refuse(job, 'paused', job.status === 'running' ? 'A running attempt cannot be paused; cancel it, or pause its batch to stop what comes after it.' : 'Only a waiting job or a batch can be paused.');
  }
  const halt = haltOf(job);
  if (halt === 'cancel') refuse(job, 'paused', 'It is being cancelled: it ends when its running child has ended.');
  if (batchAtWork && !atOnce && isGentle(d, job) && atWork(job) > 0) {
    if (halt === 'pause') return;
    const pausing = d.put({ ...job, error: jobError('pausing', 'It pauses when the child at work has ended.', true) });
    d.event(pausing, 'job:status', statusData(pausing, ',"reason":"pausing"'));
    return;
  }
  const after = d.put({ ...job, status: 'paused', error: halt === 'pause' ? null : job.error, ...pausedAt(d, job) });
  d.event(after, 'job:status', statusData(after));
}

const isGentle = (d: Draft, job: Job): boolean => d.policy(job).gentle === true;

export function decideResume(d: Draft, job: Job): void {
  if (haltOf(job) === 'pause') { // it has not paused yet
    const going = d.put({ ...job, error: null });
    d.event(going, 'job:status', statusData(going, ',"reason":"resume"'));
    return judgeParent(d, job.id);
  }
  if (job.status !== 'paused') refuse(job, 'resumed', 'Only a paused job can be resumed.');
  const opened = job.children.total > 0 && job.startedAt !== null;
  const unsealedAtWork = job.type === 'batch' && job.startedAt !== null;
  const after = d.put({ ...job, status: opened || unsealedAtWork ? 'running' : 'queued' });
  d.event(after, 'job:status', statusData(after, ',"reason":"resume"'));
  if (after.status === 'running') judgeParent(d, job.id); // lets the next children in, or makes the final call that waited for this
  // Last, since it changes gates that the draft has read. Not only when running: a retried batch may have children at work before it is opened.
  if (job.children.total > 0) d.set({ kind: 'ungate', rootId: job.rootId });
}

export function decideCancel(d: Draft, job: Job, reason: string | undefined): void {
  if (isFinal(job.status)) refuse(job, 'cancelled', 'It has ended already.');
  const error = jobError('cancelled', reason ?? 'Cancelled by request.');
  const batchAtWork = job.status === 'running' && job.leaseUntil === null;
  // A gentle parent lets what is at work end; told a second time, it does not.
  if (batchAtWork && isGentle(d, job) && atWork(job) > 0 && haltOf(job) !== 'cancel') {
    const halting = d.put({ ...job, error });
    d.event(halting, 'job:status', statusData(halting, ',"reason":"cancelling"'));
    d.set({ kind: 'cut', parentId: job.id, scope: 'unstarted', error: jobError('cancelled', `Its parent ${job.id} ends: ${error.message}`) });
    d.again.push({ kind: 'judge', jobId: job.id }); // none had begun: it ends now
    return;
  }
  decideEnd(d, job, 'cancelled', error);
}

/** Ends a job from outside its own work. Its children end first, or are let go if it says so. */
export function decideEnd(d: Draft, job: Job, status: Exclude<FinalStatus, 'completed'>, error: JobError): void {
  if (isFinal(job.status)) return;
  if (job.children.open > 0) {
    if ((job.spec.onParentCancel ?? 'cancel') === 'cancel') {
      d.set({ kind: 'cut', parentId: job.id, scope: 'all', error: jobError('cancelled', `Its parent ${job.id} ended: ${error.message}`) });
      d.again.push({ kind: 'end', jobId: job.id, status, error });
      return;
    }
    const { waiting } = job.children;
    if (waiting > 0) {
      d.put({ ...job, children: { ...job.children, waiting: 0 } });
      d.set({ kind: 'admit', parentId: job.id, count: waiting });
    }
  }
  if (askToEnd(d, job, status, error)) return;
  if (job.leaseUntil !== null && status === 'failed') d.answer.revoked.push({ jobId: job.id, epoch: job.leaseEpoch });
  settle(d, d.get(job.id), status, { error });
  if (job.children.open > 0) d.set({ kind: 'ungate', rootId: job.rootId }); // children let go no longer wait for what is above; last, as in resume
}

/** Another life for a failed or cancelled job: fresh budgets, same id, the attempts it had stay on record. */
export function decideRetry(d: Draft, job: Job): void {
  if (job.status === 'retry') return decideStart(d, job);
  const hasFailures = job.status === 'completed' && isGentle(d, job) && job.children.failed + job.children.cancelled > 0;
  if (job.status !== 'failed' && job.status !== 'cancelled' && !hasFailures) refuse(job, 'retried', 'Only a failed or cancelled job can be retried.');
  const parent = job.parentId === null ? undefined : d.find(job.parentId);
  if (parent !== undefined && isFinal(parent.status)) {
    throw new DomainError('conflict', `The parent of ${job.id} has ended.`, { hint: `Retry ${job.rootId}: it takes up what failed below it.`, rootId: job.rootId });
  }
  if (parent !== undefined && parent.leaseUntil !== null) {
    throw new DomainError('conflict', `The parent of ${job.id} is making its final call.`, { hint: `Wait for it to end, then retry ${job.rootId}.`, rootId: job.rootId });
  }
  const { now } = d.env;
  const attempted = job.attemptStartedAt !== null;
  if (attempted) {
    d.set({
      kind: 'attempt', jobId: job.id, number: job.attempt, startedAt: job.attemptStartedAt ?? now, endedAt: job.endedAt ?? now,
      outcome: job.status !== 'failed' ? job.status : job.error?.code === 'timeout' ? 'timed_out' : 'failed', error: job.error, worker: job.worker,
    });
  }
  const after = d.put({
    ...job, status: 'queued', gate: parent === undefined ? 'open' : 'parent', dueAt: now, endedAt: null, error: null, failures: 0, interruptions: 0, crashes: 0,
    attemptStartedAt: null, startedAt: null, progress: null,
    expiresAt: job.spec.ttl === undefined ? null : now + job.spec.ttl, deadlineAt: job.spec.deadline === undefined ? null : now + job.spec.deadline,
  });
  d.event(after, 'job:status', statusData(after, ',"reason":"retry"'));
  if (job.children.total > 0) d.set({ kind: 'reopen', parentId: job.id });
  if (job.spec.schedule !== undefined) d.again.push({ kind: 'track', jobId: job.id });
  if (parent !== undefined) {
    const status = job.status as 'failed' | 'cancelled'; // a gentle root has no parent
    const c = parent.children;
    // Like any other child it waits for a place; the parent lets it in when it is at work.
    admit(d, d.put({ ...parent, children: { ...c, open: c.open + 1, waiting: c.waiting + 1, [status]: c[status] - 1 } }));
  }
}

export function decideEdit(d: Draft, job: Job, patch: JobPatch): void {
  const onlyTags = Object.keys(patch).every((key) => key === 'tags');
  if (isFinal(job.status) && !onlyTags) refuse(job, 'changed', 'Of a job that has ended only the tags can be changed.');
  const spec: Record<string, unknown> = { ...job.spec };
  for (const key of ['tags', 'timeout', 'ttl', 'deadline', 'sealed'] as const) {
    if (patch[key] === null) delete spec[key];
    else if (patch[key] !== undefined) spec[key] = patch[key];
  }
  if (patch.sealed === true && job.type !== 'batch') refuse(job, 'sealed', 'Only a batch can be sealed.');
  const from = (length: number | null | undefined, now: number | null): number | null =>
    length === undefined ? now : length === null ? null : job.createdAt + length;
  const after = d.put({
    ...job, spec: spec as JobSpec, priority: patch.priority ?? job.priority,
    expiresAt: from(patch.ttl, job.expiresAt), deadlineAt: from(patch.deadline, job.deadlineAt),
  });
  d.event(after, 'job:status', statusData(after, `,"reason":"edit","changed":${JSON.stringify(Object.keys(patch))}`));
  if (patch.sealed === true && after.status === 'running') judgeParent(d, job.id);
}

/** A finished tree goes as a whole; a part of one would leave its parent's result with a hole. */
export function decideRemove(d: Draft, job: Job): void {
  if (job.parentId !== null) {
    throw new DomainError('conflict', `Job ${job.id} is part of a tree.`, { hint: `Delete its root ${job.rootId}.`, rootId: job.rootId });
  }
  if (!isFinal(job.status) || d.snapshot.treeOpen) {
    throw new DomainError('conflict', `Job ${job.id} or something below it has not ended.`, { hint: 'Cancel it first, then delete it.', status: job.status });
  }
  d.set({ kind: 'remove', rootId: job.id });
}
