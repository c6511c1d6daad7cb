// What workers and the passing of time do: claim, finish, renew, note, tick, recover.
// List commands never refuse as a whole: an item that is stale is reported and its neighbours go through.
import type { Command, Ended, LeaseRef, NewJob } from './commands.ts';
import { checkSize } from './decide-submit.ts';
import { keepDocuments } from './document.ts';
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';
import { LOG_BYTES_MAX } from './event.ts';
import { type Ending, isFinal, type Job, lapsesAt } from './job.ts';
import { timeoutOf } from './policy.ts';
import { makesFinalCall } from './rollup.ts';
import {
  addChildren, adopt, askLater, askToEnd, failAttempt, interrupt, jobError, judgeParent, lease, openBatch, pauseJob, settle, waitFor,
} from './transitions.ts';

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>;

/** A paused ancestor that still matters to this job (one above a final parent does not). */
function pausedAncestor(d: Draft, job: Job): Job | null {
  for (let id = job.parentId; id !== null; ) {
    const parent = d.find(id);
    if (parent === undefined || isFinal(parent.status)) return null;
    if (parent.status === 'paused') return parent;
    id = parent.parentId;
  }
  return null;
}

export function decideClaim(d: Draft, command: Of<'claim'>): void {
  const { found } = d.snapshot;
  d.answer.seen = found.length;
  for (const [i, { id }] of found.entries()) {
    if (d.isStale(id)) { // an empty batch ended and its parent needs no more: what is left is found again
      d.again.push({ ...command, limit: command.limit - i });
      return;
    }
    const job = d.get(id);
    if (timeIsUp(d, job)) continue; // the sweep is late (a restart, a rush): what has expired is not started any more
    if (job.parentId !== null && pausedAncestor(d, job) !== null) {
      d.put({ ...job, gate: 'ancestor' }); // put aside, so that the next claim does not meet it; resume opens the gate
    } else if (job.children.open > 0 || (job.type === 'batch' && !makesFinalCall(job))) {
      openBatch(d, job); // nothing to run of its own (yet)
    } else {
      const input = d.snapshot.input(job.id);
      if (input === null) {
        end(d, job, jobError('damaged', 'Its input is not what was submitted: the checksum does not match. The disk changed it; submit it again.'));
        continue;
      }
      const after = lease(d, job, command.worker);
      d.answer.claimed.push({
        id: job.id, type: job.type, input, epoch: after.leaseEpoch, attempt: after.attempt,
        failures: job.failures, rootId: job.rootId, parentId: job.parentId, spec: job.spec, children: job.children,
        priority: job.priority, createdAt: job.createdAt, claimedAt: after.claimedAt ?? d.env.now, ending: null, secret: null, kept: null,
        ...(d.policy(job).stopWithin === undefined ? {} : { secret: d.snapshot.secret(job.id), kept: d.snapshot.kept(job.id), ending: after.ending?.error ?? null }),
      });
    }
  }
}

/** The job if this lease is still its current one; otherwise the refusal is noted. */
export function held(d: Draft, ref: LeaseRef): Job | null {
  const job = d.find(ref.jobId);
  if (job !== undefined && job.leaseUntil !== null && job.leaseEpoch === ref.epoch) return job;
  d.answer.refused.push(job === undefined
    ? { jobId: ref.jobId, code: 'not_found', message: `There is no job ${ref.jobId}.` }
    : { jobId: ref.jobId, code: 'lease_lost', message: `Lease ${ref.epoch} of ${ref.jobId} is over: the job is ${job.status}, its current lease is ${job.leaseEpoch}.` });
  return null;
}

export function decideFinish(d: Draft, command: Of<'finish'>): void {
  for (let i = 0; i < command.ended.length; i++) {
    const item = command.ended[i] as Ended;
    if (d.isStale(item.jobId)) {
      d.again.push({ kind: 'finish', ended: command.ended.slice(i) });
      return;
    }
    const job = held(d, item);
    if (job !== null) finishOne(d, job, item);
  }
}

function finishOne(d: Draft, job: Job, { outcome }: Ended): void {
  if (job.ending !== null && endAsAsked(d, job, job.ending, outcome)) return;
  if ('documents' in outcome) keepDocuments(d, outcome.documents);
  switch (outcome.kind) {
    case 'done': return settle(d, job, 'completed', { result: outcome.result });
    case 'fail': return failAttempt(d, job, outcome.error, outcome);
    case 'later': return askLater(d, job, outcome.delay);
    case 'wait': return waitFor(d, job, outcome);
    case 'paused': return pauseJob(d, job);
    case 'interrupted': return interrupt(d, job, outcome.lost === true ? 'lost' : 'stopping', outcome.reason);
    case 'timed_out': return failAttempt(d, job, tookTooLong(outcome.after), outcome);
    case 'spawn': {
      const reason = tooLarge(outcome.children, job.depth + 1);
      if (reason !== null) return failAttempt(d, job, jobError('invalid_answer', `Its handler asked for children that cannot be: ${reason}`));
      const parent = d.put({ ...job, status: 'running', leaseUntil: null, worker: null });
      addChildren(d, parent, outcome.children);
      return judgeParent(d, job.id);
    }
  }
}

const tookTooLong = (after: number) => jobError('timeout', `The attempt ran longer than its timeout of ${after} ms.`, true);

/** Its worker stopped it because it was asked to. False: it ended by itself just before its time was up, and that counts. */
function endAsAsked(d: Draft, job: Job, { status, error }: Ending, outcome: Ended['outcome']): boolean {
  const result = 'result' in outcome ? (outcome.result ?? null) : null;
  const free = { ...job, ending: null };
  if (outcome.kind === 'wait' || outcome.kind === 'later') return false; // it could not be stopped yet; whoever claims it next is told
  if (error.code !== 'timeout') settle(d, free, status, { error, result });
  else if (outcome.kind === 'timed_out' || outcome.kind === 'interrupted') failAttempt(d, free, error, { result });
  else return false;
  return true;
}

/** What one handler answers must never refuse the ends of its neighbours in the same command. */
function tooLarge(children: readonly NewJob[], depth: number): string | null {
  try {
    checkSize(children, depth);
    return null;
  } catch (error) {
    if (error instanceof DomainError) return error.message;
    throw error;
  }
}

export function decideRenew(d: Draft, command: Of<'renew'>): void {
  for (const ref of command.leases) {
    const job = held(d, ref);
    if (job === null) d.answer.revoked.push(ref);
    else if (command.begin === true) begin(d, job);
    else d.put({ ...job, leaseUntil: d.env.now + d.policy(job).lease });
  }
}

/** The attempt begins now: its clocks start anew. */
function begin(d: Draft, job: Job): void {
  d.put({ ...job, claimedAt: d.env.now, leaseUntil: d.env.now + d.policy(job).lease });
}

export function decideNote(d: Draft, command: Of<'note'>): void {
  const job = held(d, command);
  if (job === null) throw new DomainError('lease_lost', d.answer.refused[0]?.message ?? 'The lease is over.');
  let { logBytes } = job;
  for (const { type, data } of command.events) {
    if (type !== 'job:log') { d.event(job, type, data); continue; }
    const bytes = Buffer.byteLength(data);
    if (logBytes < LOG_BYTES_MAX && logBytes + bytes >= LOG_BYTES_MAX) {
      d.event(job, 'job:gap', `{"reason":"log_full","limit":${LOG_BYTES_MAX}}`);
    }
    logBytes += bytes;
    if (logBytes < LOG_BYTES_MAX) d.event(job, type, data);
  }
  const progress = command.progress ?? job.progress;
  if (command.progress !== undefined) d.event(job, 'job:progress', `{"progress":${command.progress}}`);
  d.put({ ...job, progress, logBytes });
}

export function decideTick(d: Draft, command: Of<'tick'>): void {
  d.answer.seen = d.snapshot.found.length;
  for (const found of d.snapshot.found) {
    if (d.isStale(found.id)) return; // the rest is still due: the next tick finds it on a fresh snapshot
    const job = d.get(found.id);
    if (!isFinal(job.status)) tickOne(d, job, command);
  }
}

function tickOne(d: Draft, job: Job, { spareLeases, unheard = null }: Of<'tick'>): void {
  const { now } = d.env;
  const leased = job.leaseUntil !== null;
  const timeout = timeoutOf(job, d.policy(job));
  if (job.ending !== null && job.ending.until <= now) {
    if (leased) d.answer.revoked.push({ jobId: job.id, epoch: job.leaseEpoch });
    return settle(d, job, job.ending.status, { error: job.ending.error });
  }
  if (timeIsUp(d, job)) return;
  if (leased && unheard !== null && job.claimedAt !== null && job.claimedAt >= unheard) begin(d, job);
  else if (leased && timeout !== null && job.ending === null && job.claimedAt !== null && job.claimedAt + timeout <= now) {
    if (askToEnd(d, job, 'failed', tookTooLong(timeout))) return;
    d.answer.revoked.push({ jobId: job.id, epoch: job.leaseEpoch });
    failAttempt(d, job, tookTooLong(timeout));
  } else if (leased && (lapsesAt(job) ?? Infinity) <= now) {
    if (spareLeases) d.put({ ...job, leaseUntil: now + d.policy(job).lease }); // the server itself stood still
    else if (d.policy(job).onOrphan === 'adopt') adopt(d, job, 'worker_silent');
    else interrupt(d, job, 'lost', `Worker ${job.worker ?? '?'} stopped renewing its lease.`);
  } else {
    d.put(job); // due now: the store sets its ready flag
  }
}

/** Past its deadline, or past its time to live before it could run: ends it. */
function timeIsUp(d: Draft, job: Job): boolean {
  const { now } = d.env;
  if (job.ending !== null) return false;
  if (job.deadlineAt !== null && job.deadlineAt <= now) {
    end(d, job, jobError('deadline_exceeded', `The job did not end by its deadline of ${job.deadlineAt - job.createdAt} ms after creation.`));
    return true;
  }
  if ((job.status === 'queued' || job.status === 'retry') && job.expiresAt !== null && job.expiresAt <= now) {
    end(d, job, jobError('ttl_expired', `The job was still ${job.status} when its time to live ran out.`));
    return true;
  }
  return false;
}

/** Ends a job that time ran out for, after what this command decides at once; its open children end first. */
function end(d: Draft, job: Job, error: ReturnType<typeof jobError>): void {
  d.again.push({ kind: 'end', jobId: job.id, status: 'failed', error });
}

export function decideRecover(d: Draft, _command: Of<'recover'>): void {
  d.answer.seen = d.snapshot.found.length;
  for (const found of d.snapshot.found) {
    if (d.isStale(found.id)) return;
    const job = d.get(found.id);
    if (job.leaseUntil === null) continue;
    if (d.policy(job).onOrphan === 'adopt') adopt(d, job, 'server_restarted');
    else interrupt(d, job, 'crash', 'The server died while this ran.');
  }
}
