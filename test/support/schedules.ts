// Schedules for tests: the least that is valid, and the times of a pattern of every minute without any cron.
import type { Command } from '../../src/domain/commands.ts';
import type { JobTemplate, Run, Schedule, ScheduleSpec } from '../../src/domain/schedule.ts';
import type { Due } from '../../src/domain/schedule-commands.ts';
import { EMPTY_SPEC, type JobSpec } from '../../src/domain/job.ts';
import type { Bench } from './store.ts';

export const MINUTE = 60_000;
const YEAR = 365 * 24 * 60 * MINUTE;

export const spec = (more: Partial<ScheduleSpec> = {}): ScheduleSpec => ({
  cron: '* * * * *', timezone: 'UTC', overlap: 'allow', catchUp: 'latest', window: YEAR, catchUpMax: 100, jitter: 0, startAt: null, endAt: null, blackouts: [], pauseAfter: null, ...more,
});
export const template = (more: Partial<JobTemplate> & { spec?: JobSpec } = {}): JobTemplate => ({ type: 'noop', input: '{}', spec: EMPTY_SPEC, ...more });

/** A schedule of every minute on a bench, served as the scheduler serves it. */
export class Minutely {
  readonly #b: Bench;

  constructor(bench: Bench) {
    this.#b = bench;
  }

  async add(more: Partial<ScheduleSpec> = {}, made: JobTemplate = template()): Promise<Schedule> {
    const next = this.#nextAfter(this.#b.clock.now());
    return (await this.#b.run({ kind: 'addSchedule', spec: spec(more), template: made, client: null, paused: false, note: null, next })).schedule!;
  }

  async get(id: string): Promise<Schedule> {
    const record = await this.#b.store.schedule(id);
    if (record === null) throw new Error(`no schedule ${id}`);
    return record.schedule;
  }

  /** What the scheduler would hand in now. */
  due(schedule: Schedule): Due {
    const now = this.#b.clock.now();
    const from = schedule.nextAt ?? 0;
    const all: number[] = [];
    for (let at = from; at <= now; at += MINUTE) all.push(at);
    const opens = now - schedule.spec.window - schedule.spec.jitter;
    const inside = all.filter((at) => at >= opens);
    return {
      scheduleId: schedule.id, revision: schedule.revision, from,
      elapsed: { older: all.length - inside.length, count: inside.length, newest: inside.slice(-(schedule.spec.catchUpMax + 1)) }, next: this.#nextAfter(Math.max(now, from - MINUTE)),
    };
  }

  fire(...due: Due[]) { return this.#b.run({ kind: 'fire', due, lateFrom: this.#b.clock.now() }); }

  /** Lets so many ms pass and serves it. */
  async pass(id: string, ms: number): Promise<Schedule> {
    this.#b.clock.advance(ms);
    await this.fire(this.due(await this.get(id)));
    return this.get(id);
  }

  /** Newest first. */
  async runs(id: string): Promise<readonly Run[]> { return (await this.#b.store.runs(id, null, 10_000)).items; }
  async statuses(id: string): Promise<string[]> { return (await this.runs(id)).map((run) => run.status).reverse(); }
  run(command: Command) { return this.#b.run(command); }

  #nextAfter(at: number): number { return (Math.floor(at / MINUTE) + 1) * MINUTE; }
}
