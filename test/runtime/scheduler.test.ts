// The scheduler over a real store, on a clock that stands still: when it serves, what it makes up for, and what a jump does to it.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from '../../src/domain/commands.ts';
import { DomainError } from '../../src/domain/errors.ts';
import type { ScheduleSpec } from '../../src/domain/schedule.ts';
import { ScheduleTimes } from '../../src/orchestrator/schedule-times.ts';
import { Schedules } from '../../src/orchestrator/schedules.ts';
import { Scheduler } from '../../src/runtime/scheduler.ts';
import { MINUTE, spec, template } from '../support/schedules.ts';
import { rig, type Rig } from './rig.ts';

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let r: Rig;
let schedules: Schedules;
let scheduler: Scheduler;
let served: number[];

/** Another process on the same store: nothing of it remembers anything. */
function boot(): void {
  const deps = { store: r.store, jobs: r.jobs, clock: r.clock, times: new ScheduleTimes() };
  schedules = new Schedules(deps);
  scheduler = new Scheduler({ ...deps, report: { warn: (_, message) => r.errors.push(message), error: (facts, message) => r.errors.push(`${message}: ${String(facts.err)}`) }, onServed: (ms) => served.push(ms) });
  schedules.attach(() => scheduler.changed());
  scheduler.start();
}

beforeEach(async () => {
  r = await rig();
  served = [];
  boot();
});
afterEach(async () => {
  await scheduler.stop();
  await r[Symbol.asyncDispose]();
});

/** Lets time pass in steps, and what is set meanwhile for the end of a step happen at it. */
async function live(ms: number, step = MINUTE): Promise<void> {
  for (let left = ms; left > 0; left -= step) {
    await r.pass(Math.min(left, step));
    await r.pass(0);
  }
}

const add = async (more: Partial<ScheduleSpec> = {}): Promise<string> => (await schedules.create({ spec: spec(more), template: template() })).schedule.id;
const nominals = async (id: string): Promise<string[]> =>
  (await r.store.runs(id, null, 1_000)).items.filter((run) => run.jobId !== null).map((run) => new Date(run.nominalAt).toISOString().slice(0, 16)).reverse();
const fires = (): Command[] => r.sent.filter(({ kind }) => kind === 'fire');

test('serves each instant when it comes, not before, and is idle between them', async () => {
  const id = await add({ cron: '*/5 * * * *' });
  await r.rest();
  await live(5 * MINUTE - 1);
  expect(await nominals(id)).toEqual([]);
  await r.pass(1);
  expect(await nominals(id)).toEqual(['2026-01-01T00:05']);
  await live(15 * MINUTE);
  expect(await nominals(id)).toHaveLength(4);
  expect(fires().length).toBe(4);
  expect(served).toHaveLength(4);
  expect(Math.max(...served)).toBe(0);
});

test('a schedule that is due later than 2^31 ms from now is not served early: no timer is longer than a minute', async () => {
  const timers: number[] = [];
  const { after } = r.clock;
  r.clock.after = (ms, callback) => { timers.push(ms); return after.call(r.clock, ms, callback); };
  const id = await add({ cron: '0 0 1 3 *' }); // 59 days
  await r.rest();
  await live(58 * DAY, DAY);
  expect(await nominals(id)).toEqual([]);
  await live(DAY, DAY);
  expect(await nominals(id)).toEqual(['2026-03-01T00:00']);
  expect(Math.max(...timers)).toBeLessThanOrEqual(MINUTE);
});

test('one that is added, edited or resumed is served at its new time', async () => {
  const id = await add({ cron: '0 12 * * *' });
  await schedules.edit(id, (schedule) => ({ spec: { ...schedule.spec, cron: '* * * * *' } }));
  await r.pass(MINUTE);
  expect(await nominals(id)).toHaveLength(1);
  await schedules.pause(id, 'no');
  await live(10 * MINUTE);
  await schedules.resume(id);
  await r.pass(MINUTE);
  expect(await nominals(id)).toEqual(['2026-01-01T00:01', '2026-01-01T00:12']);
  await schedules.pause(id, null);
  await live(10 * MINUTE + 30_000);
  await schedules.resume(id, { catchUp: true }); // as a dialect wants it
  await r.pass(0);
  expect((await nominals(id)).at(-1)).toBe('2026-01-01T00:22');
});

test('jitter puts each instant off by the same time again, within its bound', async () => {
  const id = await add({ jitter: 30_000 });
  await live(20 * MINUTE + 30_000, 500);
  const runs = (await r.store.runs(id, null, 100)).items;
  const late = runs.map((run) => run.at - run.nominalAt);
  expect(runs).toHaveLength(20);
  expect(Math.max(...late)).toBeLessThanOrEqual(30_500);
  expect(new Set(late).size).toBeGreaterThan(10);
  const again = (await schedules.upcoming({ ...(await schedules.get(id)).schedule, nextAt: runs.at(-1)!.nominalAt }, 20)).map(({ nominal, due }) => due - nominal);
  expect(again.map((ms) => Math.ceil(ms / 500))).toEqual([...late].reverse().map((ms) => ms / 500)); // the steps of this test
});

test.each([['latest', 1, 10_079, 0], ['all', 100, 0, 9_980], ['skip', 0, 10_080, 0]] as const)('down for 7 days, every minute, catch-up %s: %i jobs, %i missed, %i dropped', async (catchUp, fired, missed, dropped) => {
  const id = await add({ catchUp });
  await r.rest();
  await scheduler.stop();
  await r.pass(7 * DAY + 30_000);
  boot();
  await r.rest();
  for (let turns = 0; turns < 100 && fires().length === 0; turns++) await r.rest(); // counted in portions
  const { schedule } = await schedules.get(id);
  expect(schedule.counts).toMatchObject({ fired, missed, dropped });
  const dues = await Promise.all((await r.store.runs(id, null, 1_000)).items.filter((run) => run.jobId !== null).map(async (run) => (await r.bench.job(run.jobId!)).dueAt!));
  dues.sort((a, b) => a - b);
  for (const [i, due] of dues.entries()) if (i >= 10) expect(due - dues[i - 10]!).toBeGreaterThanOrEqual(1_000); // ten a second
  await live(MINUTE, 5_000);
  expect((await schedules.get(id)).schedule.counts.fired).toBe(fired + 1);
});

describe('a restart in the hour that is repeated', () => {
  // London, 2026-10-25: 01:00 to 02:00 comes twice, from 00:00Z and from 01:00Z.
  test.each([['30 1 * * *', ['2026-10-25T00:30']], ['*/30 1 * * *', ['2026-10-25T00:00', '2026-10-25T00:30', '2026-10-25T01:00', '2026-10-25T01:30']]])('%s never fires twice for an instant', async (cron, expected) => {
    await r.pass(Date.parse('2026-10-24T23:59:00Z') - r.clock.now());
    const id = await add({ cron, timezone: 'Europe/London', endAt: Date.parse('2026-10-25T12:00:00Z') });
    for (let minute = 0; minute < 150; minute++) {
      await r.pass(MINUTE);
      if (minute % 7 === 0) {
        await scheduler.stop();
        boot();
        await r.rest();
      }
    }
    expect(await nominals(id)).toEqual(expected);
  });
});

describe('the clock is set', () => {
  const jump = async (ms: number): Promise<void> => {
    r.clock.jump(ms);
    scheduler.replan();
    await r.rest();
    await r.pass(0);
  };

  test('forward: what was passed over follows the catch-up policy', async () => {
    const id = await add({ cron: '0 * * * *' });
    await live(HOUR);
    await jump(5 * HOUR + 10 * MINUTE);
    expect(await nominals(id)).toEqual(['2026-01-01T01:00', '2026-01-01T06:00']);
    expect((await schedules.get(id)).schedule.counts).toMatchObject({ fired: 2, missed: 4 });
  });

  test('back: nothing that was served is served again, and what was not is, at its time', async () => {
    const id = await add({ cron: '0 * * * *' });
    await live(3 * HOUR);
    await jump(-2 * HOUR);
    await live(3 * HOUR);
    expect(await nominals(id)).toEqual(['2026-01-01T01:00', '2026-01-01T02:00', '2026-01-01T03:00', '2026-01-01T04:00']);
  });

  test('back and forth: what was served before is neither served again nor counted as missed', async () => {
    const id = await add({ overlap: 'allow' });
    await live(10 * MINUTE);
    await jump(-5 * MINUTE - 2_000);
    await jump(5 * MINUTE + 2_000);
    await live(MINUTE);
    expect((await schedules.get(id)).schedule.counts).toMatchObject({ fired: 11, missed: 0, dropped: 0 });
    expect(await nominals(id)).toHaveLength(11);
  });

  test('a year ahead and back: it does not wait a year for its next time', async () => {
    const id = await add({ cron: '0 * * * *' });
    await jump(365 * DAY);
    for (let turns = 0; turns < 50; turns++) await r.rest();
    await jump(-365 * DAY);
    await live(2 * HOUR);
    expect((await nominals(id)).slice(0, 2)).toEqual(['2026-01-01T01:00', '2026-01-01T02:00']);
    expect(r.errors.filter((line) => !/clock was set back/.test(line))).toEqual([]);
  });

  test('back while the server was down: found at the start', async () => {
    const id = await add({ cron: '0 * * * *' });
    await live(HOUR);
    await scheduler.stop();
    r.clock.jump(-10 * DAY);
    boot();
    await r.rest();
    expect((await schedules.get(id)).schedule.nextAt).toBeLessThanOrEqual(r.clock.now() + HOUR);
    expect(r.errors).toEqual(['The clock was set back; schedules look for their next instant again']);
  });
});

test('10,000 schedules due in the same minute all fire, once each, in commands of 500', async () => {
  const ids: string[] = [];
  await Promise.all(Array.from({ length: 10_000 }, async (_, i) => { ids[i] = await add({ cron: `${i % 3 === 0 ? '*' : '*/2'} * * * *`, catchUp: i % 2 === 0 ? 'latest' : 'skip' }); }));
  await r.rest();
  await live(2 * MINUTE - 1);
  for (let turns = 0; turns < 200 && fires().length < 7; turns++) await r.rest(); // those of every minute
  const before = fires().length;
  await r.pass(1);
  await r.pass(0);
  for (let turns = 0; turns < 200 && (await r.store.nextSchedule())! <= r.clock.now(); turns++) await r.rest();
  await r.rest();
  expect(fires().length - before).toBe(20);
  const counts = new Map<string, number>();
  for (let after: number | null = null; ;) {
    const page = await r.store.jobs({}, after, 1_000);
    for (const { job } of page.items) {
      const made = job.spec.schedule;
      if (made?.at === r.clock.now()) counts.set(made.id, (counts.get(made.id) ?? 0) + 1);
    }
    if (page.next === null) break;
    after = page.next;
  }
  expect(counts.size).toBe(10_000);
  expect([...counts.values()].every((n) => n === 1)).toBe(true);
}, 120_000);

test('a command that is lost, refused or answered too late is sent again, and nothing is made twice', async () => {
  const id = await add();
  await r.rest();
  const ways: ((command: Command, next: (command: Command) => Promise<never>) => Promise<never>)[] = [
    () => Promise.reject(new DomainError('storage_full', 'full')),
    async (command, next) => { await next(command); throw new DomainError('unavailable', 'the answer was lost'); },
    () => Promise.reject(new Error('a defect')),
  ];
  r.execute = (command, next) => (command.kind === 'fire' && ways.length > 0 ? ways.shift()!(command, next as never) : next(command));
  await live(3 * MINUTE, 500);
  await live(5_000, 500);
  expect(await nominals(id)).toEqual(['2026-01-01T00:01', '2026-01-01T00:02', '2026-01-01T00:03']);
  expect(r.errors).toEqual([expect.stringMatching(/could not be served.*a defect/)]);
});

test('a stop waits for what is under way and leaves no timer', async () => {
  await add();
  await r.rest();
  await scheduler.stop();
  const waiting = r.clock.waiting;
  await r.pass(10 * MINUTE);
  expect(fires()).toEqual([]);
  expect(waiting).toBe(0);
});

test('an ordinary commit costs it nothing: it looks at its timer only when a schedule was changed', async () => {
  await add();
  await r.rest();
  let asked = 0;
  const { nextSchedule } = r.store;
  (r.store as { nextSchedule: typeof nextSchedule }).nextSchedule = () => { asked += 1; return nextSchedule(); };
  for (let i = 0; i < 20; i++) await r.bench.submit({ type: 'once', input: '{}', spec: {} });
  await r.rest();
  expect(asked).toBe(0);
});
