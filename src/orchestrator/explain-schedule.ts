// Why a schedule is not firing, as ordered reasons with a code and what would change it. Pure: facts in, reasons out.
import { dueAt, isBlackedOut, type Schedule } from '../domain/schedule.ts';
import type { StoreHealth } from '../store/store.ts';

export const SCHEDULE_REASONS = ['paused', 'completed', 'storage_full', 'late', 'not_started', 'blackout', 'overlap', 'waiting'] as const;

export interface ScheduleReason {
  readonly code: (typeof SCHEDULE_REASONS)[number];
  readonly message: string;
  readonly unblock: string;
}

export interface ScheduleFacts {
  readonly schedule: Schedule;
  readonly openJobs: readonly string[];
  readonly health: StoreHealth;
  readonly now: number;
}

const iso = (at: number): string => new Date(at).toISOString();

/** Due for longer than this means that something keeps it. */
const LATE = 3_000;

/** Empty: it has something to do, and does it. */
export function explainSchedule({ schedule, openJobs, health, now }: ScheduleFacts): ScheduleReason[] {
  const { id, status, spec, nextAt, note } = schedule;
  const reasons: ScheduleReason[] = [];
  const path = `/api/schedules/${id}`;
  if (status === 'paused') reasons.push({ code: 'paused', message: note === null ? 'It is paused.' : `It is paused: ${note}`, unblock: `POST ${path}/resume` });
  if (nextAt === null) {
    const why = spec.endAt !== null && spec.endAt <= now ? `It ended at ${iso(spec.endAt)}.` : 'Its pattern names no more times within its start and end.';
    return [...reasons, { code: 'completed', message: why, unblock: `PATCH ${path} with another endAt or cron` }];
  }
  if (health === 'full') reasons.push({ code: 'storage_full', message: 'The disk is full; no new work is made.', unblock: 'Free space on the disk of the database; late instants are then served by the catch-up policy.' });
  const due = dueAt(schedule);
  if (due !== null && now - due > LATE) reasons.push({ code: 'late', message: `It was due at ${iso(due)} and waits for its turn.`, unblock: 'It is served by itself; more is due, or the disk takes longer, than usual.' });
  if (spec.startAt !== null && spec.startAt > now) reasons.push({ code: 'not_started', message: `It starts at ${iso(spec.startAt)}.`, unblock: `PATCH ${path} with another startAt` });
  if (isBlackedOut(spec, nextAt)) reasons.push({ code: 'blackout', message: `Its next instant, ${iso(nextAt)}, is in a blackout and will be skipped.`, unblock: `PATCH ${path} with other blackouts, or POST ${path}/trigger` });
  if (schedule.open > 0 && spec.overlap !== 'allow') {
    const what = { skip: 'its instants are skipped', buffer_one: 'one waits and the others are dropped', buffer_all: `${schedule.buffered} wait`, cancel_other: 'the next cancels it' }[spec.overlap];
    const jobs = openJobs.length === 0 ? '' : ` (${openJobs.slice(0, 3).join(', ')}${openJobs.length > 3 ? ', …' : ''})`;
    reasons.push({ code: 'overlap', message: `${schedule.open} of its runs ${schedule.open === 1 ? 'is' : 'are'} open${jobs}: ${what}.`, unblock: `Wait for it to end, cancel it, or PATCH ${path} {"overlap":"allow"}` });
  }
  if (reasons.length === 0 && due !== null && due > now) reasons.push({ code: 'waiting', message: `It runs at ${iso(due)}.`, unblock: `It runs by itself; POST ${path}/trigger runs it now.` });
  return reasons;
}
