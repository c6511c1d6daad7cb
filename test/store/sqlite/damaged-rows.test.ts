// Rows that the disk changed under a sound structure: refused by name, one by one, and in nobody else's way.
import Database from 'better-sqlite3';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type SqliteStore } from '../../../src/store/sqlite/index.ts';
import type { JobFilter, JobPage } from '../../../src/store/store.ts';
import { FakeClock } from '../../support/clock.ts';
import { plan, POLICIES } from '../../support/make.ts';
import { Bench, tempFolder } from '../../support/store.ts';

let folder: ReturnType<typeof tempFolder>;
let path: string;
let clock: FakeClock;
const stores: SqliteStore[] = [];
beforeEach(() => {
  folder = tempFolder();
  path = folder.file('m.db');
  clock = new FakeClock();
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

async function bench(): Promise<Bench> {
  const store = await openStore({ path, clock, policies: POLICIES });
  stores.push(store);
  return new Bench(store, clock);
}

async function damaged(): Promise<string> {
  const first = await bench();
  const { id } = await first.submit(plan({ input: '{"text":"needle-in-a-payload"}' }));
  await first.store.close();
  const bytes = readFileSync(path);
  const at = bytes.indexOf('needle-in-a-payload');
  expect(at).toBeGreaterThan(0);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(path, bytes);
  return id;
}

test('a flipped bit is found by every read of that row, and by no other', async () => {
  const id = await damaged();
  const b = await bench();
  const other = await b.submit(plan({ input: '{"text":"sound"}' }));
  await expect(b.store.job(id)).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining(id) });
  await expect(b.store.jobs({}, null, 10)).resolves.toMatchObject({ items: [{ job: { id: other.id } }], damaged: [{ id, what: expect.stringContaining(id) }], next: null });
  expect(await b.record(other.id)).toMatchObject({ input: '{"text":"sound"}' });
  expect(b.store.health()).toBe('ok');
});

test('a flipped bit is found by the claim that would run it: that job fails and says why, its neighbours run', async () => {
  const id = await damaged();
  const b = await bench();
  const other = await b.submit(plan());
  expect((await b.claim()).map((claim) => claim.id)).toEqual([other.id]);
  expect((await b.store.lineage(id))[0]).toMatchObject({ status: 'failed', error: { code: 'damaged', retryable: false } });
  expect(b.store.health()).toBe('ok');
});

test('damage in a job\'s own row does not stop the claims and sweeps that meet it', async () => {
  const first = await bench();
  const ready = await first.submit(plan({ spec: { tags: ['needle-ready'] } }));
  const due = await first.submit(plan({ spec: { tags: ['needle-due'] }, dueAt: clock.now() + 1_000 }));
  const sound = await first.submit(plan({ dueAt: clock.now() + 1_000 }));
  await first.store.close();
  const db = new Database(path);
  db.prepare("UPDATE job SET spec = replace(spec, '{', '[') WHERE spec IS NOT NULL").run();
  db.close();
  const b = await bench();
  await b.pass(2_000);
  expect((await b.claim()).map((claim) => claim.id)).toEqual([sound.id]);
  for (const { id } of [ready, due]) await expect(b.store.job(id)).rejects.toMatchObject({ code: 'damaged' });
  expect(await b.store.nextAlarm()).not.toBeNull(); // the sound one's lease: the others have none
  expect(b.store.health()).toBe('ok');
});

test('lists leave it out and name it, page by page, and its neighbours are all there', async () => {
  const first = await bench();
  const batch = await first.submit({ type: 'batch', input: '{}', spec: {}, children: Array.from({ length: 10 }, (_, i) => plan({ input: `{"text":"needle-${i}"}`, spec: { tags: ['one-of-ten'] } })) });
  const ids = (await first.children(batch.id)).map(({ id }) => id);
  await first.store.close();
  const bytes = readFileSync(path);
  // The first two and the last of a page of three, a whole page, and the last of all.
  const broken = [0, 1, 2, 5, 9];
  for (const i of broken) bytes[bytes.indexOf(`needle-${i}`)]! ^= 1;
  writeFileSync(path, bytes);
  const { store } = await bench();
  const pages = async (read: (after: number | null) => Promise<JobPage>) => {
    const seen = { items: [] as string[], damaged: [] as string[] };
    for (let after: number | null = null; ;) {
      const page = await read(after);
      seen.items.push(...page.items.map(({ job }) => job.id));
      seen.damaged.push(...page.damaged.map(({ id }) => id));
      if (page.next === null) return seen;
      after = page.next;
    }
  };
  const sound = ids.filter((_, i) => !broken.includes(i));
  const lost = ids.filter((_, i) => broken.includes(i));
  expect(await pages((after) => store.children(batch.id, null, after, 3))).toEqual({ items: sound, damaged: lost });
  const back = { items: sound.toReversed(), damaged: lost.toReversed() };
  for (const filter of [{ parentId: batch.id }, { tag: 'one-of-ten' }, { type: 'noop' }] satisfies JobFilter[]) expect(await pages((after) => store.jobs(filter, after, 3))).toEqual(back);
  // A search compares what is there; what it finds is checked.
  expect(await pages((after) => store.jobs({ text: 'NEEDLE' }, after, 3))).toEqual({ items: back.items, damaged: [] });
  for (const id of lost) await expect(store.job(id)).rejects.toMatchObject({ code: 'damaged' });
});
