// The four clocks (ttl, timeout, deadline, lease), attempts and backoff.
import { describe, expect, test } from 'vitest';
import { batch, leaves, plan } from '../../support/make.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function clockContract(open: OpenStore): void {
  describe('clocks', () => {
    const t = eachTest(open);

    test('ttl counts from creation and ends what still waits, but nothing that runs', async () => {
      const waits = await t.b.submit(plan({ spec: { ttl: 1_000 }, dueAt: null }));
      const delayed = await t.b.submit(plan({ spec: { ttl: 1_000 }, dueAt: t.b.clock.now() + 5_000 }));
      const runs = await t.b.submit(plan({ type: 'once', spec: { ttl: 1_000 } }));
      await t.b.claim('once');
      await t.b.pass(999);
      expect(await t.b.status(waits.id)).toBe('queued');
      await t.b.pass(1);
      expect(await t.b.job(waits.id)).toMatchObject({ status: 'failed', error: { code: 'ttl_expired' }, endedAt: t.b.clock.now() });
      expect(await t.b.status(delayed.id)).toBe('failed');
      expect(await t.b.status(runs.id)).toBe('running');
    });

    test('ttl also ends a job that waits for its next attempt, or that was told to ask again', async () => {
      const retries = await t.b.submit(plan({ spec: { ttl: 1_000, backoff: { kind: 'fixed', base: 9_000, cap: 9_000, jitter: false } } }));
      await t.b.fail((await t.b.claim())[0]!, true);
      expect(await t.b.status(retries.id)).toBe('retry');
      const asks = await t.b.submit(plan({ spec: { ttl: 1_000 } }));
      await t.b.end((await t.b.claim())[0]!, { kind: 'later', delay: 9_000 });
      await t.b.pass(1_000);
      for (const { id } of [retries, asks]) expect((await t.b.job(id)).error?.code).toBe('ttl_expired');
    });

    test('a type\'s own ttl counts from the first start, so that a long queue never uses it up', async () => {
      const { id } = await t.b.submit(plan({ type: 'brief' }));
      await t.b.pass(60_000);
      await t.b.end((await t.b.claim('brief'))[0]!, { kind: 'later', delay: 3_000 });
      await t.b.pass(2_000);
      expect((await t.b.job(id)).error?.code).toBe('ttl_expired');
    });

    test('what expired while nobody looked is not started by a claim that comes before the sweep', async () => {
      const ids = [(await t.b.submit(plan({ spec: { ttl: 100 } }))).id, (await t.b.submit(plan({ spec: { deadline: 100 } }))).id];
      t.b.clock.advance(100);
      expect(await t.b.claim()).toEqual([]);
      expect(await Promise.all(ids.map(async (id) => (await t.b.job(id)).error?.code))).toEqual(['ttl_expired', 'deadline_exceeded']);
    });

    test('timeout cuts one attempt, which may be tried again; the lease is revoked', async () => {
      const { id } = await t.b.submit(plan({ spec: { timeout: 2_000, maxAttempts: 2 } }));
      await t.b.claim();
      await t.b.pass(1_999);
      expect(await t.b.status(id)).toBe('running');
      expect(await t.b.pass(1)).toEqual([{ jobId: id, epoch: 1 }]);
      expect(await t.b.record(id)).toMatchObject({ job: { status: 'retry', failures: 1 }, attempts: [{ outcome: 'timed_out', error: { code: 'timeout' } }] });
      await t.b.pass(1_000);
      await t.b.claim();
      await t.b.pass(2_000);
      expect(await t.b.job(id)).toMatchObject({ status: 'failed', error: { code: 'attempts_exhausted' } });
    });

    test('a type\'s timeout holds where the job names none', async () => {
      const { id } = await t.b.submit(plan({ type: 'timed' }));
      await t.b.claim('timed');
      await t.b.pass(5_000);
      expect((await t.b.job(id)).failures).toBe(1);
    });

    test('deadline cuts a running attempt for good', async () => {
      const { id } = await t.b.submit(plan({ spec: { deadline: 3_000 } }));
      const [claim] = await t.b.claim();
      expect(await t.b.pass(3_000)).toEqual([{ jobId: id, epoch: 1 }]);
      expect(await t.b.job(id)).toMatchObject({ status: 'failed', error: { code: 'deadline_exceeded', retryable: false } });
      expect((await t.b.done(claim!)).refused).toHaveLength(1);
    });

    test('deadline of a batch cuts the whole tree, children first', async () => {
      const root = await t.b.submit(batch([batch(leaves(2)), ...leaves(2)], { deadline: 3_000 }));
      await t.b.open();
      await t.b.claim('noop', 1);
      await t.b.pass(3_000);
      expect((await t.b.job(root.id)).error?.code).toBe('deadline_exceeded');
      expect(await t.b.statuses(root.id)).toEqual(['cancelled', 'cancelled', 'cancelled']);
      const ends = (await t.b.events(root.id)).filter((event) => event.type === 'job:error').map((event) => event.jobId);
      expect(ends).toHaveLength(6);
      expect(ends.at(-1)).toBe(root.id);
    });

    test('all of them can be changed while the job lives', async () => {
      const { id } = await t.b.submit(plan({ spec: { timeout: 10_000, deadline: 10_000 } }));
      const edit = (patch: object): Promise<unknown> => t.b.run({ kind: 'edit', jobId: id, patch });
      await edit({ ttl: 1_000 });
      await t.b.pass(500);
      await edit({ ttl: null });
      await t.b.pass(500);
      expect(await t.b.status(id)).toBe('queued');
      const [claim] = await t.b.claim();
      await edit({ timeout: 1_000, deadline: null });
      await t.b.pass(1_000);
      expect(await t.b.job(id)).toMatchObject({ status: 'retry', deadlineAt: null });
      expect((await t.b.done(claim!)).refused).toHaveLength(1);
      await edit({ deadline: 1_500 });
      await t.b.pass(0);
      expect((await t.b.job(id)).error).toBeDefined();
      expect(await t.b.status(id)).toBe('failed');
    });

    test('a rush of expired jobs is ended by few ticks', async () => {
      await t.b.run({ kind: 'submit', jobs: leaves(300, { spec: { ttl: 10 } }) });
      t.b.clock.advance(10);
      await t.b.run({ kind: 'tick', limit: 500, spareLeases: false });
      expect(await t.b.store.nextAlarm()).toBeNull();
      expect((await t.b.store.stats()).jobs).toContainEqual({ type: 'noop', status: 'failed', count: 300 });
    });
  });

  describe('attempts', () => {
    const t = eachTest(open);

    test('a retryable failure waits out its backoff, up to the last attempt; each stays on record', async () => {
      const { id } = await t.b.submit(plan());
      for (let i = 1; i <= 2; i++) {
        await t.b.fail((await t.b.claim())[0]!, true);
        expect(await t.b.job(id)).toMatchObject({ status: 'retry', failures: i, dueAt: t.b.clock.now() + 1_000 });
        expect(await t.b.claim()).toEqual([]);
        await t.b.pass(1_000);
      }
      await t.b.fail((await t.b.claim())[0]!, true);
      const { job, attempts } = await t.b.record(id);
      expect(job).toMatchObject({ status: 'failed', attempt: 3, error: { code: 'attempts_exhausted', retryable: false } });
      expect(attempts.map((attempt) => [attempt.number, attempt.outcome])).toEqual([[1, 'failed'], [2, 'failed'], [3, 'failed']]);
      expect(attempts.at(-1)?.error?.code).not.toBe('attempts_exhausted'); // the last attempt keeps its own error
    });

    test('a terminal failure ends it at once, with its own code and result', async () => {
      const { id } = await t.b.submit(plan());
      await t.b.end((await t.b.claim())[0]!, { kind: 'fail', error: { code: 'http_status', message: '404', retryable: false }, result: '{"body":"no"}' });
      expect(await t.b.record(id)).toMatchObject({ job: { status: 'failed', error: { code: 'http_status' } }, result: '{"body":"no"}', attempts: [] });
    });

    test.each([
      ['fixed', [100, 100, 100, 100, 100]], ['linear', [100, 200, 300, 350, 350]], ['exponential', [100, 200, 350, 350, 350]],
    ] as const)('%s backoff waits as it says, up to its cap', async (kind, delays) => {
      const { id } = await t.b.submit(plan({ spec: { maxAttempts: 9, backoff: { kind, base: 100, cap: 350, jitter: false } } }));
      for (const delay of delays) {
        await t.b.fail((await t.b.claim())[0]!, true);
        expect((await t.b.job(id)).dueAt).toBe(t.b.clock.now() + delay);
        await t.b.pass(delay);
      }
    });

    test('an answer may name its own delay; what no calendar holds is bounded instead of refused', async () => {
      const { id } = await t.b.submit(plan({ spec: { maxAttempts: 9 } }));
      const year = 365 * 24 * 3_600_000;
      for (const [delay, waits] of [[7, 7], [0.4, 0], [-5, 0], [Number.NaN, 0], [1e300, year]] as const) {
        await t.b.end((await t.b.claim())[0]!, { kind: 'fail', error: { code: 'network', message: 'Busy.', retryable: true }, delay });
        expect((await t.b.job(id)).dueAt).toBe(t.b.clock.now() + waits);
        await t.b.pass(waits);
      }
      expect((await t.b.job(id)).failures).toBe(5);
    });

    test('"ask again later" goes on with the same attempt and burns no retry', async () => {
      const { id } = await t.b.submit(plan({ type: 'once' }));
      for (let i = 0; i < 5; i++) {
        await t.b.end((await t.b.claim('once'))[0]!, { kind: 'later', delay: 50.5 });
        expect(await t.b.claim('once')).toEqual([]);
        await t.b.pass(51);
      }
      const [claim] = await t.b.claim('once');
      expect(claim).toMatchObject({ attempt: 1, failures: 0, epoch: 6 });
      await t.b.done(claim!);
      expect(await t.b.record(id)).toMatchObject({ job: { status: 'completed' }, attempts: [] });
    });

    test('a handler that stops at a safe place is paused until it is resumed', async () => {
      const { id } = await t.b.submit(plan());
      await t.b.end((await t.b.claim())[0]!, { kind: 'paused' });
      expect(await t.b.status(id)).toBe('paused');
      await t.b.pass(1e6);
      expect(await t.b.claim()).toEqual([]);
      await t.b.run({ kind: 'resume', jobId: id });
      expect((await t.b.claim())[0]).toMatchObject({ id, attempt: 1 });
    });
  });
}
