// What can be asked of schedules. Times that a pattern names are worked out by the sender and come with the command; each
// says what it was worked out for (revision, instant), and is refused when that has moved on.
import type { Elapsed, JobTemplate, ScheduleSpec } from './schedule.ts';

/** A schedule that is due: what elapsed since `from`, and what comes next. */
export interface Due {
  readonly scheduleId: string;
  readonly revision: number;
  /** Its nextAt when the times were worked out. */
  readonly from: number;
  readonly elapsed: Elapsed;
  readonly next: number | null;
}

export interface ScheduleChange {
  readonly spec?: ScheduleSpec;
  readonly template?: JobTemplate;
  readonly client?: string | null;
  readonly note?: string | null;
}

/** A revision that the sender has seen, and what it works out to from now on. Absent `next`: as it is. */
interface Aimed {
  readonly scheduleId: string;
  readonly revision: number;
  readonly next?: number | null;
}

export type ScheduleCommand =
  | { readonly kind: 'addSchedule'; readonly spec: ScheduleSpec; readonly template: JobTemplate; readonly client: string | null; readonly paused: boolean; readonly note: string | null; readonly next: number | null }
  | { readonly kind: 'editSchedule'; readonly change: ScheduleChange } & Aimed
  | { readonly kind: 'pauseSchedule'; readonly scheduleId: string; readonly note: string | null }
  | { readonly kind: 'resumeSchedule' } & Aimed
  /** The clock was set back: the next instant is nearer than it was. */
  | { readonly kind: 'aimSchedule' } & Aimed
  | { readonly kind: 'triggerSchedule'; readonly scheduleId: string }
  | { readonly kind: 'backfillSchedule'; readonly scheduleId: string; readonly instants: readonly number[]; readonly overlap: 'allow' | 'buffer_all' }
  | { readonly kind: 'removeSchedule'; readonly scheduleId: string }
  /** Many at once: 10,000 schedules of one minute are twenty of these. */
  | { readonly kind: 'fire'; readonly due: readonly Due[]; /** Jobs for late instants begin from here on. */ readonly lateFrom: number };
