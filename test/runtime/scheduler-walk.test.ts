// Random lives of a scheduler, from a seed: time passes, processes die with commands on their way, the clock is set, the disk is
// full for a while, jobs end in every way, schedules are paused and changed. After every step the books must balance.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Answer, Command } from '../../src/domain/commands.ts';
import { DomainError } from '../../src/domain/errors.ts';
import { CATCH_UPS, OVERLAPS, type Run } from '../../src/domain/schedule.ts';
import { ScheduleTimes } from '../../src/orchestrator/schedule-times.ts';
import { Schedules } from '../../src/orchestrator/schedules.ts';
import { Scheduler } from '../../src/runtime/scheduler.ts';
import { MINUTE, spec, template } from '../support/schedules.ts';
import { rig, type Rig } from './rig.ts';

const RUNS = Number(process.env['MUSTER_WALKS'] ?? 25);
const HOUR = 60 * MINUTE;

type Step =
  | { readonly what: 'pass'; readonly minutes: number }
  | { readonly what: 'die'; /** The command under way is carried out although its answer is lost. */ readonly isDone: boolean; readonly down: number }
  | { readonly what: 'jump'; readonly by: number }
  | { readonly what: 'full'; readonly minutes: number }
  | { readonly what: 'end'; readonly how: 'done' | 'fail' }
  | { readonly what: 'pause' | 'resume' | 'edit' | 'retry'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('die' as const), isDone: fc.boolean(), down: fc.constantFrom(0, 500, MINUTE, 7 * MINUTE, 3 * HOUR) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('jump' as const), by: fc.constantFrom(-3 * HOUR, -MINUTE, -1_500, 1_500, MINUTE, HOUR) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('full' as const), minutes: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('end' as const), how: fc.constantFrom('done' as const, 'done' as const, 'fail' as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('pause' as const, 'resume' as const, 'edit' as const, 'retry' as const), which: fc.nat(100) }) },
);

class Life {
  readonly r: Rig;
  schedules!: Schedules;
  #scheduler: Scheduler | null = null;
  isFull = false;
  /** What becomes of the next command of a process that dies. */
  #dying: { readonly isDone: boolean } | null = null;
  readonly ids: string[] = [];
  isRetried = false;

  constructor(r: Rig) {
    this.r = r;
    r.execute = async (command: Command, next: (command: Command) => Promise<Answer>): Promise<Answer> => {
      if (command.kind === 'fire' && this.#dying !== null) {
        if (this.#dying.isDone) await next(command);
        return new Promise(() => {}); // whoever waits for it is gone
      }
      if (this.isFull && command.kind === 'fire') throw new DomainError('storage_full', 'full');
      return next(command);
    };
  }

  boot(): void {
    const { store, jobs, clock, errors } = this.r;
    const deps = { store, jobs, clock, times: new ScheduleTimes() };
    this.schedules = new Schedules(deps);
    const scheduler = new Scheduler({ ...deps, report: { warn: () => {}, error: (facts, message) => errors.push(`${message}: ${String(facts.err)}`) } });
    this.#scheduler = scheduler;
    this.schedules.attach(() => scheduler.changed());
    scheduler.start();
  }

  async die(isDone: boolean, down: number): Promise<void> {
    this.#dying = { isDone };
    await this.pass(1);
    void this.#scheduler?.stop(); // its timers; what it waits for never comes
    this.#dying = null;
    await this.r.pass(down);
    this.boot();
    await this.r.rest();
  }

  async pass(minutes: number): Promise<void> {
    for (let left = minutes * MINUTE; left > 0; left -= MINUTE / 2) {
      await this.r.pass(MINUTE / 2);
      await this.r.pass(0);
    }
  }

  replan(): void { this.#scheduler?.replan(); }
  async stop(): Promise<void> { await this.#scheduler?.stop(); }
}

async function walk(life: Life, { what, ...step_ }: Step): Promise<void> {
  const { r, schedules, ids } = life;
  const s = step_ as Record<string, any>;
  const id = ids[s['which'] % ids.length] ?? '';
  const refusable = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => { if (!(error instanceof DomainError)) throw error; });
  if (what === 'pass') await life.pass(s['minutes']);
  else if (what === 'die') await life.die(s['isDone'], s['down']);
  else if (what === 'jump') { r.clock.jump(s['by']); life.replan(); await r.rest(); await r.pass(0); }
  else if (what === 'full') { life.isFull = true; await life.pass(s['minutes']); life.isFull = false; await life.pass(1); }
  else if (what === 'end') for (const claim of await r.bench.claim('once', 5)) await r.bench[s['how'] as 'done' | 'fail'](claim);
  else if (what === 'pause') await refusable(schedules.pause(id, 'walk'));
  else if (what === 'resume') await refusable(schedules.resume(id, { catchUp: s['which'] % 2 === 0 }));
  else if (what === 'edit') await refusable(schedules.edit(id, (one) => ({ spec: { ...one.spec, cron: s['which'] % 2 === 0 ? '* * * * *' : '*/2 * * * *' } })));
  else {
    const failed = (await r.store.runs(id, null, 100)).items.find((run) => run.status === 'failed');
    if (failed !== undefined) await refusable(r.jobs.verb('retry', failed.jobId ?? ''));
  }
  await r.rest();
}

async function balance(life: Life): Promise<void> {
  const { r } = life;
  expect(r.errors).toEqual([]);
  for (const id of life.ids) {
    const { schedule } = (await r.store.schedule(id))!;
    const runs = (await r.store.runs(id, null, 100_000)).items;
    const jobs = (await r.store.jobs({ tag: id }, null, 10_000)).items.map(({ job }) => job);
    const count = (holds: (run: Run) => boolean): number => runs.filter(holds).length;
    const instants = jobs.map((job) => job.spec.schedule!.at);
    expect(new Set(instants).size, 'one job for each instant').toBe(jobs.length);
    expect(instants.every((at) => at % MINUTE === 0)).toBe(true);
    expect(runs.flatMap((run) => run.jobId ?? []).sort(), 'each job has its run').toEqual(jobs.map((job) => job.id).sort());
    expect(schedule.counts).toMatchObject({
      fired: jobs.length, skipped: count((run) => run.status === 'skipped'), completed: count((run) => run.status === 'completed'), failed: count((run) => run.status === 'failed'), cancelled: count((run) => run.status === 'cancelled'),
    });
    expect([schedule.open, schedule.buffered]).toEqual([count((run) => run.status === 'running'), count((run) => run.status === 'buffered')]);
    for (const run of runs) if (run.jobId !== null) expect(run.status).toBe({ completed: 'completed', failed: 'failed', cancelled: 'cancelled' }[jobs.find((job) => job.id === run.jobId)!.status as string] ?? 'running');
    // A retry opens a run again beside one that went on meanwhile.
    if (schedule.spec.overlap !== 'allow' && !life.isRetried) expect(schedule.open, schedule.spec.overlap).toBeLessThanOrEqual(1);
    if (schedule.spec.overlap === 'buffer_one') expect(schedule.buffered).toBeLessThanOrEqual(1);
    if (schedule.buffered > 0 && schedule.status === 'active') expect(schedule.open).toBeGreaterThan(0);
  }
}

test('whatever happens to it, every instant has one job at most and the books balance', async () => {
  let made = 0;
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
    await using r = await rig();
    const life = new Life(r);
    life.boot();
    for (const overlap of OVERLAPS) for (const catchUp of CATCH_UPS) {
      const jitter = overlap === 'allow' ? 20_000 : 0;
      const { schedule } = await life.schedules.create({ spec: spec({ overlap, catchUp, catchUpMax: 5, jitter, pauseAfter: catchUp === 'all' ? 3 : null }), template: template({ type: 'once' }) });
      life.ids.push(schedule.id);
    }
    for (const one of steps) {
      if (one.what === 'retry') life.isRetried = true;
      await walk(life, one);
      await balance(life);
    }
    made += (await r.store.scheduleCounts()).get('fired') ?? 0;
    await life.stop();
  }), { numRuns: RUNS, ...(process.env['MUSTER_PROPERTY_SEED'] === undefined ? {} : { seed: Number(process.env['MUSTER_PROPERTY_SEED']) }) });
  expect(made).toBeGreaterThan(RUNS * 20);
}, 600_000);
