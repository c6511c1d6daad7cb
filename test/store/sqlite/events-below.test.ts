// Events of a batch inside a tree: found from below while it has few children, through its tree's log when it has many.
import { expect, test } from 'vitest';
import { openStore } from '../../../src/store/sqlite/index.ts';
import type { Store } from '../../../src/store/store.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { batch, leaves, plan, POLICIES } from '../../support/make.ts';

async function all(store: Store, jobId: string): Promise<number[]> {
  const seqs: number[] = [];
  for (let after = 0; ; after = seqs.at(-1) ?? after) {
    const page = await store.events({ jobId }, after, 500);
    if (page.length === 0) return seqs;
    seqs.push(...page.map((event) => event.seq));
  }
}

test.each([3, 2_100])('a batch of %i children in a tree gives its own events and those below, at any depth, and no others', async (count) => {
  const store = await openStore({ path: ':memory:', clock: systemClock, policies: POLICIES });
  const open = { sealed: false };
  const { jobs: [root] } = await store.execute({ kind: 'submit', jobs: [batch([batch([], open), batch([], open), plan()])] });
  await store.execute({ kind: 'submit', jobs: leaves(50) }); // another tree's
  const [ours, other] = (await store.children(root!.id, null, null, 10)).items.map((record) => record.job.id) as [string, string];
  const { jobs: first } = await store.execute({ kind: 'submit', jobs: [batch(leaves(2)), ...leaves(count - 2)], parentId: ours });
  await store.execute({ kind: 'submit', jobs: leaves(20), parentId: other });
  const { jobs: last } = await store.execute({ kind: 'submit', jobs: leaves(1), parentId: ours });
  const below = (await store.children(first[0]!.id, null, null, 10)).items.map((record) => record.job.id);
  await store.execute({ kind: 'cancel', jobId: first[0]!.id });

  const wanted = new Set([ours, ...first.map((job) => job.id), ...last.map((job) => job.id), ...below]);
  const expected: number[] = [];
  for (const event of await store.events('all', 0, 10_000)) if (wanted.has(event.jobId)) expected.push(event.seq);
  expect(expected.length).toBeGreaterThan(count + 5);
  expect(await all(store, ours)).toEqual(expected);
  const types = await store.events({ jobId: ours }, 0, 10, ['job:error']);
  expect(types.map((event) => event.jobId).sort()).toEqual([first[0]!.id, ...below].sort());
  await store.close();
});
