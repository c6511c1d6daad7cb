// The schedule: what it makes, when, and what it did about instants that could not be served on time. Types and pure questions.
//
// Glossary (beside that of job.ts):
//   nominal   an instant that the pattern names; a schedule makes at most one job for each
//   due       when the schedule acts on its next nominal instant: that instant plus its jitter
//   run       what became of one nominal instant: a job, or why there is none
//   template  the job to make, as it was submitted
//   elapsed   nominal instants that are past when the schedule gets its turn
//   late      elapsed for longer than ON_TIME: the server was down, its clock was set forward, its disk was full
//
// The times of a pattern are worked out elsewhere (orchestrator/schedule-times.ts) and handed in; here they are judged.
import type { NewJob } from './commands.ts';
import type { FinalStatus, JobSpec } from './job.ts';

export const OVERLAPS = ['skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow'] as const;
/** What to do when a nominal instant comes and a run before it is open: its job, or something below it, has not ended. */
export type Overlap = (typeof OVERLAPS)[number];
export const CATCH_UPS = ['latest', 'all', 'skip'] as const;
/** What to do about late instants: serve the newest, all of them up to a maximum, or none. */
export type CatchUp = (typeof CATCH_UPS)[number];
export const SCHEDULE_STATUSES = ['active', 'paused', 'completed'] as const;
/** completed: its end is past or its pattern names no more instants. */
export type ScheduleStatus = (typeof SCHEDULE_STATUSES)[number];
export const RUN_STATUSES = ['running', 'completed', 'failed', 'cancelled', 'buffered', 'skipped', 'missed', 'dropped'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export const RUN_KINDS = ['cron', 'trigger', 'backfill'] as const;
export type RunKind = (typeof RUN_KINDS)[number];

/** A disk that hangs or a busy minute is not an outage; the figure is Temporal's smallest catch-up window. */
export const ON_TIME = 10_000;
/** Late instants that may be served at once: a rush beyond that helps nobody. */
export const CATCH_UP_MAX = 100;
/** Jobs made for late instants begin this far apart: at most ten a second. */
export const LATE_SPREAD = 100;
/** Runs that wait for the one before them. */
export const BUFFER_MAX = 1_000;
/** Jobs that one act of one schedule may add: its template's, times the instants it serves. */
export const JOBS_PER_ACT = 10_000;
export const BLACKOUTS_MAX = 100;

export interface Blackout {
  readonly from: number;
  /** Not itself in it. */
  readonly to: number;
}

export interface ScheduleSpec {
  readonly name?: string;
  readonly description?: string;
  readonly cron: string;
  readonly timezone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  /** Late instants older than this are missed, ms. */
  readonly window: number;
  /** Served by catchUp "all". */
  readonly catchUpMax: number;
  /** Each instant is served up to this much later, ms; the same for the same instant. */
  readonly jitter: number;
  readonly startAt: number | null;
  readonly endAt: number | null;
  readonly blackouts: readonly Blackout[];
  /** Failed runs in a row after which it pauses itself; null = never. */
  readonly pauseAfter: number | null;
}

/** A job to be made again and again: a NewJob whose due time counts from its making. */
export interface JobTemplate {
  readonly type: string;
  /** JSON text. */
  readonly input: string;
  readonly spec: JobSpec;
  readonly priority?: number;
  /** ms after it is made; null = held. Absent = at once. */
  readonly delay?: number | null;
  readonly children?: readonly JobTemplate[];
}

export interface ScheduleCounts {
  /** Jobs made. */
  readonly fired: number;
  /** Not served because a run was open, or in a blackout. */
  readonly skipped: number;
  /** Late, and not served by the catch-up policy. */
  readonly missed: number;
  /** Too many to serve: beyond the maximum of "all", or of the buffer. */
  readonly dropped: number;
  /** How the runs ended. */
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

export interface Schedule {
  readonly id: string;
  /** A label of whoever made it; no identity. */
  readonly client: string | null;
  readonly spec: ScheduleSpec;
  /** Type of the job it makes, and how many its template has. */
  readonly type: string;
  readonly jobs: number;
  readonly status: ScheduleStatus;
  readonly note: string | null;
  /** Rises when somebody changes it: times that were worked out for another revision are refused. */
  readonly revision: number;
  /** The next nominal instant, or null when there is none. Kept while paused. */
  readonly nextAt: number | null;
  /** When it was worked out: in the future only if the clock was set back since. */
  readonly aimedAt: number;
  readonly lastAt: number | null;
  readonly counts: ScheduleCounts;
  /** Runs whose job tree has not ended. */
  readonly open: number;
  readonly buffered: number;
  readonly failuresInRow: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Run {
  readonly scheduleId: string;
  readonly nominalAt: number;
  readonly kind: RunKind;
  readonly status: RunStatus;
  readonly reason: string | null;
  readonly jobId: string | null;
  /** Of missed and dropped instants in a row: the last of them, and how many they are. */
  readonly untilAt: number | null;
  readonly count: number;
  /** When this was decided. */
  readonly at: number;
  readonly endedAt: number | null;
}

export const NO_COUNTS: ScheduleCounts = { fired: 0, skipped: 0, missed: 0, dropped: 0, completed: 0, failed: 0, cancelled: 0 };

/** When the schedule acts next; null = not by itself. The store's index. */
export const dueAt = (schedule: Schedule): number | null =>
  schedule.status === 'active' && schedule.nextAt !== null ? schedule.nextAt + jitterOf(schedule, schedule.nextAt) : null;

/** In [0, jitter], drawn from the schedule and the instant alone: the same after a restart. FNV-1a, mixed once more since its low bits follow the last letter. */
export function jitterOf({ id, spec: { jitter } }: Pick<Schedule, 'id' | 'spec'>, nominal: number): number {
  if (jitter === 0) return 0;
  let hash = 0x811c9dc5;
  for (const letter of `${id}:${nominal}`) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) % (jitter + 1);
}

export const isBlackedOut = ({ blackouts }: ScheduleSpec, nominal: number): boolean => blackouts.some(({ from, to }) => from <= nominal && nominal < to);

export const countJobs = (template: JobTemplate): number => 1 + (template.children ?? []).reduce((sum, child) => sum + countJobs(child), 0);

/** The job for one nominal instant: it names its schedule, and carries the schedule's id as a tag. */
export function jobOf(template: JobTemplate, schedule: Pick<Schedule, 'id'>, nominal: number, now: number): NewJob {
  const job = made(template, now);
  return { ...job, spec: { ...job.spec, tags: [...(job.spec.tags ?? []), schedule.id], schedule: { id: schedule.id, at: nominal } } };
}

/** As a submission would have it: held and due times checked, the tree counted. */
export const made = ({ delay, children, ...rest }: JobTemplate, now: number): NewJob => ({
  ...rest, dueAt: delay === null ? null : now + (delay ?? 0), ...(children === undefined ? {} : { children: children.map((child) => made(child, now)) }),
});

/** Nominal instants up to now, as they were counted outside. */
export interface Elapsed {
  /** Older than the window. */
  readonly older: number;
  /** Within it. */
  readonly count: number;
  /** The newest of those, ascending: all that may still be served. */
  readonly newest: readonly number[];
}

export interface Judged {
  /** To be served, ascending. */
  readonly serve: readonly number[];
  readonly missed: number;
  readonly dropped: number;
}

/** What the catch-up policy makes of elapsed instants. Every instant is in one of the three. */
export function judgeElapsed(schedule: Pick<Schedule, 'id' | 'spec'>, { older, count, newest }: Elapsed, now: number): Judged {
  const { catchUp, catchUpMax } = schedule.spec;
  const onTime = newest.filter((nominal) => now - nominal - jitterOf(schedule, nominal) <= ON_TIME);
  const late = newest.slice(0, newest.length - onTime.length);
  const lateCount = count - onTime.length;
  if (catchUp === 'all') {
    const served = late.slice(Math.max(0, late.length - catchUpMax));
    return { serve: [...served, ...onTime], missed: older, dropped: lateCount - served.length };
  }
  // The newest late one is served by the one that is on time, if there is one.
  const served = catchUp === 'latest' && onTime.length === 0 ? late.slice(-1) : [];
  return { serve: [...served, ...onTime], missed: older + lateCount - served.length, dropped: 0 };
}

export const isEnd = (status: RunStatus): status is FinalStatus => status === 'completed' || status === 'failed' || status === 'cancelled';
