// Schedules: one job for each instant, overlap, catch-up, the end of a run, and what people ask of a schedule.
import { beforeEach, describe, expect, test } from 'vitest';
import { BUFFER_MAX } from '../../../src/domain/schedule.ts';
import { batch, leaves, plan } from '../../support/make.ts';
import { MINUTE, Minutely, spec, template } from '../../support/schedules.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function scheduleContract(open: OpenStore): void {
  describe('schedules', () => {
    const t = eachTest(open);
    let m: Minutely;
    beforeEach(() => { m = new Minutely(t.b); });
    const first = async (id: string) => (await m.runs(id)).at(-1)!;
    /** Ends the oldest job that is ready. */
    const end = async (how: 'done' | 'fail' = 'done') => { const [claim] = await t.b.claim('noop', 1); await t.b[how](claim!); };

    test('an instant becomes one job, in the same commit that moves the schedule on; the job names both', async () => {
      const { id } = await m.add({}, template({ input: '{"a":1}', spec: { tags: ['mine'] }, priority: 7, delay: 500 }));
      const after = await m.pass(id, MINUTE);
      const run = await first(id);
      expect(run).toMatchObject({ kind: 'cron', status: 'running', nominalAt: t.b.clock.now(), at: t.b.clock.now() });
      expect(after).toMatchObject({ nextAt: run.nominalAt + MINUTE, lastAt: run.nominalAt, open: 1, counts: { fired: 1 } });
      const record = await t.b.record(run.jobId!);
      expect(record.input).toBe('{"a":1}');
      expect(record.job).toMatchObject({ priority: 7, dueAt: t.b.clock.now() + 500, spec: { tags: ['mine', id], schedule: { id, at: run.nominalAt } } });
      expect((await t.b.store.jobs({ tag: id }, null, 10)).items.map(({ job }) => job.id)).toEqual([run.jobId]);
    });

    test('the same times twice, of another revision, or not yet past make nothing', async () => {
      const { id } = await m.add();
      t.b.clock.advance(MINUTE);
      const due = m.due(await m.get(id));
      for (const stale of [due, due, { ...due, revision: 9 }]) await m.fire(stale);
      const later = m.due(await m.get(id));
      await m.fire({ ...later, elapsed: { older: 0, count: 1, newest: [later.from] }, next: later.from + MINUTE }); // a minute early
      expect(await m.runs(id)).toHaveLength(1);
      expect(await m.get(id)).toMatchObject({ counts: { fired: 1 }, nextAt: later.from });
    });

    test('what is missed is counted once, however often the same times are sent', async () => {
      const { id } = await m.add();
      t.b.clock.advance(10 * MINUTE + 30_000);
      const due = m.due(await m.get(id));
      for (let i = 0; i < 3; i++) await m.fire(due);
      expect((await m.get(id)).counts).toMatchObject({ fired: 1, missed: 9 });
    });

    test('an instant that was served is not served again when the clock was set back and the schedule aimed anew', async () => {
      const { id } = await m.add();
      await m.pass(id, MINUTE);
      const before = await m.pass(id, MINUTE);
      t.b.clock.jump(-MINUTE);
      expect((await t.b.store.schedulesAhead(t.b.clock.now(), 10)).map((one) => one.id)).toEqual([id]);
      await m.run({ kind: 'aimSchedule', scheduleId: id, revision: before.revision, next: t.b.clock.now() + MINUTE });
      expect(await t.b.store.schedulesAhead(t.b.clock.now(), 10)).toEqual([]);
      expect(await m.pass(id, MINUTE)).toMatchObject({ counts: { fired: 2 }, nextAt: t.b.clock.now() + MINUTE });
      expect(await m.runs(id)).toHaveLength(2);
    });

    test('after an outage the newest late instant runs, all of them up to a maximum, or none; the rest is counted', async () => {
      const ids = [];
      for (const more of [{ catchUp: 'latest' }, { catchUp: 'all' }, { catchUp: 'all', catchUpMax: 5, window: 30 * MINUTE }, { catchUp: 'skip' }] as const) ids.push((await m.add(more)).id);
      t.b.clock.advance(7 * 24 * 60 * MINUTE + 30_000); // half a minute after the last instant: none is on time
      const counts = [];
      for (const id of ids) counts.push((await m.pass(id, 0)).counts);
      expect(counts.map(({ fired, missed, dropped }) => [fired, missed, dropped])).toEqual([[1, 10_079, 0], [100, 0, 9_980], [5, 10_050, 25], [0, 10_080, 0]]);
      const summary = (await m.runs(ids[1]!)).at(-1)!;
      expect(summary).toMatchObject({ status: 'dropped', reason: 'catch_up_all', count: 9_980, jobId: null });
      expect(new Set((await m.runs(ids[1]!)).map((run) => run.nominalAt)).size).toBe(101);
    });

    test('jobs for late instants begin at most ten a second; one that is on time begins at once', async () => {
      const { id } = await m.add({ catchUp: 'all' });
      t.b.clock.advance(20 * MINUTE + 1);
      const answer = await m.fire(m.due(await m.get(id)));
      expect(answer.late).toBe(19);
      const dues = await Promise.all((await m.runs(id)).map(async (run) => (await t.b.job(run.jobId!)).dueAt! - t.b.clock.now()));
      expect(dues.sort((a, b) => a - b)).toEqual([0, 0, ...Array.from({ length: 18 }, (_, i) => (i + 1) * 100)]);
    });

    test('an instant on time takes the place of the late ones before it', async () => {
      const { id } = await m.add({ catchUp: 'latest' });
      expect(await m.pass(id, 10 * MINUTE)).toMatchObject({ counts: { fired: 1, missed: 9 }, lastAt: t.b.clock.now() });
    });

    describe('while a run is open', () => {
      test('skip: its instants are skipped and say so', async () => {
        const { id } = await m.add({ overlap: 'skip' });
        for (let i = 0; i < 3; i++) await m.pass(id, MINUTE);
        expect(await m.statuses(id)).toEqual(['running', 'skipped', 'skipped']);
        expect((await m.runs(id))[0]).toMatchObject({ reason: 'overlap', jobId: null });
        await end();
        expect(await m.pass(id, MINUTE)).toMatchObject({ counts: { fired: 2, skipped: 2, completed: 1 }, open: 1 });
      });

      test('buffer_one: one waits, the others are dropped, and it begins in the commit that ends the one before', async () => {
        const { id } = await m.add({ overlap: 'buffer_one' });
        for (let i = 0; i < 4; i++) await m.pass(id, MINUTE);
        expect(await m.statuses(id)).toEqual(['running', 'buffered', 'dropped', 'dropped']);
        await end();
        expect(await m.get(id)).toMatchObject({ counts: { fired: 2, dropped: 2, completed: 1 }, open: 1, buffered: 0 });
        expect(await m.statuses(id)).toEqual(['completed', 'running', 'dropped', 'dropped']);
        const waited = (await m.runs(id))[2]!;
        expect((await t.b.job(waited.jobId!)).spec.schedule).toEqual({ id, at: waited.nominalAt });
      });

      test('buffer_all: all wait and run one after the other, in their order', async () => {
        const { id } = await m.add({ overlap: 'buffer_all' });
        for (let i = 0; i < 4; i++) await m.pass(id, MINUTE);
        expect(await m.get(id)).toMatchObject({ open: 1, buffered: 3 });
        const order: number[] = [];
        for (let i = 0; i < 4; i++) {
          const [claim, more] = await t.b.claim();
          expect(more).toBeUndefined();
          order.push(claim!.spec.schedule!.at);
          await t.b.done(claim!);
        }
        expect(order).toEqual([...order].sort((a, b) => a - b));
        expect(await m.get(id)).toMatchObject({ open: 0, buffered: 0, counts: { fired: 4, completed: 4 } });
      });

      test(`buffer_all: ${BUFFER_MAX} may wait`, async () => {
        const { id } = await m.add({ overlap: 'buffer_all' });
        const from = t.b.clock.now() - (BUFFER_MAX + 5) * MINUTE;
        const answer = await m.run({ kind: 'backfillSchedule', scheduleId: id, instants: Array.from({ length: BUFFER_MAX + 3 }, (_, i) => from + i * MINUTE), overlap: 'buffer_all' });
        expect(answer.schedule).toMatchObject({ open: 1, buffered: BUFFER_MAX, counts: { fired: 1, dropped: 2 } });
      });

      test('cancel_other: it is cancelled, with everything below it', async () => {
        const { id } = await m.add({ overlap: 'cancel_other' }, { type: 'batch', input: '{}', spec: {}, children: [template(), template()] });
        await m.pass(id, MINUTE);
        const { jobId } = await first(id);
        await t.b.open();
        await m.pass(id, MINUTE);
        expect(await t.b.job(jobId!)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
        expect(await t.b.statuses(jobId!)).toEqual(['cancelled', 'cancelled']);
        expect(await m.statuses(id)).toEqual(['cancelled', 'running']);
        expect(await m.get(id)).toMatchObject({ open: 1, counts: { fired: 2, cancelled: 1 } });
      });

      test('cancel_other: of several late instants only the last becomes a job', async () => {
        const { id } = await m.add({ overlap: 'cancel_other', catchUp: 'all' });
        await m.pass(id, 3 * MINUTE + 30_000);
        await m.pass(id, 3 * MINUTE);
        expect(await m.get(id)).toMatchObject({ open: 1, counts: { cancelled: 1, fired: 2, skipped: 4 } });
      });
    });

    test('a run is open until its whole tree is final, also the part that was let go', async () => {
      const { id } = await m.add({ overlap: 'skip' }, { type: 'batch', input: '{}', spec: { onParentCancel: 'abandon' }, children: [template(), template()] });
      await m.pass(id, MINUTE);
      const { jobId } = await first(id);
      await t.b.open();
      const claims = await t.b.claim();
      await t.b.run({ kind: 'cancel', jobId: jobId! });
      expect(await t.b.status(jobId!)).toBe('cancelled');
      expect(await first(id)).toMatchObject({ status: 'running' });
      await t.b.done(claims[0]!);
      expect(await m.get(id)).toMatchObject({ open: 1 });
      await t.b.done(claims[1]!);
      expect(await first(id)).toMatchObject({ status: 'cancelled', endedAt: t.b.clock.now() });
      expect(await m.get(id)).toMatchObject({ open: 0, counts: { cancelled: 1 } });
    });

    test('a run whose job is retried is open again', async () => {
      const { id } = await m.add({ overlap: 'skip' }, template({ type: 'once' }));
      await m.pass(id, MINUTE);
      await t.b.fail((await t.b.claim('once'))[0]!);
      expect(await m.get(id)).toMatchObject({ open: 0, failuresInRow: 1, counts: { failed: 1 } });
      await t.b.run({ kind: 'retry', jobId: (await first(id)).jobId! });
      expect(await m.get(id)).toMatchObject({ open: 1, counts: { failed: 0 } });
      await t.b.done((await t.b.claim('once'))[0]!);
      expect(await m.get(id)).toMatchObject({ open: 0, failuresInRow: 0, counts: { completed: 1, failed: 0 } });
      expect(await first(id)).toMatchObject({ status: 'completed' });
    });

    test('failures in a row pause it, with a note; a success between them starts the count again', async () => {
      const { id } = await m.add({ pauseAfter: 2 }, template({ type: 'once' }));
      for (const how of ['fail', 'done', 'fail', 'fail'] as const) {
        expect(await m.pass(id, MINUTE)).toMatchObject({ status: 'active' });
        await t.b[how]((await t.b.claim('once'))[0]!);
      }
      const paused = await m.get(id);
      expect(paused).toMatchObject({ status: 'paused', failuresInRow: 2 });
      expect(paused.note).toMatch(/after 2 failed runs in a row; the last was job_/);
      expect(await t.b.store.nextSchedule()).toBeNull();
      const resumed = await m.run({ kind: 'resumeSchedule', scheduleId: id, revision: paused.revision, next: t.b.clock.now() + MINUTE });
      expect(resumed.schedule).toMatchObject({ status: 'active', note: null, failuresInRow: 0 });
    });

    test('paused: nothing runs by itself, what is buffered waits; resumed: it goes on', async () => {
      const { id } = await m.add({ overlap: 'buffer_one' });
      await m.pass(id, MINUTE);
      await m.pass(id, MINUTE);
      const paused = (await m.run({ kind: 'pauseSchedule', scheduleId: id, note: 'holidays' })).schedule!;
      expect(paused).toMatchObject({ status: 'paused', note: 'holidays', nextAt: t.b.clock.now() + MINUTE });
      await end();
      t.b.clock.advance(10 * MINUTE);
      expect(await t.b.store.dueSchedules(t.b.clock.now(), 10)).toEqual([]);
      expect(await m.statuses(id)).toEqual(['completed', 'buffered']);
      await m.run({ kind: 'resumeSchedule', scheduleId: id, revision: paused.revision, next: t.b.clock.now() + MINUTE });
      expect(await m.statuses(id)).toEqual(['completed', 'running']);
      expect(await m.get(id)).toMatchObject({ counts: { missed: 0, fired: 2 } });
    });

    test('a change for another revision is a conflict', async () => {
      const { id, revision } = await m.add();
      await m.run({ kind: 'pauseSchedule', scheduleId: id, note: null });
      expect(await codeOf(m.run({ kind: 'resumeSchedule', scheduleId: id, revision, next: null }))).toBe('conflict');
      expect(await codeOf(m.run({ kind: 'editSchedule', scheduleId: id, revision, change: { client: 'x' } }))).toBe('conflict');
    });

    test('instants in a blackout are skipped; its end is not in it', async () => {
      const now = t.b.clock.now();
      const { id } = await m.add({ blackouts: [{ from: now + MINUTE, to: now + 3 * MINUTE }] });
      for (let i = 0; i < 3; i++) await m.pass(id, MINUTE);
      expect((await m.runs(id)).map(({ status, reason }) => [status, reason])).toEqual([['running', null], ['skipped', 'blackout'], ['skipped', 'blackout']]);
    });

    test('without another instant it is completed', async () => {
      const { id } = await m.add();
      t.b.clock.advance(MINUTE);
      await m.fire({ ...m.due(await m.get(id)), next: null });
      expect(await m.get(id)).toMatchObject({ status: 'completed', nextAt: null, counts: { fired: 1 } });
      expect(await codeOf(m.run({ kind: 'pauseSchedule', scheduleId: id, note: null }))).toBe('conflict');
    });

    test('triggered: one run now, beside what is open, while it is paused, and as often as one likes in the same ms', async () => {
      const { id } = await m.add({ overlap: 'skip' });
      await m.pass(id, MINUTE);
      await m.run({ kind: 'pauseSchedule', scheduleId: id, note: null });
      const answers = await Promise.all([1, 2, 3].map(() => m.run({ kind: 'triggerSchedule', scheduleId: id })));
      const nominals = answers.map(({ runs: [run] }) => run!.nominalAt);
      expect(new Set(nominals).size).toBe(3);
      expect(nominals.every((nominal) => nominal % MINUTE !== 0)).toBe(true); // those are the pattern's
      for (const { jobs: [job], runs: [run] } of answers) expect(run).toMatchObject({ kind: 'trigger', status: 'running', jobId: job!.id });
      expect(await m.get(id)).toMatchObject({ open: 4, counts: { fired: 4 }, status: 'paused' });
    });

    test('a backfill serves what has no run yet, one after the other or all at once', async () => {
      const { id } = await m.add();
      const now = t.b.clock.now();
      const instants = [3, 2, 1].map((i) => now - i * MINUTE);
      const { runs } = await m.run({ kind: 'backfillSchedule', scheduleId: id, instants, overlap: 'buffer_all' });
      expect(runs.map(({ kind, status }) => [kind, status])).toEqual([['backfill', 'running'], ['backfill', 'buffered'], ['backfill', 'buffered']]);
      const again = await m.run({ kind: 'backfillSchedule', scheduleId: id, instants: [now - 4 * MINUTE, ...instants], overlap: 'allow' });
      expect(again.runs.map((run) => run.nominalAt)).toEqual([now - 4 * MINUTE]);
      expect(await codeOf(m.run({ kind: 'backfillSchedule', scheduleId: id, instants: [now, now], overlap: 'allow' }))).toBe('invalid');
    });

    test('a backfill makes up for what was missed or skipped, and leaves alone what had a job', async () => {
      const { id } = await m.add({ overlap: 'skip', catchUp: 'latest' });
      await m.pass(id, 3 * MINUTE);
      await m.pass(id, MINUTE);
      expect((await m.runs(id)).map(({ status, count }) => [status, count])).toEqual([['skipped', 1], ['running', 1], ['missed', 2]]);
      await end();
      const instants = [3, 2, 1, 0].map((i) => t.b.clock.now() - i * MINUTE);
      await m.run({ kind: 'backfillSchedule', scheduleId: id, instants, overlap: 'allow' });
      expect((await m.runs(id)).map(({ status, kind }) => [status, kind])).toEqual([['running', 'backfill'], ['completed', 'cron'], ['running', 'backfill'], ['running', 'backfill']]);
      expect(await m.get(id)).toMatchObject({ counts: { fired: 4, missed: 2, skipped: 1, completed: 1 }, open: 3 });
    });

    test('removed: its runs are forgotten, its jobs end as they would', async () => {
      const { id } = await m.add();
      await m.pass(id, MINUTE);
      const { jobId } = await first(id);
      await m.run({ kind: 'removeSchedule', scheduleId: id });
      expect(await t.b.store.schedule(id)).toBeNull();
      expect(await m.runs(id)).toEqual([]);
      expect(await codeOf(m.run({ kind: 'triggerSchedule', scheduleId: id }))).toBe('not_found');
      await end();
      expect(await t.b.status(jobId!)).toBe('completed');
    });

    test('a run outlives its deleted job', async () => {
      const { id } = await m.add();
      await m.pass(id, MINUTE);
      const { jobId } = await first(id);
      await end();
      await t.b.run({ kind: 'remove', jobId: jobId! });
      expect(await first(id)).toMatchObject({ jobId, status: 'completed' });
    });

    test('a template is judged as a submission is, and may not be caught up by the ten thousand', async () => {
      const tree = { type: 'batch', input: '{}', spec: {}, children: Array.from({ length: 200 }, () => template()) };
      expect(await codeOf(m.add({ catchUp: 'all' }, tree))).toBe('invalid');
      expect((await m.add({ catchUp: 'all', catchUpMax: 49 }, tree)).jobs).toBe(201);
      expect(await codeOf(m.add({}, { ...tree, spec: { completion: { count: 201 } } }))).toBe('invalid');
      const { id } = await m.add({}, tree);
      const instants = Array.from({ length: 50 }, (_, i) => (i + 1) * MINUTE);
      expect(await codeOf(m.run({ kind: 'backfillSchedule', scheduleId: id, instants, overlap: 'allow' }))).toBe('invalid');
    });

    test('an edit keeps what it does not name; another template is made from the next instant on', async () => {
      const { id, revision } = await m.add();
      await m.run({ kind: 'editSchedule', scheduleId: id, revision, change: { template: template({ type: 'once' }), spec: spec({ overlap: 'skip', name: 'nightly' }) } });
      expect(await m.get(id)).toMatchObject({ type: 'once', spec: { overlap: 'skip', name: 'nightly' }, revision: revision + 1 });
      await m.pass(id, MINUTE);
      expect((await t.b.job((await first(id)).jobId!)).type).toBe('once');
    });

    test('lists go newest first by cursor or offset, by status and client', async () => {
      const ids: string[] = [];
      for (const client of ['a', 'b', 'a', 'a']) {
        const { schedule } = await m.run({ kind: 'addSchedule', spec: spec(), template: template(), client, paused: client === 'b', note: null, next: t.b.clock.now() + MINUTE });
        ids.unshift(schedule!.id);
      }
      const { store } = t.b;
      const page = await store.schedules({}, { after: Number.MAX_SAFE_INTEGER }, 3);
      const rest = await store.schedules({}, { after: page.next! }, 3);
      expect([...page.items, ...rest.items].map(({ schedule }) => schedule.id)).toEqual(ids);
      expect(rest.next).toBeNull();
      expect((await store.schedules({ client: 'a' }, { offset: 1 }, 10)).items.map(({ schedule }) => schedule.id)).toEqual([ids[1], ids[3]]);
      expect(await store.countSchedules({ client: 'a' })).toBe(3);
      expect((await store.schedules({ status: 'paused' }, { after: Number.MAX_SAFE_INTEGER }, 10)).items).toHaveLength(1);
      expect(page.items[0]!.template).toEqual(template());
    });

    test('what is counted over all outlives the schedules', async () => {
      const { id } = await m.add({ overlap: 'skip' });
      await m.pass(id, MINUTE);
      await m.pass(id, MINUTE);
      await end();
      await m.run({ kind: 'removeSchedule', scheduleId: id });
      const counts = await t.b.store.scheduleCounts();
      expect(Object.fromEntries(counts)).toMatchObject({ fired: 1, skipped: 1, completed: 1, schedules_active: 0 });
    });

    test('one refused schedule of many does not hold up the others', async () => {
      const ids = [(await m.add()).id, (await m.add()).id, (await m.add()).id];
      t.b.clock.advance(MINUTE);
      const due = await Promise.all(ids.map(async (id) => m.due(await m.get(id))));
      await m.run({ kind: 'removeSchedule', scheduleId: ids[1]! });
      await m.fire(...due);
      expect((await m.runs(ids[0]!)).length + (await m.runs(ids[2]!)).length).toBe(2);
    });

    test('ordinary jobs and trees leave no trace among schedules', async () => {
      await t.b.submit(batch(leaves(2)), plan());
      await t.b.open();
      for (const claim of await t.b.claim()) await t.b.done(claim);
      expect(await t.b.store.scheduleCounts()).toEqual(new Map());
    });
  });
}
