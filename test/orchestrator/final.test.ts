// What a batch of batches costs its readers: reads are counted at the store's port.
import { afterEach, expect, test } from 'vitest';
import { childrenOf, renderResult } from '../../src/orchestrator/final.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { JobRecord, Store } from '../../src/store/store.ts';
import { FakeClock } from '../support/clock.ts';
import { batch, plan, POLICIES } from '../support/make.ts';
import { Bench } from '../support/store.ts';

interface Ended {
  readonly record: JobRecord;
  readonly store: Store;
  /** Reads made through `store` since it was opened. */
  readonly reads: () => number;
}

const opened: Store[] = [];
afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())));

/** A batch of `count` batches with one no-op each, all completed with `result`. */
async function ended(count: number, result: string | null): Promise<Ended> {
  const clock = new FakeClock();
  const bench = new Bench(await openStore({ path: ':memory:', clock, policies: POLICIES, writer: 'inline' }), clock);
  const root = await bench.submit(batch(Array.from({ length: count }, () => batch([plan()]))));
  await bench.open();
  for (let claims = await bench.claim(); claims.length > 0; claims = await bench.claim()) {
    await bench.run({ kind: 'finish', ended: claims.map(({ id, epoch }) => ({ jobId: id, epoch, outcome: { kind: 'done', result } })) });
  }
  const record = await bench.record(root.id);
  expect(record.job.status).toBe('completed');
  let reads = 0;
  const { store } = bench;
  opened.push(store);
  return {
    record, reads: () => reads,
    store: { ...store, job: (id) => { reads += 1; return store.job(id); }, childResults: (id, max) => { reads += 1; return store.childResults(id, max); } },
  };
}

type Shown = { children: { ordinal: number; result: { children: unknown[]; truncated?: true } }[] };

test('of more nested batches than are expanded, the rest say that they are cut; all are named', async () => {
  const { record, store, reads } = await ended(230, null);
  const { children } = JSON.parse(renderResult(record, await childrenOf(store, record))) as Shown;
  expect(children.map((child) => child.ordinal)).toEqual(Array.from({ length: 230 }, (_, i) => i));
  expect(children.map((child) => [child.result.children.length, child.result.truncated ?? false])).toEqual([
    ...Array.from({ length: 200 }, () => [1, false]), ...Array.from({ length: 30 }, () => [0, true]),
  ]);
  expect(reads()).toBe(1 + 2 * 200);
});

test('nothing is read once the bytes are used up', async () => {
  const { record, store, reads } = await ended(50, JSON.stringify('x'.repeat(1_000)));
  const { children } = JSON.parse(renderResult(record, await childrenOf(store, record, 10_000))) as Shown;
  expect(children).toHaveLength(50);
  expect(children.at(-1)?.result).toEqual({ children: [], truncated: true });
  expect(reads()).toBeLessThan(30);
});

test('others have their turn while a large tree is read', async () => {
  const { record, store } = await ended(100, null);
  let turns = 0;
  let isReading = true;
  const turn = (): void => { turns += 1; if (isReading) setImmediate(turn); };
  setImmediate(turn);
  await childrenOf(store, record);
  isReading = false;
  expect(turns).toBeGreaterThanOrEqual(3);
});
