// The verbs of schedules, for every dialect: times are worked out here, what they mean is decided where the rows are locked.
import type { Answer } from '../domain/commands.ts';
import { DomainError } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import { type JobTemplate, jitterOf, isBlackedOut, type Run, type Schedule, type ScheduleSpec } from '../domain/schedule.ts';
import type { ScheduleChange, ScheduleCommand } from '../domain/schedule-commands.ts';
import type { Clock } from '../domain/clock.ts';
import type { ScheduleRecord, Store } from '../store/store.ts';
import type { Jobs } from './jobs.ts';
import { type ClockChange, type Pattern, PatternError, type ScheduleTimes } from './schedule-times.ts';

/** Instants of one backfill: as many runs as may wait for one another. */
export const BACKFILL_MAX = 1_000;
/** Changed under our hands this often in a row: somebody else is faster for good. */
const TRIES = 5;

export interface NewSchedule {
  readonly spec: ScheduleSpec;
  readonly template: JobTemplate;
  readonly client?: string | null;
  readonly paused?: boolean;
  readonly note?: string | null;
}

export interface Preview {
  readonly at: number;
  /** ms that the zone is ahead of UTC then. */
  readonly offset: number;
  /** Its local day leaves out or repeats times. */
  readonly change: ClockChange | null;
}

export interface ScheduleDeps {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly times: ScheduleTimes;
}

export class Schedules {
  readonly times: ScheduleTimes;
  readonly #store: Store;
  readonly #jobs: Jobs;
  readonly #clock: Clock;
  #onChanged: () => void = () => {};

  constructor({ store, jobs, clock, times }: ScheduleDeps) {
    this.#store = store;
    this.#jobs = jobs;
    this.#clock = clock;
    this.times = times;
  }

  /** Tied once by the composition root: the scheduler looks at its timer again. */
  attach(onChanged: () => void): void {
    this.#onChanged = onChanged;
  }

  async get(id: string): Promise<ScheduleRecord> {
    const record = await this.#store.schedule(id);
    if (record === null) throw new DomainError('not_found', `There is no schedule ${id}.`, { hint: 'Check the id; a deleted schedule is gone for good.' });
    return record;
  }

  async create({ spec, template, client = null, paused = false, note = null }: NewSchedule): Promise<ScheduleRecord> {
    const { schedule } = await this.#execute({ kind: 'addSchedule', spec, template, client, paused, note, next: this.#first(spec) });
    return { schedule: some(schedule), template };
  }

  /** `change` is made from the schedule as it is; it is made again if somebody else was faster. */
  async edit(id: string, change: (now: Schedule) => ScheduleChange): Promise<Schedule> {
    return this.#fenced(id, ({ schedule }) => {
      const wanted = change(schedule);
      const { spec } = wanted;
      const moved = spec !== undefined && (['cron', 'timezone', 'startAt', 'endAt'] as const).some((key) => spec[key] !== schedule.spec[key]);
      return { kind: 'editSchedule', scheduleId: id, revision: schedule.revision, change: wanted, ...(moved ? { next: this.#first(spec) } : {}) };
    });
  }

  async pause(id: string, note: string | null): Promise<Schedule> {
    return some((await this.#execute({ kind: 'pauseSchedule', scheduleId: id, note })).schedule);
  }

  /** What passed while it was paused was not to run. `catchUp`: it is judged as if the server had been down. */
  async resume(id: string, options: { readonly catchUp?: boolean } = {}): Promise<Schedule> {
    return this.#fenced(id, ({ schedule: { spec, revision } }) => ({
      kind: 'resumeSchedule', scheduleId: id, revision, ...(options.catchUp === true ? {} : { next: this.times.after(spec, this.#clock.now()) }),
    }));
  }

  async trigger(id: string): Promise<{ readonly schedule: Schedule; readonly run: Run; readonly job: Job }> {
    const { schedule, runs: [run], jobs: [job] } = await this.#execute({ kind: 'triggerSchedule', scheduleId: id });
    return { schedule: some(schedule), run: some(run), job: some(job) };
  }

  /** Runs for the instants of a range that have none. */
  async backfill(id: string, from: number, to: number, overlap: 'allow' | 'buffer_all'): Promise<{ readonly schedule: Schedule; readonly runs: readonly Run[]; readonly instants: number }> {
    const { schedule: { spec } } = await this.get(id);
    if (from > to) throw new DomainError('invalid', 'The range of a backfill ends before it begins.', { hint: 'Let "from" be the earlier of the two.' });
    if (to > this.#clock.now()) throw new DomainError('invalid', 'The range of a backfill ends in the future.', { hint: 'What is to come runs by itself.' });
    const instants = await this.times.between({ cron: spec.cron, timezone: spec.timezone }, from, to, BACKFILL_MAX, this.#turn);
    if (instants.length > BACKFILL_MAX) throw new DomainError('invalid', `The range has more than ${BACKFILL_MAX} instants.`, { hint: 'Backfill it in parts.' });
    const { schedule, runs } = await this.#execute({ kind: 'backfillSchedule', scheduleId: id, instants, overlap });
    return { schedule: some(schedule), runs, instants: instants.length };
  }

  async remove(id: string): Promise<void> {
    await this.#execute({ kind: 'removeSchedule', scheduleId: id });
  }

  /** @throws PatternError */
  preview(pattern: Pattern, from: number, count: number): Preview[] {
    this.times.check(pattern);
    const { timezone } = pattern;
    const list = this.times.next(pattern, from, count);
    if (list.length === 0) throw new PatternError('cron', `${JSON.stringify(pattern.cron)} names no time there will ever be.`, 'Check day and month: there is no 31 February.');
    return list.map((at) => ({ at, offset: this.times.offset(timezone, at), change: this.times.clockChange(timezone, at) }));
  }

  /** Its next instants, as it would serve them now. */
  upcoming(schedule: Schedule, count: number): { readonly nominal: number; readonly due: number; readonly isBlackedOut: boolean }[] {
    const { spec, nextAt } = schedule;
    if (nextAt === null) return [];
    return this.times.next(spec, nextAt - 1, count).map((nominal) => ({ nominal, due: nominal + jitterOf(schedule, nominal), isBlackedOut: isBlackedOut(spec, nominal) }));
  }

  /** The pattern is sound and names an instant to come, or to come after its start. @throws PatternError */
  #first(spec: ScheduleSpec): number | null {
    this.times.check(spec);
    if (spec.startAt !== null && spec.endAt !== null && spec.endAt < spec.startAt) throw new DomainError('invalid', 'The schedule ends before it starts.');
    const next = this.times.after(spec, this.#clock.now());
    if (next === null && this.times.after({ cron: spec.cron, timezone: spec.timezone }, this.#clock.now()) === null) {
      throw new PatternError('cron', `${JSON.stringify(spec.cron)} names no time there will ever be.`, 'Check day and month: there is no 31 February.');
    }
    return next;
  }

  /** A turn of the event loop. */
  readonly #turn = (): Promise<void> => new Promise((resolve) => { this.#clock.turn(resolve); });

  async #fenced(id: string, command: (record: ScheduleRecord) => ScheduleCommand): Promise<Schedule> {
    for (let tries = 1; ; tries++) {
      try {
        return some((await this.#execute(command(await this.get(id)))).schedule);
      } catch (error) {
        if (!(error instanceof DomainError) || error.code !== 'conflict' || error.details['revision'] === undefined) throw error;
        if (tries === TRIES) throw new DomainError('overloaded', `Schedule ${id} is being changed by others all the time; nothing was changed.`);
      }
    }
  }

  async #execute(command: ScheduleCommand): Promise<Answer> {
    const answer = await this.#jobs.execute(command);
    this.#onChanged();
    return answer;
  }
}

function some<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('The store answered nothing.');
  return value;
}

