// Trees that run: width, sealing, completion and failure rules, final calls, spawned children.
import { describe, expect, test } from 'vitest';
import { batch, leaves, plan } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function treeContract(open: OpenStore): void {
  describe('trees', () => {
    const t = eachTest(open);

    test('a tree is added parents first, and its children wait for their turn', async () => {
      const root = await t.b.submit(batch([batch(leaves(1)), plan()]));
      expect(await t.b.claim()).toEqual([]);
      expect(root.children).toEqual({ total: 2, open: 2, waiting: 2, completed: 0, failed: 0, cancelled: 0 });
      await t.b.open();
      expect(await t.b.status(root.id)).toBe('running');
      expect(await t.b.claim()).toHaveLength(2);
    });

    test('the end of the last leaf ends every ancestor in the same commit, lowest first', async () => {
      const root = await t.b.submit(batch([batch([batch([plan()])])]));
      await t.b.open();
      const [claim] = await t.b.claim();
      const before = await t.b.store.lastSeq();
      await t.b.done(claim!);
      const ends = (await t.b.store.events('all', before, 10)).map((event) => event.jobId);
      expect(ends).toHaveLength(4);
      expect(ends[0]).toBe(claim!.id);
      expect(ends[3]).toBe(root.id);
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('width lets that many in, lowest ordinal first, and one more as each ends; a sequence is width 1', async () => {
      const root = await t.b.submit(batch(leaves(5), { width: 2 }));
      await t.b.open();
      const order: (number | null)[] = [];
      for (let claims = await t.b.claim(); claims.length > 0; claims = await t.b.claim()) {
        for (const claim of claims) order.push((await t.b.job(claim.id)).ordinal);
        expect((await t.b.job(root.id)).children.open - (await t.b.job(root.id)).children.waiting).toBeLessThanOrEqual(2);
        await t.b.done(claims[0]!);
        for (const claim of claims.slice(1)) await t.b.done(claim);
      }
      expect(order).toEqual([0, 1, 2, 3, 4]);
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('a delayed or held child keeps its place in a sequence', async () => {
      const root = await t.b.submit(batch([plan({ dueAt: null }), plan()], { width: 1 }));
      await t.b.open();
      expect(await t.b.claim()).toEqual([]);
      const [first, second] = await t.b.children(root.id);
      await t.b.run({ kind: 'start', jobId: first!.id });
      await t.b.done((await t.b.claim())[0]!);
      expect((await t.b.claim()).map((claim) => claim.id)).toEqual([second!.id]);
    });

    test('a child cancelled while it waits frees no place that it did not have', async () => {
      const root = await t.b.submit(batch(leaves(4), { width: 1 }));
      await t.b.open();
      const children = await t.b.children(root.id);
      await t.b.run({ kind: 'cancel', jobId: children[2]!.id });
      expect(await t.b.claim()).toHaveLength(1);
      expect((await t.b.job(root.id)).children).toMatchObject({ open: 3, waiting: 2, cancelled: 1 });
    });

    test('a child let in by the tick that ended the one before it stays in, though it came due in the same tick', async () => {
      const root = await t.b.submit(batch([plan({ type: 'once', spec: { timeout: 1_000 } }), plan({ dueAt: t.b.clock.now() + 1_000 })], { width: 1 }));
      await t.b.open();
      await t.b.claim('once');
      await t.b.pass(1_000);
      expect(await t.b.statuses(root.id)).toEqual(['failed', 'queued']);
      expect((await t.b.job(root.id)).children.waiting).toBe(0);
      expect(await t.b.claim()).toHaveLength(1);
    });

    test('an empty batch is complete once its turn comes', async () => {
      const root = await t.b.submit(batch([batch([]), batch([])], { completion: 'any' }));
      await t.b.open();
      expect(await t.b.status(root.id)).toBe('completed');
      expect(await t.b.statuses(root.id)).toEqual(['completed', 'cancelled']);
    });

    test('an unsealed batch waits for more children until it is sealed', async () => {
      const root = await t.b.submit(batch([plan()], { sealed: false, width: 1 }));
      await t.b.open();
      await t.b.done((await t.b.claim())[0]!);
      expect(await t.b.status(root.id)).toBe('running');
      await t.b.run({ kind: 'submit', parentId: root.id, jobs: leaves(2) });
      expect((await t.b.children(root.id)).map((child) => child.ordinal)).toEqual([0, 1, 2]);
      await t.b.run({ kind: 'edit', jobId: root.id, patch: { sealed: true } });
      expect(await codeOf(t.b.run({ kind: 'submit', parentId: root.id, jobs: leaves(1) }))).toBe('sealed');
      for (let i = 0; i < 2; i++) await t.b.done((await t.b.claim())[0]!);
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('sealing a batch whose children have ended ends it', async () => {
      const root = await t.b.submit(batch([], { sealed: false }));
      await t.b.open();
      expect(await t.b.status(root.id)).toBe('running');
      await t.b.run({ kind: 'edit', jobId: root.id, patch: { sealed: true } });
      expect(await t.b.status(root.id)).toBe('completed');
    });

    test('only an open batch takes children', async () => {
      const leaf = await t.b.submit(plan());
      const over = await t.b.submit(batch([], { sealed: false }));
      await t.b.run({ kind: 'cancel', jobId: over.id });
      for (const parentId of [leaf.id, over.id]) expect(await codeOf(t.b.run({ kind: 'submit', parentId, jobs: leaves(1) }))).toBe('conflict');
    });

    test.each([
      ['any', 1, 'completed', ['completed', 'cancelled', 'cancelled', 'cancelled']],
      [{ count: 2 }, 2, 'completed', ['completed', 'completed', 'cancelled', 'cancelled']],
      [{ percent: 51 }, 3, 'completed', ['completed', 'completed', 'completed', 'cancelled']],
      ['all', 4, 'completed', ['completed', 'completed', 'completed', 'completed']],
    ] as const)('completion %j is reached after %i of 4, and the rest is cancelled', async (completion, after, status, statuses) => {
      const root = await t.b.submit(batch(leaves(4), { completion }));
      await t.b.open();
      const claims = await t.b.claim();
      for (const [i, claim] of claims.slice(0, after).entries()) {
        expect(await t.b.status(root.id)).toBe('running');
        const { revoked } = await t.b.done(claim);
        expect(revoked).toHaveLength(i === after - 1 ? 4 - after : 0);
      }
      expect(await t.b.status(root.id)).toBe(status);
      expect(await t.b.statuses(root.id)).toEqual(statuses);
    });

    test('a goal that can no longer be reached fails the batch when its children have ended', async () => {
      const root = await t.b.submit(batch(leaves(3), { completion: { count: 2 } }));
      await t.b.open();
      const [a, b, c] = await t.b.claim();
      await t.b.fail(a!);
      await t.b.fail(b!);
      expect(await t.b.status(root.id)).toBe('running');
      await t.b.done(c!);
      expect(await t.b.job(root.id)).toMatchObject({ status: 'failed', error: { code: 'child_failed' } });
    });

    test.each([
      ['continue', 'running', ['failed', 'running', 'queued', 'queued']],
      ['stop_new', 'running', ['failed', 'running', 'cancelled', 'cancelled']],
      ['cancel_siblings', 'failed', ['failed', 'cancelled', 'cancelled', 'cancelled']],
      ['fail_fast', 'failed', ['failed', 'cancelled', 'cancelled', 'cancelled']],
    ] as const)('on child failure %s', async (onChildFailure, status, statuses) => {
      const root = await t.b.submit(batch(leaves(4), { onChildFailure, width: 2 }));
      await t.b.open();
      const [a, b] = await t.b.claim();
      const { revoked } = await t.b.fail(a!);
      expect(revoked.map((lease) => lease.jobId)).toEqual(status === 'failed' ? [b!.id] : []);
      expect(await t.b.status(root.id)).toBe(status);
      expect(await t.b.statuses(root.id)).toEqual(statuses);
    });

    test('fail_fast does not fail a batch that has reached its goal', async () => {
      const root = await t.b.submit(batch(leaves(3), { onChildFailure: 'fail_fast', completion: 'any' }));
      await t.b.open();
      await t.b.done((await t.b.claim())[0]!);
      expect(await t.b.status(root.id)).toBe('completed');
    });
  });

  describe('final calls', () => {
    const t = eachTest(open);

    test('the batch runs once its children have ended, and that decides it, also after failures', async () => {
      const root = await t.b.submit(batch(leaves(2), { finalCall: true }));
      await t.b.open();
      const [a, b] = await t.b.claim();
      await t.b.fail(a!);
      expect(await t.b.claim('batch')).toEqual([]);
      await t.b.done(b!);
      expect(await t.b.status(root.id)).toBe('queued');
      const [call] = await t.b.claim('batch');
      expect(call).toMatchObject({ id: root.id, children: { completed: 1, failed: 1, open: 0 } });
      await t.b.done(call!, '{"sum":1}');
      expect(await t.b.record(root.id)).toMatchObject({ job: { status: 'completed' }, result: '{"sum":1}' });
    });

    test('is retried like any attempt, waits while the batch is paused, and is not made when it failed fast', async () => {
      const root = await t.b.submit(batch(leaves(1), { finalCall: true, maxAttempts: 2, backoff: { kind: 'fixed', base: 10, cap: 10, jitter: false } }));
      await t.b.open();
      await t.b.run({ kind: 'pause', jobId: root.id });
      await t.b.run({ kind: 'cancel', jobId: (await t.b.children(root.id))[0]!.id });
      expect(await t.b.status(root.id)).toBe('paused');
      await t.b.run({ kind: 'resume', jobId: root.id });
      await t.b.fail((await t.b.claim('batch'))[0]!, true);
      expect(await t.b.status(root.id)).toBe('retry');
      await t.b.pass(10);
      await t.b.done((await t.b.claim('batch'))[0]!);
      expect(await t.b.status(root.id)).toBe('completed');
      const fast = await t.b.submit(batch(leaves(2), { finalCall: true, onChildFailure: 'fail_fast' }));
      await t.b.open();
      await t.b.fail((await t.b.claim())[0]!);
      expect(await t.b.status(fast.id)).toBe('failed');
    });

    test('an unsealed batch that has reached its goal makes it once', async () => {
      const root = await t.b.submit(batch(leaves(2), { finalCall: true, sealed: false, completion: 'any' }));
      await t.b.open();
      await t.b.done((await t.b.claim())[0]!);
      expect(await t.b.claim('batch')).toMatchObject([{ id: root.id, attempt: 1 }]);
    });

    test('no child is added or retried under it', async () => {
      const root = await t.b.submit(batch(leaves(2), { finalCall: true, sealed: false, completion: 'any' }));
      await t.b.open();
      await t.b.done((await t.b.claim())[0]!);
      const [call] = await t.b.claim('batch');
      const cut = (await t.b.children(root.id)).find((child) => child.status === 'cancelled');
      expect(await codeOf(t.b.run({ kind: 'retry', jobId: cut!.id }))).toBe('conflict');
      expect(await codeOf(t.b.run({ kind: 'submit', parentId: root.id, jobs: leaves(1) }))).toBe('conflict');
      await t.b.done(call!);
      expect(await t.b.job(root.id)).toMatchObject({ status: 'completed', children: { open: 0 } });
    });
  });

  describe('spawn', () => {
    const t = eachTest(open);

    test('the work of a job can be children, by whose end it is decided; their width and rules are its own', async () => {
      const job = await t.b.submit(plan({ spec: { width: 1, onChildFailure: 'cancel_siblings' } }));
      await t.b.end((await t.b.claim())[0]!, { kind: 'spawn', children: [plan({ type: 'once' }), plan({ type: 'once' })] });
      expect(await t.b.job(job.id)).toMatchObject({ status: 'running', leaseUntil: null, children: { total: 2, open: 2, waiting: 1 } });
      const [first] = await t.b.claim('once');
      expect(first).toMatchObject({ parentId: job.id, rootId: job.id });
      await t.b.fail(first!);
      expect(await t.b.job(job.id)).toMatchObject({ status: 'failed', error: { code: 'child_failed' } });
      expect(await t.b.statuses(job.id)).toEqual(['failed', 'cancelled']);
    });

    test('of nothing completes the job', async () => {
      const { id } = await t.b.submit(plan());
      await t.b.end((await t.b.claim())[0]!, { kind: 'spawn', children: [] });
      expect(await t.b.status(id)).toBe('completed');
    });
  });
}
