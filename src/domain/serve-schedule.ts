// What a schedule does at its instants: fire, overlap, catch-up; and what it learns when a run ends.
import type { Draft } from './draft.ts';
import { isFinal, type Job } from './job.ts';
import {
  BUFFER_MAX, isBlackedOut, isEnd, jobOf, judgeElapsed, LATE_SPREAD, ON_TIME, type Overlap, type Run, type RunKind, type Schedule, type ScheduleCounts,
} from './schedule.ts';
import type { Due, ScheduleCommand } from './schedule-commands.ts';
import { addJob, jobError } from './transitions.ts';

interface Instant {
  readonly nominal: number;
  readonly kind: RunKind;
  /** ms after now at which its job may begin, its own delay aside. */
  readonly delay?: number;
  readonly overlap?: Overlap;
  /** Another instant of the same command would cancel it at once. */
  readonly isSuperseded?: boolean;
}

const plus = (counts: ScheduleCounts, name: keyof ScheduleCounts, n = 1): ScheduleCounts => (n === 0 ? counts : { ...counts, [name]: counts[name] + n });

/** Makes the job of a nominal instant and the run that follows it. @param known the row that there is for it: it waited, or nothing was made */
export function begin(d: Draft, schedule: Schedule, { nominal, kind, delay = 0 }: Instant, known?: Run): { readonly job: Job; readonly run: Run } {
  const { now } = d.env;
  const job = addJob(d, jobOf(d.template(schedule.id), schedule, nominal, now + delay), null, 0);
  const run: Run = { scheduleId: schedule.id, nominalAt: nominal, kind, status: 'running', reason: null, jobId: job.id, untilAt: null, count: 1, at: now, endedAt: null };
  keep(d, run, known);
  d.putSchedule({
    ...schedule, counts: plus(schedule.counts, 'fired'), open: schedule.open + 1, buffered: schedule.buffered - (known?.status === 'buffered' ? 1 : 0),
    lastAt: kind === 'cron' ? Math.max(schedule.lastAt ?? nominal, nominal) : schedule.lastAt,
  });
  return { job, run };
}

const keep = (d: Draft, run: Run, known: Run | undefined): void => (known === undefined ? d.addRun(run) : d.putRun(run));

/** May this instant be served although there is a row for it? A row of many missed ones stands at the first of them; a backfill makes up for whatever had no job. */
const isServable = (known: Run, kind: RunKind): boolean => (kind === 'backfill' ? known.jobId === null && known.status !== 'buffered' : known.untilAt !== null);

/** One nominal instant by the overlap policy. null: it was served before (the clock was set back, or it is backfilled twice). */
export function serve(d: Draft, schedule: Schedule, instant: Instant): Run | null {
  const { nominal, kind } = instant;
  const known = d.snapshot.run(schedule.id, nominal);
  if (known !== undefined && !isServable(known, kind)) return null;
  const without = (status: 'skipped' | 'dropped' | 'buffered', reason: string | null): Run => {
    const run: Run = { scheduleId: schedule.id, nominalAt: nominal, kind, status, reason, jobId: null, untilAt: null, count: 1, at: d.env.now, endedAt: null };
    keep(d, run, known);
    d.putSchedule(status === 'buffered' ? { ...schedule, buffered: schedule.buffered + 1 } : { ...schedule, counts: plus(schedule.counts, status) });
    return run;
  };
  if (kind === 'cron' && isBlackedOut(schedule.spec, nominal)) return without('skipped', 'blackout');
  if (instant.isSuperseded === true) return without('skipped', 'overlap');
  const overlap = instant.overlap ?? schedule.spec.overlap;
  if (schedule.open > 0 || schedule.buffered > 0) {
    if (overlap === 'skip') return without('skipped', 'overlap');
    if (overlap === 'buffer_one' || overlap === 'buffer_all') {
      const max = overlap === 'buffer_one' ? 1 : BUFFER_MAX;
      return schedule.buffered < max ? without('buffered', null) : without('dropped', 'buffer_full');
    }
    if (overlap === 'cancel_other') {
      const error = jobError('cancelled', `Schedule ${schedule.id} made its next job, and its overlap policy is cancel_other.`);
      for (const jobId of d.snapshot.openJobs(schedule.id)) d.again.push({ kind: 'end', jobId, status: 'cancelled', error });
    }
  }
  return begin(d, schedule, instant, known).run;
}

export function decideFire(d: Draft, { due, lateFrom }: Extract<ScheduleCommand, { kind: 'fire' }>): void {
  d.answer.seen = due.length;
  for (const one of due) {
    const schedule = d.findSchedule(one.scheduleId);
    if (schedule === undefined || schedule.status !== 'active' || schedule.revision !== one.revision || schedule.nextAt !== one.from) continue; // it moved on
    if (!isSound(one, d.env.now) || isBroken(d, schedule)) continue;
    fireOne(d, schedule, one, lateFrom);
  }
}

/** What it makes cannot be read any more: it must not stop the others that are due with it. */
function isBroken(d: Draft, schedule: Schedule): boolean {
  if (d.snapshot.template(schedule.id) !== null) return false;
  d.putSchedule({ ...schedule, status: 'paused', revision: schedule.revision + 1, updatedAt: d.env.now, note: 'What it makes is not what was stored: the disk changed it. PATCH it with a new "job", then resume it.' });
  return true;
}

/** Ascending, past, and followed by what is to come. */
function isSound({ from, elapsed: { older, count, newest }, next }: Due, now: number): boolean {
  return newest.length <= count && older >= 0 && newest.every((nominal, i) => nominal >= from && nominal <= now && nominal > (newest[i - 1] ?? -Infinity))
    && (next === null || next > (newest.at(-1) ?? from));
}

function fireOne(d: Draft, before: Schedule, { from, elapsed, next }: Due, lateFrom: number): void {
  const { now } = d.env;
  const { serve: instants, ...left } = judgeElapsed(before, elapsed, now);
  // Served before the clock was set back and forth: not missed.
  const known = left.missed + left.dropped === 0 ? 0 : d.snapshot.served(before.id, from, instants[0] ?? now + 1);
  const missed = Math.max(0, left.missed - known);
  const dropped = Math.max(0, left.dropped - Math.max(0, known - left.missed));
  let schedule: Schedule = { ...before, nextAt: next, status: next === null ? 'completed' : 'active', aimedAt: now, counts: plus(plus(before.counts, 'missed', missed), 'dropped', dropped) };
  d.putSchedule(schedule);
  if (missed + dropped > 0 && d.snapshot.run(before.id, from) === undefined && from !== instants[0]) {
    d.addRun({
      scheduleId: before.id, nominalAt: from, kind: 'cron', status: missed > 0 ? 'missed' : 'dropped', reason: `catch_up_${before.spec.catchUp}`, jobId: null,
      untilAt: instants[0] ?? now, count: missed + dropped, at: now, endedAt: null,
    });
  }
  for (const [i, nominal] of instants.entries()) {
    const isLate = now - nominal > ON_TIME + before.spec.jitter;
    const delay = isLate ? Math.max(0, lateFrom - now) + LATE_SPREAD * d.answer.late : 0;
    const run = serve(d, schedule, { nominal, kind: 'cron', delay, isSuperseded: before.spec.overlap === 'cancel_other' && i < instants.length - 1 });
    if (run?.status === 'running' && isLate) d.answer.late += 1;
    schedule = d.findSchedule(schedule.id) ?? schedule;
  }
}

/** A job that a schedule made has ended, or was retried: its run follows it, once nothing of its tree is open. */
export function decideTrack(d: Draft, jobId: string): void {
  const job = d.find(jobId);
  const made = job?.spec.schedule;
  if (job === undefined || made === undefined) return;
  const schedule = d.findSchedule(made.id);
  const run = d.snapshot.run(made.id, made.at);
  if (schedule === undefined || run === undefined || run.jobId !== jobId) return; // the schedule was deleted
  const status = isFinal(job.status) && !d.snapshot.treeOpen ? job.status : 'running';
  if (run.status === status) return;
  d.putRun({ ...run, status, endedAt: status === 'running' ? null : d.env.now });
  let { counts, failuresInRow } = schedule;
  if (isEnd(run.status)) counts = plus(counts, run.status, -1);
  if (isEnd(status)) counts = plus(counts, status);
  if (status === 'failed') failuresInRow += 1;
  if (status === 'completed') failuresInRow = 0;
  const open = schedule.open + (status === 'running' ? 1 : run.status === 'running' ? -1 : 0);
  const after = d.putSchedule({ ...schedule, counts, failuresInRow, open });
  const { pauseAfter } = schedule.spec;
  if (status === 'failed' && pauseAfter !== null && failuresInRow >= pauseAfter && after.status === 'active') {
    d.putSchedule({
      ...after, status: 'paused', revision: after.revision + 1, updatedAt: d.env.now,
      note: `It paused itself after ${failuresInRow} failed run${failuresInRow === 1 ? '' : 's'} in a row; the last was ${jobId}.`,
    });
    return;
  }
  startBuffered(d, after);
}

/** What waited for the run before it goes on, unless the schedule is paused. */
export function startBuffered(d: Draft, schedule: Schedule): Schedule {
  if (schedule.open > 0 || schedule.buffered === 0 || schedule.status === 'paused' || isBroken(d, schedule)) return schedule;
  const waited = d.snapshot.nextBuffered(schedule.id);
  if (waited === undefined) return schedule;
  begin(d, schedule, { nominal: waited.nominalAt, kind: waited.kind }, waited);
  return d.schedule(schedule.id);
}
