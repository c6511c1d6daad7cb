// The sweeper over a real store, on a clock that stands still: when it wakes, what it spares, what it forgets.
import { expect, test } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { recover } from '../../src/runtime/sweeper.ts';
import { leaves, plan, WORKER } from '../support/make.ts';
import { rig } from './rig.ts';

const ticks = (r: { sent: readonly { kind: string }[] }): number => r.sent.filter((command) => command.kind === 'tick').length;

test('does what is due at its instant, also what was due before it started, and what a commit made due earlier', async () => {
  await using r = await rig();
  const old = await r.bench.submit(plan({ spec: { ttl: 10 }, dueAt: null }));
  r.clock.advance(1_000);
  r.sweeper.start();
  await r.rest();
  await r.pass(0);
  expect(await r.bench.status(old.id)).toBe('failed');
  const late = await r.bench.submit(plan({ spec: { ttl: 50_000 }, dueAt: null }));
  await r.rest();
  const early = await r.bench.submit(plan({ spec: { ttl: 20_000 }, dueAt: null }));
  await r.rest();
  await r.pass(20_000);
  expect(await Promise.all([early, late].map((job) => r.bench.status(job.id)))).toEqual(['failed', 'queued']);
  await r.pass(30_000);
  expect(await r.bench.status(late.id)).toBe('failed');
});

test('sends no tick before something is due, and none after it is done', async () => {
  await using r = await rig();
  r.sweeper.start();
  await r.bench.submit(plan({ dueAt: r.clock.now() + 10 * 60_000 }));
  for (let minute = 0; minute < 9; minute++) await r.pass(60_000);
  expect(ticks(r)).toBe(0);
  await r.pass(60_000);
  expect(ticks(r)).toBeGreaterThan(0);
  expect(await r.store.readyTypes(['noop'])).toEqual(['noop']);
  const before = ticks(r);
  await r.pass(3_600_000);
  expect(ticks(r)).toBe(before);
});

test('a rush hour is worked off page by page', async () => {
  await using r = await rig();
  const at = r.clock.now() + 1_000;
  await r.bench.run({ kind: 'submit', jobs: leaves(1_200, { dueAt: at }) });
  r.sweeper.start();
  await r.rest();
  await r.pass(1_000);
  expect(await r.store.nextAlarm()).toBeNull();
  expect(await r.bench.claim('noop', 2_000)).toHaveLength(1_200);
});

test('a process that stood still spares leases and still ends what ran out of time', async () => {
  await using r = await rig();
  const [leased, over] = (await r.bench.run({ kind: 'submit', jobs: [plan(), plan({ type: 'once', spec: { deadline: 40_000 } })] })).jobs;
  await r.bench.claim();
  r.sweeper.start();
  await r.rest();
  r.clock.freeze(60_000);
  await r.rest();
  expect(await r.bench.job(leased!.id)).toMatchObject({ status: 'running', interruptions: 0 });
  expect(await r.bench.status(over!.id)).toBe('failed');
  await r.pass(30_000); // silent for another whole term, while the server was awake
  expect(await r.bench.job(leased!.id)).toMatchObject({ status: 'queued', interruptions: 1 });
});

test.each([3_600_000, -3_600_000])('a wall clock set by %i ms takes no lease', async (jump) => {
  await using r = await rig();
  const job = await r.bench.submit(plan());
  await r.bench.claim();
  r.sweeper.start();
  await r.rest();
  await r.pass(1_000);
  r.clock.jump(jump);
  await r.pass(29_000);
  expect(await r.bench.job(job.id)).toMatchObject({ status: 'running', interruptions: 0 });
});

test('a tick that the store refuses is tried again', async () => {
  await using r = await rig();
  const job = await r.bench.submit(plan({ spec: { ttl: 10 }, dueAt: null }));
  r.execute = (command, next) => (command.kind === 'tick' ? Promise.reject(new Error('no')) : next(command));
  r.sweeper.start();
  await r.rest();
  await r.pass(10);
  expect(r.errors).toHaveLength(1);
  r.execute = (command, next) => next(command);
  await r.pass(1_000);
  expect(await r.bench.status(job.id)).toBe('failed');
});

test('idempotency keys are forgotten after a day, and a refusal does not end that for good', async () => {
  await using r = await rig();
  const send = () => r.bench.run({ kind: 'submit', jobs: [plan()], idempotency: { scope: 's', key: 'k', bodyHash: 'h' } });
  await send();
  r.sweeper.start();
  await r.pass(0);
  await r.pass(23 * 3_600_000);
  expect((await send()).replayed).not.toBeNull();
  const real = r.store.forgetKeys;
  (r.store as { forgetKeys: unknown }).forgetKeys = () => Promise.reject(new DomainError('storage_full', 'Full.'));
  await r.pass(3_600_000);
  expect(r.errors).toHaveLength(1);
  (r.store as { forgetKeys: unknown }).forgetKeys = real;
  await r.pass(2 * 3_600_000);
  expect((await send()).replayed).toBeNull();
});

test('stopped it leaves no timer, sends nothing more, and can be started again', async () => {
  await using r = await rig();
  const job = await r.bench.submit(plan({ spec: { ttl: 10 }, dueAt: null }));
  r.sweeper.start();
  await r.rest();
  await r.sweeper.stop();
  await r.sweeper.stop();
  expect(r.clock.waiting).toBe(0);
  await r.pass(1_000);
  expect(ticks(r)).toBe(0);
  r.sweeper.start();
  await r.pass(0);
  await r.pass(0);
  expect(await r.bench.status(job.id)).toBe('failed');
});

test('recovery takes up everything that a dead process ran, however much', async () => {
  await using r = await rig();
  await r.bench.run({ kind: 'submit', jobs: leaves(1_100) });
  await r.bench.claim('noop', 1_000);
  expect(await recover(r.jobs, WORKER)).toBe(1_000);
  expect(await r.bench.claim('noop', 2_000)).toHaveLength(1_100);
});
