// Another life for a tree: only what failed or was cancelled runs again.
import { describe, expect, test } from 'vitest';
import { batch, leaves, plan } from '../../support/make.ts';
import { codeOf, refusal } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function retryContract(open: OpenStore): void {
  describe('retry of a tree', () => {
    const t = eachTest(open);

    test('runs the failed and cancelled parts again and keeps what completed', async () => {
      const root = await t.b.submit(batch([batch(leaves(2), { onChildFailure: 'cancel_siblings' }), batch([plan()]), plan()], { ttl: 60_000 }));
      await t.b.open();
      const claims = await t.b.claim();
      await t.b.fail(claims[0]!);
      for (const claim of claims.slice(2)) await t.b.done(claim, '"kept"');
      expect(await t.b.statuses(root.id)).toEqual(['failed', 'completed', 'completed']);
      t.b.clock.advance(90_000);
      await t.b.run({ kind: 'retry', jobId: root.id });
      expect(await t.b.statuses(root.id)).toEqual(['queued', 'completed', 'completed']);
      expect(await t.b.job(root.id)).toMatchObject({ status: 'queued', expiresAt: t.b.clock.now() + 60_000 });
      await t.b.open();
      const again = await t.b.claim();
      expect(again.map((claim) => claim.id).sort()).toEqual(claims.slice(0, 2).map((claim) => claim.id).sort());
      expect(again.map((claim) => [claim.attempt, claim.failures])).toEqual([[2, 0], [2, 0]]);
      for (const claim of again) await t.b.done(claim);
      expect(await t.b.status(root.id)).toBe('completed');
      const [first] = (await t.b.record(claims[0]!.id)).attempts;
      expect(first).toMatchObject({ number: 1, outcome: 'failed' });
      expect((await t.b.record(claims[1]!.id)).attempts[0]).toMatchObject({ number: 1, outcome: 'cancelled' });
    });

    test('of a part whose parent still runs takes a place in its width like any other child', async () => {
      const root = await t.b.submit(batch(leaves(3), { width: 1 }));
      await t.b.open();
      const [first] = await t.b.claim();
      await t.b.fail(first!);
      await t.b.run({ kind: 'retry', jobId: first!.id });
      expect((await t.b.job(root.id)).children).toMatchObject({ open: 3, waiting: 2, failed: 0 });
      const order: (number | null)[] = [];
      for (let claims = await t.b.claim(); claims.length > 0; claims = await t.b.claim()) {
        expect(claims).toHaveLength(1);
        order.push((await t.b.job(claims[0]!.id)).ordinal);
        await t.b.done(claims[0]!);
      }
      expect(order).toEqual([1, 0, 2]);
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('of a part whose parent has ended is refused and names the root', async () => {
      const root = await t.b.submit(batch([batch([plan()])]));
      await t.b.open();
      const [claim] = await t.b.claim();
      await t.b.fail(claim!);
      const refused = await refusal(t.b.run({ kind: 'retry', jobId: claim!.id }));
      expect(refused).toMatchObject({ code: 'conflict', details: { rootId: root.id } });
    });

    test('takes back children that were let go and have not ended', async () => {
      const root = await t.b.submit(batch(leaves(2), { onParentCancel: 'abandon' }));
      await t.b.open();
      const [a, b] = await t.b.claim();
      await t.b.run({ kind: 'cancel', jobId: root.id });
      await t.b.done(a!);
      await t.b.run({ kind: 'retry', jobId: root.id });
      await t.b.open();
      expect(await t.b.job(root.id)).toMatchObject({ status: 'running', children: { open: 1, completed: 1 } });
      await t.b.done(b!);
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('a retried batch that is paused before it is opened still lets go of what it put aside', async () => {
      const root = await t.b.submit(batch([plan({ dueAt: t.b.clock.now() + 100 })], { onParentCancel: 'abandon' }));
      await t.b.open();
      await t.b.run({ kind: 'cancel', jobId: root.id });
      await t.b.run({ kind: 'retry', jobId: root.id });
      await t.b.run({ kind: 'pause', jobId: root.id });
      await t.b.pass(100);
      expect(await t.b.claim()).toEqual([]);
      await t.b.run({ kind: 'resume', jobId: root.id });
      await t.b.open();
      expect(await t.b.claim()).toHaveLength(1);
    });

    test('only a failed or cancelled job can be retried', async () => {
      const { id } = await t.b.submit(plan());
      expect(await codeOf(t.b.run({ kind: 'retry', jobId: id }))).toBe('conflict');
      await t.b.done((await t.b.claim())[0]!);
      expect(await codeOf(t.b.run({ kind: 'retry', jobId: id }))).toBe('conflict');
    });
  });
}
