// A disk that does not answer: who waits for it waits, and the store says so.
import Database from 'better-sqlite3';
import { afterAll, expect, it } from 'vitest';
import { openStore } from '../../../src/store/sqlite/index.ts';
import { FakeClock } from '../../support/clock.ts';
import { plan, POLICIES } from '../../support/make.ts';
import { Bench, tempFolder } from '../../support/store.ts';

const folder = tempFolder();
afterAll(() => folder.remove());

it('a write that has waited two seconds makes the store stalled, until it is written; reads go on, new work is refused', async () => {
  const clock = new FakeClock();
  const path = folder.file('stalled.db');
  const store = await openStore({ path, clock, policies: POLICIES });
  const bench = new Bench(store, clock);
  const { id } = await bench.submit(plan());
  const hand = new Database(path); // holds the writer up, as a disk does that hangs
  hand.exec('BEGIN IMMEDIATE');
  const late = bench.submit(plan());
  clock.advance(2_000);
  expect(store.health()).toBe('ok');
  clock.advance(1);
  expect(store.health()).toBe('stalled');
  expect((await store.job(id))?.job.status).toBe('queued');
  await expect(bench.submit(plan())).rejects.toMatchObject({ code: 'overloaded' });
  hand.exec('ROLLBACK');
  hand.close();
  await late;
  expect(store.health()).toBe('ok');
  await store.close();
});
