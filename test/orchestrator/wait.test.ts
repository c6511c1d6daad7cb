import { afterEach, beforeEach, expect, test } from 'vitest';
import { Waiters } from '../../src/orchestrator/wait.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { Store } from '../../src/store/store.ts';
import { FakeClock } from '../support/clock.ts';
import { whenWaiting } from '../support/http.ts';
import { batch, leaves, plan, POLICIES } from '../support/make.ts';
import { Bench, codeOf } from '../support/store.ts';

let store: Store;
let bench: Bench;
let clock: FakeClock;
let waiters: Waiters;
beforeEach(async () => {
  clock = new FakeClock();
  store = await openStore({ path: ':memory:', clock, policies: POLICIES, writer: 'inline' });
  bench = new Bench(store, clock);
  waiters = new Waiters(store, clock, 3);
});
afterEach(async () => {
  waiters.close();
  await store.close();
});

test('a parent ends for its waiter when its last child does', async () => {
  const parent = await bench.submit(batch(leaves(3)));
  await bench.open();
  const ended = waiters.wait(parent.id, 60_000);
  await whenWaiting({ clock });
  for (const claim of await bench.claim()) await bench.done(claim);
  expect((await ended)?.job.status).toBe('completed');
  expect([waiters.count, clock.waiting]).toEqual([0, 0]);
});

test('an end between the question and the wait is not missed', async () => {
  for (let i = 0; i < 20; i++) {
    await bench.submit(plan());
    const [claim] = await bench.claim();
    const [record] = await Promise.all([waiters.wait(claim!.id, 60_000), bench.done(claim!)]);
    expect(record?.job.status).toBe('completed');
  }
});

test('time, a client that goes away, a deleted job and the end of the server all end a wait', async () => {
  const job = await bench.submit(plan({ dueAt: null }));
  const gone = new AbortController();
  const timed = waiters.wait(job.id, 1_000);
  const left = waiters.wait(job.id, 60_000, gone.signal);
  const last = waiters.wait(job.id, 60_000);
  await whenWaiting({ clock }, 3);
  expect(await codeOf(waiters.wait(job.id, 1_000))).toBe('overloaded');
  clock.advance(1_000);
  expect((await timed)?.job.status).toBe('queued');
  gone.abort();
  expect((await left)?.job.status).toBe('queued');
  waiters.close();
  expect((await last)?.job.status).toBe('queued');
  expect(waiters.count).toBe(0);
  expect(await waiters.wait('job_none', 1_000)).toBeNull();
});

test('nothing is read from the log while nobody waits', async () => {
  let reads = 0;
  const counted = new Waiters({ ...store, events: (...args) => { reads++; return store.events(...args); } }, clock);
  for (let i = 0; i < 5; i++) await bench.submit(plan());
  for (const claim of await bench.claim()) await bench.done(claim);
  expect(reads).toBe(0);
  counted.close();
});
