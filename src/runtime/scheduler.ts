// Serves schedules: when one is due, its times are worked out here and one command serves as many as are due with it.
// The store is the timer (next_at, advanced in the commit that makes the job): one timer here, for the earliest of them, in
// pieces of a minute at most. Killed anywhere, the next start finds what was not served and nothing that was.
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import { CATCH_UP_MAX, dueAt, LATE_SPREAD, type Schedule } from '../domain/schedule.ts';
import type { Due } from '../domain/schedule-commands.ts';
import type { Jobs } from '../orchestrator/jobs.ts';
import type { ScheduleTimes } from '../orchestrator/schedule-times.ts';
import type { Store } from '../store/store.ts';
import type { Report, Service } from './service.ts';

/** Schedules served by one command: about 20 ms of the writer. */
const FIRE_MAX = 500;
/** Jobs in one command, if it serves more than one schedule. */
const FIRE_JOBS = 1_000;
/** Longest sleep: a wall clock that jumps is noticed within this, and no timer comes near 2^31 ms. */
const SLEEP_MAX = 60_000;
/** After a pass that failed or got nowhere. */
const RETRY_AFTER = 1_000;
/** A clock that stands before the instant at which a schedule was aimed by less than this was not set, only read twice. */
const AHEAD = 1_000;

export interface SchedulerDeps {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly times: ScheduleTimes;
  readonly report: Report;
  /** ms from due to durable, for each schedule served. */
  readonly onServed?: (lateness: number) => void;
}

export class Scheduler implements Service {
  readonly #deps: SchedulerDeps;
  #isRunning = false;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;
  #work: Promise<void> = Promise.resolve();
  #isBusy = false;
  #again = false;
  /** Jobs for late instants begin from here on, however many commands make them. */
  #lateFrom = 0;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#run(true);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#work;
  }

  /** The clock was set: instants are nearer or farther than they were. */
  replan(): void {
    if (!this.#isRunning) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#lateFrom = 0;
    this.#run(true);
  }

  /** A schedule was added or changed. Told, and not looked for after each commit: most have nothing to do with schedules. */
  changed(): void { void this.#plan(); }

  /** Sets the timer to the earliest due schedule, if that is earlier than what it is set to. */
  async #plan(): Promise<void> {
    if (this.#isBusy || !this.#isRunning) return; // it plans when it is done
    const at = await this.#deps.store.nextSchedule().catch(() => null);
    if (at === null || !this.#isRunning || this.#isBusy) return;
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#set(at);
  }

  #set(at: number): void {
    this.#timer?.cancel();
    const { clock } = this.#deps;
    const wait = Math.min(SLEEP_MAX, Math.max(0, at - clock.now()));
    this.#timer = { at, cancel: clock.after(Math.ceil(wait), () => {
      this.#timer = null;
      this.#run(false);
    }) };
  }

  #run(hasClockMoved: boolean): void {
    if (!this.#isRunning) return;
    if (this.#isBusy) {
      this.#again ||= hasClockMoved;
      return;
    }
    this.#isBusy = true;
    this.#work = this.#pass(hasClockMoved).finally(() => {
      this.#isBusy = false;
      if (this.#again) {
        this.#again = false;
        this.#run(true);
      } else void this.#plan();
    });
  }

  async #pass(hasClockMoved: boolean): Promise<void> {
    const { store, clock, report } = this.#deps;
    try {
      if (hasClockMoved) await this.#aimAgain();
      for (let before = ''; this.#isRunning;) {
        const now = clock.now();
        const page = fitting(await store.dueSchedules(now, FIRE_MAX));
        const [first] = page;
        if (first === undefined) {
          const next = await store.nextSchedule();
          if (next !== null && next <= now) this.#set(now + RETRY_AFTER); // a row that cannot be read
          return;
        }
        const name = `${first.id} ${first.revision} ${first.nextAt}`;
        if (name === before) throw new Error(`Schedule ${first.id} is due at ${first.nextAt} and was not served.`);
        before = name;
        await this.#serve(page, now);
      }
    } catch (error) {
      if (!this.#isRunning) return;
      if (!(error instanceof DomainError)) report.error({ err: error }, 'Schedules could not be served; it is tried again');
      this.#set(clock.now() + RETRY_AFTER);
    }
  }

  async #serve(page: readonly Schedule[], now: number): Promise<void> {
    const { jobs, clock, times, onServed } = this.#deps;
    const turn = (): Promise<void> => new Promise((resolve) => { clock.turn(resolve); });
    /** Many schedules have the same pattern and were due at the same instant. */
    const known = new Map<string, ReturnType<ScheduleTimes['elapsed']>>();
    const due: Due[] = [];
    for (const schedule of page) {
      const { spec, nextAt } = schedule;
      if (nextAt === null) continue;
      const keep = Math.max(spec.catchUpMax, 1) + 1;
      const name = `${spec.timezone} ${spec.cron} ${nextAt} ${spec.window} ${keep} ${spec.startAt} ${spec.endAt} ${spec.jitter > 0 ? schedule.id : ''}`;
      let worked = known.get(name);
      if (worked === undefined) known.set(name, (worked = times.elapsed(schedule, nextAt, now, keep, turn)));
      due.push({ scheduleId: schedule.id, revision: schedule.revision, from: nextAt, ...(await worked) });
    }
    this.#lateFrom = Math.max(this.#lateFrom, now);
    const { late } = await jobs.execute({ kind: 'fire', due, lateFrom: this.#lateFrom });
    this.#lateFrom += late * LATE_SPREAD;
    if (onServed !== undefined) for (const schedule of page) onServed(Math.max(0, clock.now() - (dueAt(schedule) ?? now)));
  }

  /** The clock was set back: what was aimed at from a later instant is aimed at again. What was served stays served. */
  async #aimAgain(): Promise<void> {
    const { store, jobs, clock, times, report } = this.#deps;
    for (let count = 0; this.#isRunning;) {
      const page = await store.schedulesAhead(clock.now() + AHEAD, FIRE_MAX);
      if (page.length === 0) return;
      if (count === 0) report.warn({ schedules: page.length }, 'The clock was set back; schedules look for their next instant again');
      count += page.length;
      await Promise.all(page.map(({ id, revision, spec }) =>
        jobs.execute({ kind: 'aimSchedule', scheduleId: id, revision, next: times.after(spec, clock.now()) }).catch((error: unknown) => {
          if (!(error instanceof DomainError) || (error.code !== 'conflict' && error.code !== 'not_found')) throw error;
        })));
    }
  }
}

/** The first, and those after it as long as their jobs fit one commit. */
function fitting(page: readonly Schedule[]): readonly Schedule[] {
  let jobs = 0;
  const end = page.findIndex((schedule, i) => (jobs += schedule.jobs * (schedule.spec.catchUp === 'all' ? Math.min(CATCH_UP_MAX, schedule.spec.catchUpMax) : 1)) > FIRE_JOBS && i > 0);
  return end < 0 ? page : page.slice(0, end);
}
