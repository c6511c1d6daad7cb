// The dispatcher over a real store, on a clock that stands still: what it claims, when it wakes, how it ends.
import { expect, test } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { batch, leaves, plan } from '../support/make.ts';
import { rig } from './rig.ts';

const kinds = (sent: readonly { kind: string }[]): string[] => sent.map((command) => command.kind);

test('runs no more of a type than its limit, and fills a place as soon as it is free', async () => {
  await using r = await rig({ concurrency: 3 });
  r.dispatcher.start();
  await r.jobs.submit([...leaves(5), plan({ type: 'once' })]);
  await r.rest();
  expect(r.calls.map((call) => call.claim.type).sort()).toEqual(['noop', 'noop', 'noop', 'once']);
  expect(r.dispatcher.list().find((one) => one.type === 'noop')).toEqual({ type: 'noop', limit: 3, running: 3 });
  r.calls[0]!.end();
  await r.rest();
  expect(r.calls).toHaveLength(5);
  for (const call of r.calls) call.end();
  await r.rest();
  for (const call of r.calls) call.end();
  await r.rest();
  expect((await r.store.stats()).jobs.filter(({ count }) => count > 0)).toEqual(expect.arrayContaining([{ type: 'noop', status: 'completed', count: 5 }]));
});

test('a limit changed while running counts at once: raised it claims, lowered it lets what runs end', async () => {
  await using r = await rig({ concurrency: 1 });
  r.dispatcher.start();
  await r.jobs.submit(leaves(6));
  await r.rest();
  expect(r.calls).toHaveLength(1);
  r.dispatcher.set('noop', 4);
  await r.rest();
  expect(r.calls).toHaveLength(4);
  r.dispatcher.set('noop', 2);
  r.calls[0]!.end();
  r.calls[1]!.end();
  await r.rest();
  expect(r.calls).toHaveLength(4);
  r.calls[2]!.end();
  await r.rest();
  expect(r.calls).toHaveLength(5);
  expect(() => r.dispatcher.set('nothing', 1)).toThrow(DomainError);
});

test('a limit of zero stops a type and leaves the others alone', async () => {
  await using r = await rig();
  r.dispatcher.set('noop', 0);
  r.dispatcher.start();
  await r.jobs.submit([plan(), plan({ type: 'once' })]);
  await r.rest();
  expect(r.calls.map((call) => call.claim.type)).toEqual(['once']);
  r.dispatcher.set('noop', 1);
  await r.rest();
  expect(r.calls).toHaveLength(2);
});

test('takes up what was ready before it started, and what any commit makes ready', async () => {
  await using r = await rig();
  await r.bench.submit(plan());
  r.dispatcher.start();
  await r.rest();
  expect(r.calls).toHaveLength(1);
  const held = await r.bench.submit(plan({ dueAt: null }));
  await r.rest();
  expect(r.calls).toHaveLength(1);
  await r.bench.run({ kind: 'start', jobId: held.id });
  await r.rest();
  expect(r.calls).toHaveLength(2);
});

test('is not put off by a claim that was decided just before the job became ready, in the same commit', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const held = await r.bench.submit(plan({ dueAt: null }));
  await r.rest();
  r.dispatcher.nudge(['noop']); // finds nothing
  await r.bench.run({ kind: 'start', jobId: held.id }); // shares its commit
  await r.rest();
  expect(r.calls).toHaveLength(1);
});

test('sends nothing while there is nothing to do, for a day, with a sweeper beside it', async () => {
  await using r = await rig();
  r.dispatcher.start();
  r.sweeper.start();
  await r.jobs.submit([plan(), plan({ dueAt: null }), plan({ dueAt: r.clock.now() + 48 * 3_600_000 })]);
  await r.rest();
  r.calls[0]!.end();
  await r.pass(60_000);
  r.sent.length = 0;
  for (let hour = 0; hour < 24; hour++) await r.pass(3_600_000);
  expect(kinds(r.sent)).toEqual([]);
});

test('a job that is due later runs then, and one that failed runs again after its backoff', async () => {
  await using r = await rig();
  r.dispatcher.start();
  r.sweeper.start();
  await r.jobs.submit([plan({ dueAt: r.clock.now() + 5_000 })]);
  await r.pass(4_999);
  expect(r.calls).toHaveLength(0);
  await r.pass(1);
  expect(r.calls).toHaveLength(1);
  r.calls[0]!.end({ kind: 'fail', error: { code: 'network', message: 'No.', retryable: true }, delay: 300 });
  await r.rest();
  await r.pass(299);
  expect(r.calls).toHaveLength(1);
  await r.pass(1);
  expect(r.calls[1]!.claim).toMatchObject({ attempt: 2, failures: 1 });
});

test('opens batches, runs their children within their width and ends the tree', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [root] } = await r.jobs.submit([batch([batch(leaves(2), { width: 1 }), plan()])]);
  for (let i = 0; i < 3; i++) {
    await r.rest();
    for (const call of r.calls) call.end();
  }
  await r.rest();
  expect(await r.bench.status(root!.id)).toBe('completed');
});

test('renews the leases of what runs, so that none is lost while its handler lives', async () => {
  await using r = await rig();
  r.dispatcher.start();
  r.sweeper.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  for (let i = 0; i < 20; i++) await r.pass(10_000);
  expect(r.calls).toHaveLength(1);
  expect(r.calls[0]!.context.signal.aborted).toBe(false);
  r.calls[0]!.end();
  await r.rest();
  expect(await r.bench.status(job!.id)).toBe('completed');
});

test('what a handler throws is a failure that may be tried again, thrown at once or later', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [later, atOnce] } = await r.jobs.submit([plan(), plan({ type: 'throws' })]);
  await r.rest();
  r.calls[0]!.break(new Error('later'));
  await r.rest();
  for (const [job, message] of [[later, 'later'], [atOnce, 'at once']] as const) {
    expect(await r.bench.job(job!.id)).toMatchObject({ status: 'retry', failures: 1, error: { code: 'handler_error', message, retryable: true } });
  }
});

test('ends that the store refuses for want of space are said again until they are kept', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  r.execute = (command, next) => (command.kind === 'finish' ? Promise.reject(new DomainError('storage_full', 'Full.')) : next(command));
  r.calls[0]!.end();
  await r.rest();
  expect(await r.bench.status(job!.id)).toBe('running');
  r.execute = (command, next) => next(command);
  await r.pass(1_000);
  expect(await r.bench.status(job!.id)).toBe('completed');
});

test('a run whose end is refused for good is given back at the next renewals until that is written, and run again', async () => {
  await using r = await rig();
  r.dispatcher.start();
  r.sweeper.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  r.execute = (command, next) => (command.kind === 'finish' ? Promise.reject(new DomainError('unavailable', 'A defect.')) : next(command));
  r.calls[0]!.end();
  await r.rest();
  await r.pass(40_000); // longer than a lease: the sweep takes nothing back that this process holds
  expect(await r.bench.job(job!.id)).toMatchObject({ status: 'running', interruptions: 0 });
  r.execute = (command, next) => next(command);
  await r.pass(10_000);
  expect(r.calls).toHaveLength(2);
  expect(await r.bench.record(job!.id)).toMatchObject({ job: { status: 'running', failures: 0, interruptions: 1 }, attempts: [{ outcome: 'interrupted' }] });
});

test('a stop does not wait for room: ends that the store refuses are left to the next start', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [done, runs] } = await r.jobs.submit([plan(), plan()]);
  await r.rest();
  r.execute = (command, next) => (command.kind === 'finish' ? Promise.reject(new DomainError('storage_full', 'Full.')) : next(command));
  r.calls[0]!.end();
  await r.rest();
  const stopped = r.dispatcher.stop(2_000);
  for (let i = 0; i < 5; i++) await r.pass(1_000);
  await stopped;
  for (const job of [done, runs]) expect(await r.bench.status(job!.id)).toBe('running');
  expect(r.errors).toEqual([]);
});
