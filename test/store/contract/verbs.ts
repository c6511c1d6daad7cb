// What people ask of one job: start, pause, resume, cancel, retry, edit, remove; and callbacks.
import { describe, expect, test } from 'vitest';
import { batch, leaves, plan } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function verbContract(open: OpenStore): void {
  describe('verbs', () => {
    const t = eachTest(open);

    test('a paused job is nobody\'s until it is resumed, and its clocks but the deadline rest', async () => {
      const { id } = await t.b.submit(plan({ spec: { ttl: 100, deadline: 1_000 } }));
      await t.b.run({ kind: 'pause', jobId: id });
      await t.b.pass(500);
      expect(await t.b.claim()).toEqual([]);
      expect(await t.b.status(id)).toBe('paused');
      await t.b.pass(500);
      expect((await t.b.job(id)).error?.code).toBe('deadline_exceeded');
    });

    test('cancel ends a job in any status that is not final, revokes its lease and keeps the reason', async () => {
      const running = await t.b.submit(plan());
      const [claim] = await t.b.claim();
      const { revoked } = await t.b.run({ kind: 'cancel', jobId: running.id, reason: 'Not needed.' });
      expect(revoked).toEqual([{ jobId: running.id, epoch: 1 }]);
      expect(await t.b.job(running.id)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled', message: 'Not needed.' }, leaseUntil: null });
      expect((await t.b.done(claim!)).refused).toMatchObject([{ code: 'lease_lost' }]);
      expect(await codeOf(t.b.run({ kind: 'cancel', jobId: running.id }))).toBe('conflict');
    });

    test('retry gives a failed job another life: same id, fresh budgets and clocks, its attempts on record', async () => {
      const { id } = await t.b.submit(plan({ type: 'once', spec: { ttl: 1_000, callback: 'http://127.0.0.1/cb' } }));
      await t.b.fail((await t.b.claim('once'))[0]!);
      await t.b.pass(5_000);
      await t.b.run({ kind: 'retry', jobId: id });
      expect(await t.b.job(id)).toMatchObject({ status: 'queued', failures: 0, endedAt: null, error: null, expiresAt: t.b.clock.now() + 1_000, startedAt: null });
      const [claim] = await t.b.claim('once');
      expect(claim).toMatchObject({ id, attempt: 2 });
      await t.b.done(claim!, '2');
      const record = await t.b.record(id);
      expect(record).toMatchObject({ job: { status: 'completed' }, result: '2', attempts: [{ number: 1, outcome: 'failed' }] });
      const ends = (await t.b.events(id)).filter((event) => event.type === 'job:error' || event.type === 'job:complete');
      expect(ends.map((event) => event.type)).toEqual(['job:error', 'job:complete']);
      expect(record.finalSeq).toBe(ends[1]?.seq);
      expect(await t.b.claim('request')).toHaveLength(2);
    });

    test('retry of a job in backoff is a start', async () => {
      await t.b.submit(plan());
      await t.b.fail((await t.b.claim())[0]!, true);
      await t.b.run({ kind: 'retry', jobId: (await t.b.store.jobs({}, null, 1)).items[0]!.job.id });
      expect((await t.b.claim())[0]).toMatchObject({ failures: 1, attempt: 2 });
    });

    test('of a job that has ended only the tags can be changed', async () => {
      const { id } = await t.b.submit(plan());
      await t.b.run({ kind: 'cancel', jobId: id });
      await t.b.run({ kind: 'edit', jobId: id, patch: { tags: ['seen'] } });
      const record = await t.b.record(id);
      expect(record.job.spec.tags).toEqual(['seen']);
      expect(record.finalSeq).not.toBeNull();
      expect(await codeOf(t.b.run({ kind: 'edit', jobId: id, patch: { priority: 1 } }))).toBe('conflict');
      expect(await codeOf(t.b.run({ kind: 'edit', jobId: id, patch: { tags: [], ttl: 5 } }))).toBe('conflict');
    });

    test('a new priority counts at the next claim', async () => {
      const first = await t.b.submit(plan());
      const second = await t.b.submit(plan());
      await t.b.run({ kind: 'edit', jobId: second.id, patch: { priority: 6 } });
      expect((await t.b.claim()).map((claim) => claim.id)).toEqual([second.id, first.id]);
    });

    test('a finished tree is removed whole, and only whole and finished; its cursors are not used again', async () => {
      const root = await t.b.submit(batch([batch(leaves(2, { spec: { tags: ['x'] } })), plan()]));
      const kept = await t.b.submit(plan({ spec: { tags: ['x'] } }));
      const [middle] = await t.b.children(root.id);
      expect(await codeOf(t.b.run({ kind: 'remove', jobId: root.id }))).toBe('conflict');
      await t.b.run({ kind: 'cancel', jobId: root.id });
      expect(await codeOf(t.b.run({ kind: 'remove', jobId: middle!.id }))).toBe('conflict');
      const seq = await t.b.store.lastSeq();
      await t.b.run({ kind: 'remove', jobId: root.id });
      expect(await t.b.store.job(root.id)).toBeNull();
      expect(await t.b.store.job(middle!.id)).toBeNull();
      expect((await t.b.store.jobs({ tag: 'x' }, null, 10)).items.map((item) => item.job.id)).toEqual([kept.id]);
      expect((await t.b.store.events('all', 0, 100)).map((event) => event.jobId)).toEqual([kept.id]);
      expect(await t.b.store.lastSeq()).toBe(seq);
      await t.b.submit(plan());
      expect(await t.b.store.lastSeq()).toBe(seq + 1);
      expect(await codeOf(t.b.run({ kind: 'remove', jobId: root.id }))).toBe('not_found');
    });

    test('verbs on a job that is not there say so', async () => {
      for (const kind of ['start', 'pause', 'resume', 'retry', 'cancel', 'remove'] as const) {
        expect(await codeOf(t.b.run({ kind, jobId: 'job_none' }))).toBe('not_found');
      }
      expect(await codeOf(t.b.run({ kind: 'edit', jobId: 'job_none', patch: {} }))).toBe('not_found');
    });
  });

  describe('callbacks', () => {
    const t = eachTest(open);

    test('are request jobs of their own, one for each end of each job that has one, however it ended', async () => {
      const callback = 'http://127.0.0.1:9/hook';
      const root = await t.b.submit(batch([plan({ spec: { callback } }), plan({ spec: { callback } }), plan()], { callback }, { priority: 8 }));
      await t.b.open();
      const [first] = await t.b.claim('noop', 1);
      await t.b.done(first!);
      await t.b.run({ kind: 'cancel', jobId: root.id });
      const claims = await t.b.claim('request');
      const [a, b] = await t.b.children(root.id);
      expect(claims.map((claim) => JSON.parse(claim.input))).toEqual([a, b, root].map((job) => ({ url: callback, method: 'POST', about: job!.id })));
      expect(claims.every((claim) => claim.parentId === null && claim.priority === 8)).toBe(true);
      expect((await t.b.store.jobs({ tag: 'callback' }, null, 10)).items).toHaveLength(3);
    });
  });
}
