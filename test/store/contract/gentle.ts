// Gentle parents: pause and cancel wait for the child at work with all that belongs to it; a second cancel does not.
import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../src/domain/commands.ts';
import { plan, WORKER } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function gentleContract(open: OpenStore): void {
  describe('a gentle parent', () => {
    const t = eachTest(open);
    /** Three cases in a row, each with a part of its own and a final call; the first is at work. */
    const start = async (): Promise<{ id: string; first: Claim }> => {
      const { id } = await t.b.submit(plan({ type: 'gentle', spec: { width: 1, finalCall: true }, children: Array.from({ length: 3 }, () => plan({ type: 'once', spec: { finalCall: true } })) }));
      await t.b.claim('gentle');
      const [first] = await t.b.claim('once');
      return { id, first: first! };
    };
    /** What a case does after its first part: its child, then its own end. */
    const finish = async (claim: Claim): Promise<void> => {
      await t.b.end(claim, { kind: 'spawn', children: [plan()] });
      const [part] = await t.b.claim('noop');
      await t.b.done(part!);
      const [again] = await t.b.claim('once');
      expect(again!.id).toBe(claim.id);
      await t.b.done(again!, '{"ok":true}');
    };
    const says = async (id: string): Promise<string[]> => (await t.b.events(id)).filter((event) => event.jobId === id).map(({ data }) => { const { status, reason } = JSON.parse(data!); return reason === undefined ? status : `${status} ${reason}`; });

    test('told to pause it runs until the child at work has ended, its own parts and its final call included, and then is paused', async () => {
      const { id, first } = await start();
      await t.b.run({ kind: 'pause', jobId: id });
      expect(await t.b.job(id)).toMatchObject({ status: 'running', error: { code: 'pausing' } });
      await finish(first);
      expect(await t.b.job(id)).toMatchObject({ status: 'paused', error: null, dueAt: t.b.clock.now(), children: { completed: 1, waiting: 2 } });
      expect(await t.b.claim('once')).toEqual([]);
      await t.b.run({ kind: 'resume', jobId: id });
      const [second] = await t.b.claim('once');
      expect((await t.b.job(second!.id)).ordinal).toBe(1);
      expect(await says(id)).toEqual(['queued', 'running', 'running pausing', 'paused', 'running resume']);
    });

    test('resumed before it has paused, it goes on as if nothing had been said', async () => {
      const { id, first } = await start();
      await t.b.run({ kind: 'pause', jobId: id });
      await t.b.run({ kind: 'resume', jobId: id });
      await finish(first);
      expect(await t.b.claim('once')).toHaveLength(1);
      expect(await t.b.job(id)).toMatchObject({ status: 'running', error: null });
    });

    test('what is retried while it pauses waits for it to go on', async () => {
      const { id } = await t.b.submit(plan({ type: 'gentle', spec: { width: 2 }, children: [plan({ type: 'once' }), plan({ type: 'once' }), plan({ type: 'once' })] }));
      await t.b.claim('gentle');
      const [first, second] = await t.b.claim('once');
      await t.b.fail(first!);
      const [third] = await t.b.claim('once');
      await t.b.run({ kind: 'pause', jobId: id });
      await t.b.done(third!);
      await t.b.run({ kind: 'retry', jobId: first!.id });
      expect(await t.b.claim('once')).toEqual([]);
      await t.b.done(second!);
      expect(await t.b.status(id)).toBe('paused');
      await t.b.run({ kind: 'resume', jobId: id });
      expect((await t.b.claim('once')).map((claim) => claim.id)).toEqual([first!.id]);
    });

    test('paused in its last child it ends: there is nothing to go on with', async () => {
      const { id, first } = await start();
      await finish(first);
      const [second] = await t.b.claim('once');
      await finish(second!);
      const [third] = await t.b.claim('once');
      await t.b.run({ kind: 'pause', jobId: id });
      await finish(third!);
      const [count] = await t.b.claim('gentle');
      await t.b.done(count!);
      expect(await t.b.status(id)).toBe('completed');
    });

    test('paused at once, as after a restart, nothing below it goes on, not even what had begun', async () => {
      const { id, first } = await start();
      await t.b.run({ kind: 'recover', worker: WORKER, limit: 10 });
      await t.b.run({ kind: 'pause', jobId: id, atOnce: true });
      expect(await t.b.status(id)).toBe('paused');
      expect(await t.b.claim('once')).toEqual([]);
      await t.b.run({ kind: 'resume', jobId: id });
      expect((await t.b.claim('once')).map((claim) => claim.id)).toEqual([first.id]);
    });

    test('cancelled, it lets the child at work end and starts no other; then it is cancelled', async () => {
      const { id, first } = await start();
      await t.b.run({ kind: 'cancel', jobId: id, reason: 'enough' });
      expect(await t.b.job(id)).toMatchObject({ status: 'running', error: { code: 'cancelled' }, children: { open: 1, waiting: 0, cancelled: 2 } });
      expect(await codeOf(t.b.run({ kind: 'pause', jobId: id }))).toBe('conflict');
      await finish(first);
      expect(await t.b.job(id)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled', message: 'enough' }, children: { open: 0, completed: 1, cancelled: 2 } });
    });

    test('cancelled before any child has begun, it ends at once; so it does when it is told twice', async () => {
      const { id } = await t.b.submit(plan({ type: 'gentle', spec: { width: 1, finalCall: true }, children: [plan({ type: 'once' }), plan({ type: 'once' })] }));
      await t.b.claim('gentle'); // the first child is let in, and has not begun
      await t.b.run({ kind: 'cancel', jobId: id });
      expect(await t.b.status(id)).toBe('cancelled');
      const other = await start();
      await t.b.run({ kind: 'cancel', jobId: other.id });
      const { revoked } = await t.b.run({ kind: 'cancel', jobId: other.id });
      expect(revoked.map((lease) => lease.jobId)).toContain(other.first.id);
      expect(await t.b.statuses(other.id)).toEqual(['cancelled', 'cancelled', 'cancelled']);
      expect(await t.b.status(other.id)).toBe('cancelled');
    });

    test('completed with failures it can be retried: only what failed runs again', async () => {
      const { id, first } = await start();
      await t.b.fail(first);
      const [second] = await t.b.claim('once');
      await finish(second!);
      const [third] = await t.b.claim('once');
      await finish(third!);
      const [count] = await t.b.claim('gentle');
      await t.b.done(count!);
      expect(await t.b.status(id)).toBe('completed');
      await t.b.run({ kind: 'retry', jobId: id });
      await t.b.claim('gentle');
      expect((await t.b.claim('once')).map((claim) => claim.id)).toEqual([first.id]);
      expect(await t.b.statuses(id)).toEqual(['running', 'completed', 'completed']);
    });

    test('failures that it tolerates stop nothing; one more stops what has not begun', async () => {
      const { id } = await t.b.submit(plan({ type: 'gentle', spec: { width: 1, finalCall: true, onChildFailure: 'stop_new', tolerate: 1 }, children: Array.from({ length: 4 }, () => plan({ type: 'once' })) }));
      await t.b.claim('gentle');
      for (let i = 0; i < 2; i++) {
        const [claim] = await t.b.claim('once');
        await t.b.fail(claim!);
      }
      expect(await t.b.statuses(id)).toEqual(['failed', 'failed', 'cancelled', 'cancelled']);
      expect(await t.b.claim('gentle')).toHaveLength(1); // it makes its final call all the same
    });
  });
}
