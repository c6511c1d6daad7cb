// Who gets which job, and who may write to it: order, due times, leases and their epochs, notes.
import { describe, expect, test } from 'vitest';
import { MAX_CRASHES } from '../../../src/domain/policy.ts';
import { leaves, plan, WORKER } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function claimContract(open: OpenStore): void {
  describe('claim', () => {
    const t = eachTest(open);

    test('priority 10 comes first, and jobs of one priority in the order they came', async () => {
      const ids: string[] = [];
      for (const priority of [5, 1, 10, 5, 10]) ids.push((await t.b.submit(plan({ priority }))).id);
      expect((await t.b.claim()).map((claim) => claim.id)).toEqual([2, 4, 0, 3, 1].map((i) => ids[i]));
    });

    test('gives each job to one claim, no more than asked for, and only of its type', async () => {
      await t.b.run({ kind: 'submit', jobs: [...leaves(3), plan({ type: 'once' })] });
      const answers = await Promise.all([t.b.claim('noop', 2), t.b.claim('noop', 2), t.b.claim('noop', 2), t.b.claim('once', 2)]);
      expect(answers.map((claims) => claims.length)).toEqual([2, 1, 0, 1]);
      expect(new Set(answers.flat().map((claim) => claim.id)).size).toBe(4);
    });

    test('hands over the input, the spec and the number of the attempt', async () => {
      const { id } = await t.b.submit(plan({ input: '{"a":"é"}', spec: { tags: ['x'], maxAttempts: 2 }, priority: 7 }));
      const [claim] = await t.b.claim();
      expect(claim).toMatchObject({ id, type: 'noop', input: '{"a":"é"}', spec: { tags: ['x'], maxAttempts: 2 }, priority: 7, attempt: 1, failures: 0, epoch: 1 });
      expect(await t.b.job(id)).toMatchObject({ status: 'running', worker: WORKER, leaseUntil: t.b.clock.now() + 30_000, startedAt: t.b.clock.now() });
    });

    test('leaves delayed and held jobs alone until they are due or started', async () => {
      const delayed = await t.b.submit(plan({ dueAt: t.b.clock.now() + 500 }));
      const held = await t.b.submit(plan({ dueAt: null }));
      expect(await t.b.claim()).toEqual([]);
      expect(await t.b.store.nextAlarm()).toBe(t.b.clock.now() + 500);
      await t.b.pass(500);
      expect(await t.b.store.readyTypes(['task', 'noop'])).toEqual(['noop']);
      expect((await t.b.claim()).map((claim) => claim.id)).toEqual([delayed.id]);
      await t.b.run({ kind: 'start', jobId: held.id });
      expect((await t.b.claim()).map((claim) => claim.id)).toEqual([held.id]);
    });

    test('a due time below the clock is due at once, and start makes a delayed one so', async () => {
      await t.b.submit(plan({ dueAt: 1 }));
      const delayed = await t.b.submit(plan({ dueAt: t.b.clock.now() + 1e9 }));
      await t.b.run({ kind: 'start', jobId: delayed.id });
      expect(await t.b.claim()).toHaveLength(2);
    });
  });

  describe('leases', () => {
    const t = eachTest(open);

    test('a stale epoch is refused and changes nothing, whatever it wants to write', async () => {
      const { id } = await t.b.submit(plan());
      const [first] = await t.b.claim();
      await t.b.pass(30_000);
      const [second] = await t.b.claim();
      expect(second?.epoch).toBe(2);
      const before = await t.b.record(id);
      const seq = await t.b.store.lastSeq();
      const stale = { jobId: id, epoch: first!.epoch };
      expect((await t.b.done(first!)).refused).toMatchObject([{ jobId: id, code: 'lease_lost' }]);
      expect(await t.b.run({ kind: 'renew', leases: [stale] })).toMatchObject({ refused: [{ code: 'lease_lost' }], revoked: [stale] });
      expect(await codeOf(t.b.run({ kind: 'note', ...stale, progress: 1, events: [{ type: 'job:log', data: '{}' }] }))).toBe('lease_lost');
      expect(await t.b.record(id)).toEqual(before);
      expect(await t.b.store.lastSeq()).toBe(seq);
      expect((await t.b.done(second!)).refused).toEqual([]);
    });

    test('one stale end in a list does not hold up the others, and an end said twice counts once', async () => {
      await t.b.run({ kind: 'submit', jobs: leaves(3) });
      const [a, b, c] = await t.b.claim();
      const outcome = { kind: 'done', result: null } as const;
      const { refused } = await t.b.run({ kind: 'finish', ended: [
        { jobId: a!.id, epoch: 1, outcome }, { jobId: b!.id, epoch: 9, outcome }, { jobId: 'job_none', epoch: 1, outcome },
        { jobId: a!.id, epoch: 1, outcome }, { jobId: c!.id, epoch: 1, outcome },
      ] });
      expect(refused.map(({ jobId, code }) => [jobId, code])).toEqual([[b!.id, 'lease_lost'], ['job_none', 'not_found'], [a!.id, 'lease_lost']]);
      expect(await Promise.all([a, b, c].map((claim) => t.b.status(claim!.id)))).toEqual(['completed', 'running', 'completed']);
    });

    test('a renewed lease lives on; a silent one is taken back, queued again and burns no retry', async () => {
      await t.b.run({ kind: 'submit', jobs: leaves(2) });
      const [a, b] = await t.b.claim();
      await t.b.pass(20_000);
      await t.b.run({ kind: 'renew', leases: [{ jobId: a!.id, epoch: 1 }] });
      expect(await t.b.pass(10_000)).toEqual([{ jobId: b!.id, epoch: 1 }]);
      expect(await t.b.status(a!.id)).toBe('running');
      expect(await t.b.record(b!.id)).toMatchObject({ job: { status: 'queued', failures: 0, interruptions: 1, attempt: 1 }, attempts: [{ number: 1, outcome: 'interrupted', worker: WORKER }] });
      expect((await t.b.claim())[0]).toMatchObject({ id: b!.id, attempt: 2, failures: 0 });
    });

    test('a server that stood still itself gives leases another term', async () => {
      await t.b.submit(plan());
      const [claim] = await t.b.claim();
      expect(await t.b.pass(60_000, true)).toEqual([]);
      expect((await t.b.done(claim!)).refused).toEqual([]);
    });

    test('notes add progress and log lines in order while the lease holds', async () => {
      const { id } = await t.b.submit(plan());
      const [claim] = await t.b.claim();
      await t.b.run({ kind: 'note', jobId: id, epoch: claim!.epoch, progress: 0.25, events: [{ type: 'job:log', data: '{"lines":["a","b"]}' }] });
      expect((await t.b.job(id)).progress).toBe(0.25);
      await t.b.done(claim!, '{"x":1}');
      expect((await t.b.events(id)).map((event) => event.type)).toEqual(['job:status', 'job:status', 'job:log', 'job:progress', 'job:complete']);
      expect(await t.b.record(id)).toMatchObject({ result: '{"x":1}', job: { progress: 1, status: 'completed' } });
    });

    test('log text beyond the budget is dropped with one mark, and the job goes on', async () => {
      const { id } = await t.b.submit(plan());
      const [claim] = await t.b.claim();
      const data = JSON.stringify({ lines: ['x'.repeat(4_000_000)] });
      for (let i = 0; i < 4; i++) await t.b.run({ kind: 'note', jobId: id, epoch: claim!.epoch, events: [{ type: 'job:log', data }] });
      await t.b.done(claim!);
      expect((await t.b.events(id)).map((event) => event.type)).toEqual(['job:status', 'job:status', 'job:log', 'job:log', 'job:gap', 'job:complete']);
    });
  });

  describe('interruptions', () => {
    const t = eachTest(open);

    test('a stopping server burns neither retries nor interruptions, however often', async () => {
      const { id } = await t.b.submit(plan({ type: 'once' }));
      for (let i = 0; i < 15; i++) await t.b.end((await t.b.claim('once'))[0]!, { kind: 'interrupted', reason: 'Stop.' });
      expect(await t.b.job(id)).toMatchObject({ status: 'queued', interruptions: 0, failures: 0, attempt: 15 });
    });

    test('a job that runs at three server deaths in a row is set aside', async () => {
      const { id } = await t.b.submit(plan());
      for (let i = 1; i <= MAX_CRASHES; i++) {
        expect(await t.b.claim()).toHaveLength(1);
        await t.b.run({ kind: 'recover', worker: WORKER, limit: 10 });
        expect(await t.b.status(id)).toBe(i < MAX_CRASHES ? 'queued' : 'failed');
      }
      expect((await t.b.job(id)).error).toMatchObject({ code: 'interrupted_too_often', retryable: false });
    });

    test('a run that ends in between starts the count of server deaths again', async () => {
      const { id } = await t.b.submit(plan());
      for (const outcome of [{ kind: 'later', delay: 0 }, { kind: 'interrupted', reason: 'Stop.' }] as const) {
        for (let i = 1; i < MAX_CRASHES; i++) {
          await t.b.claim();
          await t.b.run({ kind: 'recover', worker: WORKER, limit: 10 });
        }
        await t.b.end((await t.b.claim())[0]!, outcome);
      }
      expect(await t.b.job(id)).toMatchObject({ status: 'queued', crashes: 0 });
    });

    test('the tenth loss of one job sets it aside as poison, and retry gives it a fresh start', async () => {
      const { id } = await t.b.submit(plan());
      for (let i = 1; i <= 10; i++) {
        expect(await t.b.status(id)).toBe('queued');
        await t.b.claim();
        await t.b.pass(30_000);
      }
      expect(await t.b.job(id)).toMatchObject({ status: 'failed', error: { code: 'interrupted_too_often' }, failures: 0 });
      await t.b.run({ kind: 'retry', jobId: id });
      expect(await t.b.job(id)).toMatchObject({ status: 'queued', interruptions: 0, error: null });
    });

    test('what becomes of an orphan is its type\'s to say, and another worker\'s jobs are not touched', async () => {
      const jobs = [plan(), plan({ type: 'orphanPaused' }), plan({ type: 'orphanFailed' })];
      const ids = (await t.b.run({ kind: 'submit', jobs })).jobs.map((job) => job.id);
      for (const { type } of jobs) await t.b.claim(type);
      const other = await t.b.submit(plan());
      await t.b.run({ kind: 'claim', worker: 'another', type: 'noop', limit: 1 });
      expect((await t.b.run({ kind: 'recover', worker: WORKER, limit: 10 })).seen).toBe(3);
      expect(await Promise.all([...ids, other.id].map((id) => t.b.status(id)))).toEqual(['queued', 'paused', 'failed', 'running']);
    });
  });
}
