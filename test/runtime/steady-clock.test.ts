// A machine's clock that is set: what runs and waits lasts as long as it was asked to, and what was asked for at an instant
// comes at that instant.
import { expect, test } from 'vitest';
import { catchUp, ClockWatch, createSteadyClock, type SteadyClock } from '../../src/runtime/steady-clock.ts';
import { FakeClock } from '../support/clock.ts';
import { plan, WORKER } from '../support/make.ts';
import { rig, type Rig } from './rig.ts';

const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const JUMPS = [1_000, HOUR, YEAR, -1_000, -HOUR, -YEAR];

/** Everything that runs as time passes, by its own clock; the watch looks once a second. */
async function steady(): Promise<Rig & { readonly time: SteadyClock; readonly watch: ClockWatch }> {
  let time!: SteadyClock;
  const r = await rig({ time: (clock) => (time = createSteadyClock(clock)) });
  const watch = new ClockWatch(time, r.store, { warn: () => {}, error: (_, message) => r.errors.push(message) }, () => r.sweeper.replan());
  r.dispatcher.start();
  r.sweeper.start();
  watch.start();
  const { [Symbol.asyncDispose]: dispose } = r;
  return Object.assign(r, { time, watch, [Symbol.asyncDispose]: async () => { await watch.stop(); await dispose.call(r); } });
}

test('it does not jump, tells by how much the machine has, and follows when told', () => {
  const machine = new FakeClock();
  const clock = createSteadyClock(machine);
  const before = clock.now();
  machine.advance(10);
  machine.jump(HOUR);
  expect([clock.now() - before, clock.drift()]).toEqual([10, HOUR]);
  clock.follow(HOUR);
  expect([clock.now() - before, clock.drift()]).toEqual([HOUR + 10, 0]);
});

test.each(JUMPS)('a jump of %i ms takes no lease, ends no timeout, deadline or time to live, and within a second it is followed', async (jump) => {
  await using r = await steady();
  const job = await r.bench.submit(plan({ type: 'timed', spec: { deadline: 4_500 } }));
  const held = await r.bench.submit(plan({ dueAt: null, spec: { ttl: 4_500 } }));
  await r.rest();
  r.clock.jump(jump);
  await r.pass(2_000);
  expect(r.time.drift()).toBe(0);
  await r.pass(2_000);
  expect(await r.bench.job(job.id)).toMatchObject({ status: 'running', interruptions: 0, failures: 0 });
  expect(await r.bench.status(held.id)).toBe('queued');
  await r.pass(600);
  expect(await r.bench.job(job.id)).toMatchObject({ status: 'failed', error: { code: 'deadline_exceeded' } });
  expect(await r.bench.job(held.id)).toMatchObject({ status: 'failed', error: { code: 'ttl_expired' } });
});

test.each(JUMPS)('after a jump of %i ms leases are renewed as before, for longer than their term', async (jump) => {
  await using r = await steady();
  const job = await r.bench.submit(plan());
  await r.rest();
  r.clock.jump(jump);
  for (let i = 0; i < 20; i++) await r.pass(5_000);
  expect(await r.bench.job(job.id)).toMatchObject({ status: 'running', interruptions: 0 });
});

test.each(JUMPS)('a delay and a backoff last as long after a jump of %i ms as without one', async (jump) => {
  await using r = await steady();
  const delayed = await r.bench.submit(plan({ dueAt: r.time.now() + 5_000 }));
  const failing = await r.bench.submit(plan({ spec: { backoff: { kind: 'fixed', base: 5_000, cap: 5_000, jitter: false } } }));
  await r.rest();
  r.calls[0]!.end({ kind: 'fail', error: { code: 'network', message: 'once', retryable: true } });
  await r.rest();
  r.clock.jump(jump);
  await r.pass(4_900);
  expect([await r.bench.status(delayed.id), await r.bench.status(failing.id)]).toEqual(['queued', 'retry']);
  await r.pass(200);
  expect([await r.bench.status(delayed.id), await r.bench.status(failing.id)]).toEqual(['running', 'running']);
});

test('an instant that was asked for stays that instant, whichever way the clock is set', async () => {
  await using r = await steady();
  const spec = { dueAtInstant: true } as const;
  const passed = await r.bench.submit(plan({ dueAt: r.time.now() + HOUR, spec }));
  r.clock.jump(HOUR);
  await r.pass(1_000);
  await r.pass(1); // the sweep that the watch asked for
  expect(await r.bench.status(passed.id)).toBe('running');
  const ahead = await r.bench.submit(plan({ dueAt: r.time.now() + 5_000, spec }));
  r.clock.jump(-10_000);
  await r.pass(14_000);
  expect(await r.bench.status(ahead.id)).toBe('queued');
  await r.pass(1_100);
  expect(await r.bench.status(ahead.id)).toBe('running');
});

test('keys are kept for their day of real time', async () => {
  await using r = await steady();
  const send = () => r.bench.run({ kind: 'submit', jobs: [plan()], idempotency: { scope: 's', key: 'k', bodyHash: 'h' } });
  await send();
  r.clock.jump(YEAR);
  await r.pass(1_100);
  expect(await r.store.forgetKeys(r.time.now() - HOUR, 10)).toBe(0);
});

test('what is being claimed while the clock is followed is claimed by the new time', async () => {
  await using r = await steady();
  await r.dispatcher.stop();
  await r.bench.submit(plan());
  r.clock.jump(HOUR);
  const [{ claimed }] = await Promise.all([
    r.store.execute({ kind: 'claim', worker: WORKER, type: 'noop', limit: 1 }), r.store.shift(HOUR), Promise.resolve(r.time.follow(HOUR)),
  ]);
  expect(await r.bench.job(claimed[0]!.id)).toMatchObject({ leaseUntil: r.time.now() + 30_000 });
});

test('a clock that was set back while nobody was here holds nothing up', async () => {
  await using r = await steady();
  await r.watch.stop();
  const job = await r.bench.submit(plan({ dueAt: r.time.now() + 2_000 }));
  r.clock.jump(-YEAR);
  const later = createSteadyClock(r.clock);
  expect(await catchUp(later, r.store)).toBe(-YEAR);
  expect(await r.bench.job(job.id)).toMatchObject({ dueAt: later.now() + 2_000 });
  expect(await catchUp(later, { ...r.store, newestAt: () => Promise.resolve(null) })).toBe(0);
});
