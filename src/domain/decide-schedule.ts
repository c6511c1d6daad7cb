// What people ask of a schedule: add, edit, pause, resume, trigger, backfill, remove.
import { checkSize } from './decide-submit.ts';
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';
import { JOBS_PER_ACT, countJobs, made, NO_COUNTS, type JobTemplate, type Schedule, type ScheduleSpec } from './schedule.ts';
import type { ScheduleCommand } from './schedule-commands.ts';
import { begin, serve, startBuffered } from './serve-schedule.ts';

type Of<K extends ScheduleCommand['kind']> = Extract<ScheduleCommand, { kind: K }>;

const MINUTE = 60_000;

/** The template as it would be submitted, and small enough for what the schedule may do with it. */
function check(template: JobTemplate, spec: ScheduleSpec): number {
  checkSize([made(template, 0)], 0);
  const jobs = countJobs(template);
  if (spec.catchUp === 'all' && jobs * spec.catchUpMax > JOBS_PER_ACT) {
    throw new DomainError('invalid', `Catching up ${spec.catchUpMax} instants at ${jobs} jobs each would add more than ${JOBS_PER_ACT} jobs at once.`, { hint: 'Lower catchUp.max.' });
  }
  return jobs;
}

/** What the change of its times makes of its status. */
const statusFor = (schedule: Schedule, next: number | null): Schedule['status'] =>
  schedule.status === 'paused' ? 'paused' : next === null ? 'completed' : 'active';

/** @throws DomainError conflict, which the sender answers by looking again */
function fenced(d: Draft, { scheduleId, revision }: { readonly scheduleId: string; readonly revision: number }): Schedule {
  const schedule = d.schedule(scheduleId);
  if (schedule.revision !== revision) throw new DomainError('conflict', `Schedule ${scheduleId} was changed meanwhile.`, { hint: 'GET it and try again.', revision: schedule.revision });
  return schedule;
}

export function decideAddSchedule(d: Draft, { spec, template, client, paused, note, next }: Of<'addSchedule'>): void {
  const { now } = d.env;
  const jobs = check(template, spec);
  const schedule: Schedule = {
    id: d.env.newScheduleId(), client, spec, type: template.type, jobs, status: paused ? 'paused' : next === null ? 'completed' : 'active', note, revision: 1,
    nextAt: next, aimedAt: now, lastAt: null, counts: NO_COUNTS, open: 0, buffered: 0, failuresInRow: 0, createdAt: now, updatedAt: now,
  };
  d.addSchedule(schedule, template);
  d.answer.schedule = schedule;
}

export function decideEditSchedule(d: Draft, command: Of<'editSchedule'>): void {
  const before = fenced(d, command);
  const { spec = before.spec, template, client = before.client, note = before.note } = command.change;
  const jobs = check(template ?? d.template(before.id), spec);
  const nextAt = command.next === undefined ? before.nextAt : command.next;
  changed(d, {
    ...before, spec, client, note, jobs, type: template?.type ?? before.type, nextAt, status: statusFor(before, nextAt),
    aimedAt: command.next === undefined ? before.aimedAt : d.env.now,
  }, template);
}

export function decidePauseSchedule(d: Draft, { scheduleId, note }: Of<'pauseSchedule'>): void {
  const before = d.schedule(scheduleId);
  if (before.status === 'completed') throw new DomainError('conflict', `Schedule ${scheduleId} is completed; there is nothing to pause.`, { hint: 'Change its end or its pattern first.', status: before.status });
  changed(d, { ...before, status: 'paused', note: note ?? (before.status === 'paused' ? before.note : null) });
}

export function decideResumeSchedule(d: Draft, command: Of<'resumeSchedule'>): void {
  const before = fenced(d, command);
  if (before.status !== 'paused') throw new DomainError('conflict', `Schedule ${before.id} is ${before.status}; only a paused one can be resumed.`, { status: before.status });
  const nextAt = command.next === undefined ? before.nextAt : command.next;
  changed(d, { ...before, status: nextAt === null ? 'completed' : 'active', note: null, failuresInRow: 0, nextAt, aimedAt: d.env.now });
  d.answer.schedule = startBuffered(d, d.schedule(before.id));
}

export function decideAimSchedule(d: Draft, command: Of<'aimSchedule'>): void {
  const before = fenced(d, command);
  const nextAt = command.next === undefined ? before.nextAt : command.next;
  changed(d, { ...before, nextAt, status: statusFor(before, nextAt), aimedAt: d.env.now });
}

/** One run now, whatever is open and however it is paused: somebody asked for it. */
export function decideTriggerSchedule(d: Draft, { scheduleId }: Of<'triggerSchedule'>): void {
  const schedule = d.schedule(scheduleId);
  let nominal = d.env.now;
  // Patterns name whole minutes: those are theirs.
  while (nominal % MINUTE === 0 || d.snapshot.run(scheduleId, nominal) !== undefined) nominal += 1;
  const { job, run } = begin(d, schedule, { nominal, kind: 'trigger' });
  d.answer.jobs = [job];
  d.answer.runs.push(run);
  d.answer.schedule = d.schedule(scheduleId);
}

export function decideBackfillSchedule(d: Draft, { scheduleId, instants, overlap }: Of<'backfillSchedule'>): void {
  let schedule = d.schedule(scheduleId);
  if (instants.some((nominal, i) => nominal <= (instants[i - 1] ?? -Infinity))) throw new DomainError('invalid', 'The instants of a backfill ascend.');
  if (overlap === 'allow' && instants.length * schedule.jobs > JOBS_PER_ACT) {
    throw new DomainError('invalid', `${instants.length} instants at ${schedule.jobs} jobs each are more than ${JOBS_PER_ACT} jobs at once.`, { hint: 'Backfill a shorter range, or let them wait for one another with "overlap": "buffer_all".' });
  }
  for (const [i, nominal] of instants.entries()) {
    const run = serve(d, schedule, { nominal, kind: 'backfill', overlap, delay: overlap === 'allow' ? i * 100 : 0 });
    if (run !== null) d.answer.runs.push(run);
    schedule = d.schedule(scheduleId);
  }
  d.answer.schedule = schedule;
}

/** Its runs are forgotten; jobs that it made go on. */
export function decideRemoveSchedule(d: Draft, { scheduleId }: Of<'removeSchedule'>): void {
  d.schedule(scheduleId);
  d.set({ kind: 'removeSchedule', scheduleId });
}

function changed(d: Draft, schedule: Schedule, template?: JobTemplate): void {
  const after = { ...schedule, revision: schedule.revision + 1, updatedAt: d.env.now };
  d.putSchedule(after, template);
  d.answer.schedule = after;
}
