// Trees under the hands of people: cancel and abandon, pause and resume at several levels.
import { describe, expect, test } from 'vitest';
import { batch, leaves, plan } from '../../support/make.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function treeVerbContract(open: OpenStore): void {
  describe('cancel of a tree', () => {
    const t = eachTest(open);

    test('ends everything below, deepest first, and takes back what runs', async () => {
      const root = await t.b.submit(batch([batch(leaves(2)), plan()]));
      await t.b.open();
      const claims = await t.b.claim();
      const { revoked } = await t.b.run({ kind: 'cancel', jobId: root.id });
      expect(revoked.map((lease) => lease.jobId).sort()).toEqual(claims.map((claim) => claim.id).sort());
      const ends = (await t.b.events(root.id)).filter((event) => event.type === 'job:error').map((event) => event.jobId);
      const depth = await Promise.all(ends.map(async (id) => (await t.b.job(id)).depth));
      expect(depth).toEqual([2, 2, 1, 1, 0]);
      expect(await t.b.claim()).toEqual([]);
    });

    test('of a part leaves the rest alone and counts as a failed child', async () => {
      const root = await t.b.submit(batch([batch(leaves(2)), plan()]));
      await t.b.open();
      const [part] = await t.b.children(root.id);
      await t.b.run({ kind: 'cancel', jobId: part!.id });
      expect(await t.b.statuses(root.id)).toEqual(['cancelled', 'queued']);
      await t.b.done((await t.b.claim())[0]!);
      expect(await t.b.job(root.id)).toMatchObject({ status: 'failed', children: { completed: 1, cancelled: 1 } });
    });

    test('that lets its children go ends alone; they go on, those that waited too, and count in it when they end', async () => {
      const root = await t.b.submit(batch(leaves(3), { onParentCancel: 'abandon', width: 1 }));
      await t.b.open();
      const [running] = await t.b.claim();
      await t.b.run({ kind: 'cancel', jobId: root.id });
      expect(await t.b.status(root.id)).toBe('cancelled');
      const rest = await t.b.claim();
      expect(rest).toHaveLength(2);
      for (const claim of [running!, ...rest]) await t.b.done(claim);
      expect(await t.b.job(root.id)).toMatchObject({ status: 'cancelled', children: { open: 0, waiting: 0, completed: 3 } });
      expect((await t.b.events(root.id)).filter((event) => event.jobId === root.id && event.type === 'job:error')).toHaveLength(1);
    });

    test('a cut from above lets go what a part of the tree would let go', async () => {
      const root = await t.b.submit(batch([batch(leaves(2), { onParentCancel: 'abandon', width: 1 }), plan()]));
      await t.b.open();
      const [part] = await t.b.children(root.id);
      await t.b.run({ kind: 'cancel', jobId: root.id });
      expect(await t.b.statuses(root.id)).toEqual(['cancelled', 'cancelled']);
      expect(await t.b.statuses(part!.id)).toEqual(['queued', 'queued']);
      for (const claim of await t.b.claim()) await t.b.done(claim);
      expect(await t.b.statuses(part!.id)).toEqual(['completed', 'completed']);
    });

    test('children let go are let go by a pause above as well, at any depth', async () => {
      const part = batch([batch([plan()])], { onParentCancel: 'abandon' });
      for (const cutFrom of ['part', 'middle'] as const) {
        const root = await t.b.submit(batch([batch([part])]));
        await t.b.open();
        const [middle] = await t.b.children(root.id);
        const [gone] = await t.b.children(middle!.id);
        await t.b.run({ kind: 'pause', jobId: root.id });
        expect(await t.b.claim()).toEqual([]); // the leaf is put aside for the pause
        await t.b.run({ kind: 'cancel', jobId: cutFrom === 'part' ? gone!.id : middle!.id });
        const claims = await t.b.claim();
        expect(claims).toHaveLength(1);
        await t.b.done(claims[0]!);
      }
    });
  });

  describe('pause of a tree', () => {
    const t = eachTest(open);

    test('what runs goes on to its end; nothing new starts until it is resumed', async () => {
      const root = await t.b.submit(batch(leaves(4), { width: 2 }));
      await t.b.open();
      const [a] = await t.b.claim('noop', 1);
      await t.b.run({ kind: 'pause', jobId: root.id });
      await t.b.done(a!);
      expect(await t.b.claim()).toEqual([]);
      expect(await t.b.store.readyTypes(['noop'])).toEqual([]);
      await t.b.run({ kind: 'resume', jobId: root.id });
      expect(await t.b.claim()).toHaveLength(2);
    });

    test('a paused batch whose last child ends is decided all the same', async () => {
      const root = await t.b.submit(batch(leaves(1)));
      await t.b.open();
      const [claim] = await t.b.claim();
      await t.b.run({ kind: 'pause', jobId: root.id });
      await t.b.done(claim!);
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('pauses nest: a job runs when the last of them is taken back', async () => {
      const root = await t.b.submit(batch([batch([plan()])]));
      const [middle] = await t.b.children(root.id);
      await t.b.open();
      const [leaf] = await t.b.children(middle!.id);
      for (const { id } of [root, middle!, leaf!]) await t.b.run({ kind: 'pause', jobId: id });
      for (const { id } of [leaf!, root]) {
        await t.b.run({ kind: 'resume', jobId: id });
        expect(await t.b.claim()).toEqual([]);
      }
      await t.b.run({ kind: 'resume', jobId: middle!.id });
      expect(await t.b.claim()).toHaveLength(1);
    });

    test('a batch paused before its turn, or before it was opened, starts where it left', async () => {
      const root = await t.b.submit(batch(leaves(1)));
      await t.b.run({ kind: 'pause', jobId: root.id });
      await t.b.open();
      expect(await t.b.status(root.id)).toBe('paused');
      await t.b.run({ kind: 'resume', jobId: root.id });
      await t.b.open();
      expect(await t.b.claim()).toHaveLength(1);
    });

    test('children added to a paused batch wait for it', async () => {
      const root = await t.b.submit(batch([], { sealed: false }));
      await t.b.open();
      await t.b.run({ kind: 'pause', jobId: root.id });
      await t.b.run({ kind: 'submit', parentId: root.id, jobs: leaves(2) });
      expect(await t.b.claim()).toEqual([]);
      await t.b.run({ kind: 'resume', jobId: root.id });
      expect(await t.b.claim()).toHaveLength(2);
    });
  });
}
