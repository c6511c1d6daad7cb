// Submitting: all or nothing, idempotency keys, sizes; and that commands which share a commit do not hurt each other.
import { describe, expect, test } from 'vitest';
import type { NewJob } from '../../../src/domain/commands.ts';
import { MAX_DEPTH, MAX_TREE } from '../../../src/domain/decide-submit.ts';
import { batch, leaves, plan, WORKER } from '../../support/make.ts';
import { codeOf, refusal } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

const key = (name: string, bodyHash = 'h', scope = 'alice') => ({ scope, key: name, bodyHash });

export function keyContract(open: OpenStore): void {
  describe('submit', () => {
    const t = eachTest(open);

    test('answers the roots as committed, in order, with ids that sort by creation', async () => {
      const { jobs } = await t.b.run({ kind: 'submit', jobs: [plan({ type: 'once' }), batch(leaves(2)), plan()] });
      expect(jobs.map((job) => job.type)).toEqual(['once', 'batch', 'noop']);
      expect(jobs.every((job) => /^job_[0-9a-z]{26}$/.test(job.id))).toBe(true);
      for (const job of jobs) expect(await t.b.job(job.id)).toEqual(job);
    });

    test('a tree too deep or too wide is refused whole', async () => {
      let deep: NewJob = plan();
      for (let i = 0; i <= MAX_DEPTH; i++) deep = batch([deep]);
      expect(await codeOf(t.b.submit(plan(), deep))).toBe('invalid');
      expect(await codeOf(t.b.submit(batch(leaves(MAX_TREE))))).toBe('invalid');
      expect(await t.b.store.lastSeq()).toBe(0);
      expect((await t.b.store.jobs({}, null, 10)).items).toEqual([]);
    });

    test('a tree of the greatest depth and one of the greatest width are taken', async () => {
      let deep: NewJob = plan();
      for (let i = 0; i < MAX_DEPTH; i++) deep = batch([deep]);
      await t.b.submit(deep);
      const wide = await t.b.submit(batch(leaves(MAX_TREE - 1)));
      expect((await t.b.job(wide.id)).children.open).toBe(MAX_TREE - 1);
    });

    test('a spawn too deep or too wide fails that job alone', async () => {
      await t.b.run({ kind: 'submit', jobs: leaves(2) });
      const [a, b] = await t.b.claim();
      const { refused } = await t.b.run({ kind: 'finish', ended: [
        { jobId: a!.id, epoch: 1, outcome: { kind: 'spawn', children: leaves(MAX_TREE + 1) } }, { jobId: b!.id, epoch: 1, outcome: { kind: 'done', result: null } },
      ] });
      expect(refused).toEqual([]);
      expect((await t.b.job(a!.id)).error?.code).toBe('invalid_answer');
      expect(await t.b.status(b!.id)).toBe('completed');
    });
  });

  describe('idempotency', () => {
    const t = eachTest(open);

    test('the same key and body answers the job that exists; another body is refused; another caller is free', async () => {
      const send = (claim = key('k')) => t.b.run({ kind: 'submit', jobs: leaves(2), idempotency: claim });
      const first = await send();
      expect(first.replayed).toBeNull();
      const again = await send();
      expect(again).toMatchObject({ jobs: [], replayed: first.jobs.map((job) => job.id) });
      const refused = await refusal(send(key('k', 'other')));
      expect(refused.code).toBe('idempotency_mismatch');
      expect(refused.details.jobIds).toEqual(again.replayed);
      expect((await send(key('k', 'other', 'bob'))).replayed).toBeNull();
      expect((await t.b.store.jobs({}, null, 100)).items).toHaveLength(4);
    });

    test('duplicates that arrive together make one job', async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => t.b.run({ kind: 'submit', jobs: [plan()], idempotency: key('k') })));
      expect(answers.filter((answer) => answer.replayed === null)).toHaveLength(1);
      expect(new Set(answers.map((answer) => answer.replayed?.[0] ?? answer.jobs[0]?.id)).size).toBe(1);
      expect((await t.b.store.jobs({}, null, 100)).items).toHaveLength(1);
    });

    test('a refused submission leaves its key free', async () => {
      expect(await codeOf(t.b.run({ kind: 'submit', jobs: [plan()], parentId: 'job_none', idempotency: key('k') }))).toBe('not_found');
      expect((await t.b.run({ kind: 'submit', jobs: [plan()], idempotency: key('k') })).replayed).toBeNull();
    });

    test('old keys are forgotten, no more than asked for at a time', async () => {
      for (let i = 0; i < 3; i++) await t.b.run({ kind: 'submit', jobs: [plan()], idempotency: key(`k${i}`) });
      t.b.clock.advance(1_000);
      await t.b.run({ kind: 'submit', jobs: [plan()], idempotency: key('young') });
      expect(await t.b.store.forgetKeys(t.b.clock.now(), 2)).toBe(2);
      expect(await t.b.store.forgetKeys(t.b.clock.now(), 2)).toBe(1);
      expect((await t.b.run({ kind: 'submit', jobs: [plan()], idempotency: key('k0') })).replayed).toBeNull();
      expect((await t.b.run({ kind: 'submit', jobs: [plan()], idempotency: key('young') })).replayed).not.toBeNull();
    });
  });

  describe('commands that share a commit', () => {
    const t = eachTest(open);

    test('are decided in order, each on what the last one left', async () => {
      const submit = t.b.run({ kind: 'submit', jobs: leaves(3) });
      const claims = Promise.all([2, 2].map((limit) => t.b.run({ kind: 'claim', worker: WORKER, type: 'noop', limit })));
      await submit;
      expect((await claims).map((answer) => answer.claimed.length)).toEqual([2, 1]);
    });

    test('a refusal among them hurts nobody', async () => {
      const held = await t.b.submit(plan({ dueAt: null }));
      const results = await Promise.allSettled([
        t.b.submit(plan()), t.b.run({ kind: 'cancel', jobId: 'job_none' }), t.b.run({ kind: 'resume', jobId: held.id }),
        t.b.run({ kind: 'cancel', jobId: held.id }), t.b.run({ kind: 'cancel', jobId: held.id }), t.b.submit(plan()),
      ]);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled', 'rejected', 'fulfilled']);
      expect((await t.b.store.jobs({}, null, 10)).items.map((item) => item.job.status)).toEqual(['queued', 'queued', 'cancelled']);
    });

    test('one that is undone after the newest job was deleted does not give its place in the log to the next', async () => {
      const gone = await t.b.submit(plan());
      await t.b.run({ kind: 'cancel', jobId: gone.id });
      expect((await t.b.store.events('all', 0, 100)).at(-1)?.rootId).toBe(gone.id); // a reader knows it
      await t.b.run({ kind: 'remove', jobId: gone.id });
      await expect(t.b.submit(batch([plan({ priority: 11 })]))).rejects.toMatchObject({ code: 'unavailable' });
      const next = await t.b.submit(plan());
      expect((await t.b.store.events('all', 0, 100)).at(-1)).toMatchObject({ jobId: next.id, rootId: next.id });
    });

    test('one that breaks a constraint half way is undone alone', async () => {
      const results = await Promise.allSettled([
        t.b.submit(plan()), t.b.submit(batch([plan(), plan({ priority: 11 })])), t.b.submit(plan()), t.b.run({ kind: 'cancel', jobId: 'job_none' }), t.b.submit(batch(leaves(2))),
      ]);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled']);
      expect(results[1]).toMatchObject({ reason: { code: 'unavailable' } });
      const { items } = await t.b.store.jobs({}, null, 10);
      expect(items).toHaveLength(5);
      const events = await t.b.store.events('all', 0, 100);
      expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
      expect((await t.b.store.stats()).jobs.reduce((sum, { count }) => sum + count, 0)).toBe(5);
      expect(t.b.store.health()).toBe('ok');
    });
  });
}
