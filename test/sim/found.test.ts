// What the simulation found, each as the shortest story that shows it.
import { expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/store/sqlite/index.ts';
import { rig } from '../runtime/rig.ts';
import { FakeClock } from '../support/clock.ts';
import { batch, plan, POLICIES } from '../support/make.ts';
import { Bench } from '../support/store.ts';

test('a child that is let in after the clock was set back runs when it is due by the new time', async () => {
  const clock = new FakeClock();
  const store = await openStore({ path: ':memory:', clock, policies: POLICIES, writer: 'inline' });
  onTestFinished(() => store.close());
  const bench = new Bench(store, clock);
  const parent = await bench.submit(batch([plan(), plan()], { width: 1 }));
  await bench.open();
  const [first] = await bench.claim();
  clock.jump(-60_000);
  await bench.done(first!);
  expect(await bench.claim(), 'by the new time it is due in a minute').toHaveLength(0);
  expect(await store.nextAlarm()).toBe((await bench.children(parent.id))[1]!.dueAt);
  await bench.pass(60_000);
  const [second] = await bench.claim();
  await bench.done(second!);
  expect(await bench.status(parent.id)).toBe('completed');
});

test('a stop does not wait for a handler that does not hear that its job was cancelled', async () => {
  const r = await rig();
  const job = await r.bench.submit(plan());
  r.dispatcher.start();
  await r.rest();
  expect(r.calls).toHaveLength(1);
  await r.jobs.cancel(job.id);
  let isStopped = false;
  const stopped = r.dispatcher.stop(2_000).then(() => { isStopped = true; });
  await r.pass(2_000);
  expect(isStopped).toBe(true);
  await stopped;
  await r[Symbol.asyncDispose]();
});
