// Reads: records, lists and their cursors, text search, lineage, events and their scopes, wake-ups, figures.
import { describe, expect, test } from 'vitest';
import type { JobFilter } from '../../../src/store/store.ts';
import { batch, leaves, plan } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

export function readContract(open: OpenStore): void {
  describe('lists', () => {
    const t = eachTest(open);
    const ids = async (filter: JobFilter, limit = 100): Promise<string[]> => {
      const found: string[] = [];
      for (let after: number | null = null, pages = 0; pages < 100; pages++) {
        const page = await t.b.store.jobs(filter, after, limit);
        found.push(...page.items.map((item) => item.job.id));
        if (page.next === null) return found;
        after = page.next;
      }
      throw new Error('the pages never end');
    };

    test('newest first, page by page, nothing twice and nothing left out, also while jobs are added', async () => {
      const all: string[] = [];
      for (let i = 0; i < 7; i++) all.unshift((await t.b.submit(plan())).id);
      for (const limit of [1, 2, 3, 7, 8]) expect(await ids({}, limit)).toEqual(all);
      const page = await t.b.store.jobs({}, null, 3);
      await t.b.submit(plan());
      expect((await t.b.store.jobs({}, page.next, 100)).items.map((item) => item.job.id)).toEqual(all.slice(3));
    });

    test('filters by status, type, parent, root and tag, alone and together', async () => {
      const root = await t.b.submit(batch([plan({ spec: { tags: ['red', 'big'] } }), batch([plan({ spec: { tags: ['red'] } })]), plan({ type: 'once' })]));
      const other = await t.b.submit(plan({ spec: { tags: ['red'] } }));
      await t.b.run({ kind: 'cancel', jobId: other.id });
      const [a, b, c] = await t.b.children(root.id);
      const [d] = await t.b.children(b!.id);
      const sorted = async (filter: JobFilter): Promise<string[]> => (await ids(filter, 2)).sort();
      const of = (...jobs: { id: string }[]): string[] => jobs.map((job) => job.id).sort();
      expect(await sorted({ rootId: root.id })).toEqual(of(root, a!, b!, c!, d!));
      expect(await sorted({ parentId: root.id })).toEqual(of(a!, b!, c!));
      expect(await sorted({ tag: 'red' })).toEqual(of(a!, d!, other));
      expect(await sorted({ tag: 'red', rootId: root.id })).toEqual(of(a!, d!));
      expect(await sorted({ tag: 'red', parentId: root.id, status: ['queued'] })).toEqual(of(a!));
      expect(await sorted({ type: 'once' })).toEqual(of(c!));
      expect(await sorted({ status: ['cancelled'] })).toEqual(of(other));
      expect(await sorted({ status: ['cancelled', 'queued'], type: 'noop' })).toEqual(of(a!, d!, other));
      expect(await sorted({ tag: 're' })).toEqual([]);
      expect(await sorted({ rootId: 'job_none' })).toEqual([]);
    });

    test('tags follow an edit', async () => {
      const { id } = await t.b.submit(plan({ spec: { tags: ['old', 'kept'] } }));
      await t.b.run({ kind: 'edit', jobId: id, patch: { tags: ['kept', 'new'] } });
      expect(await ids({ tag: 'old' })).toEqual([]);
      expect(await ids({ tag: 'kept' })).toEqual([id]);
      expect(await ids({ tag: 'new' })).toEqual([id]);
    });

    test('text is looked for in id, type and input, and its signs stand for themselves', async () => {
      const make = async (text: string): Promise<string> => (await t.b.submit(plan({ input: JSON.stringify({ text }) }))).id;
      const percent = await make('100% sure');
      const under = await make('a_b');
      const slash = await make('C:\\dir');
      const plain = await make('100 sure aXb');
      expect(await ids({ text: '100%' })).toEqual([percent]);
      expect(await ids({ text: 'a_b' })).toEqual([under]);
      expect(await ids({ text: '\\' })).toEqual([slash]);
      expect(await ids({ text: 'AXB' })).toEqual([plain]);
      expect(await ids({ text: plain })).toEqual([plain]);
      expect(await ids({ text: 'NOOP', status: ['queued'] }, 2)).toEqual([plain, slash, under, percent]);
      expect(await ids({ text: "' OR 1=1 --" })).toEqual([]);
    });

    test('text is looked for at the beginning of an input only, and a text made to be slow is found like any other', async () => {
      const make = async (text: string): Promise<string> => (await t.b.submit(plan({ input: JSON.stringify(text) }))).id;
      const early = await make(`${'é'.repeat(4_000)}needle`);
      await make(`${'é'.repeat(4_096)}needle`);
      expect(await ids({ text: 'Needle' })).toEqual([early]);
      const slow = await make(`${'a'.repeat(3_000)}b`);
      await make('a'.repeat(3_000));
      expect(await ids({ text: `${'A'.repeat(199)}B` })).toEqual([slow]);
    });

    test('a search looks at so many jobs and so many bytes for a page, and the pages lead through all', async () => {
      const first = await t.b.submit(plan({ input: '"first"' }));
      await t.b.run({ kind: 'submit', jobs: leaves(1_500) });
      const page = await t.b.store.jobs({ text: 'first' }, null, 10);
      expect([page.items.length, page.next === null]).toEqual([0, false]);
      expect(await ids({ text: 'first' })).toEqual([first.id]);
      const last = await t.b.submit(plan({ input: '"last"' }));
      for (let i = 0; i < 20; i++) await t.b.submit(plan({ input: JSON.stringify('x'.repeat(1_000_000)) }));
      const big = await t.b.store.jobs({ text: 'last' }, null, 10);
      expect([big.items.length, big.next === null]).toEqual([0, false]);
      expect(await ids({ text: 'last' })).toEqual([last.id]);
    });

    test('a page ends before it has read much more than 8 MiB, and the next one goes on there', async () => {
      const input = JSON.stringify('x'.repeat(1_000_000));
      const root = await t.b.submit(batch(leaves(10, { input })));
      const page = await t.b.store.jobs({ parentId: root.id }, null, 200);
      expect(page.items).toHaveLength(8);
      expect((await t.b.store.jobs({ parentId: root.id }, page.next, 200)).items).toHaveLength(2);
      const children = await t.b.store.children(root.id, null, null, 200);
      expect(children.items).toHaveLength(8);
      const rest = await t.b.store.children(root.id, null, children.next, 200);
      expect([rest.items.map((item) => item.job.ordinal), rest.next]).toEqual([[8, 9], null]);
    });

    test('children come by ordinal, and by status where asked', async () => {
      const root = await t.b.submit(batch(leaves(5)));
      const children = await t.b.children(root.id);
      expect(children.map((child) => child.ordinal)).toEqual([0, 1, 2, 3, 4]);
      await t.b.run({ kind: 'cancel', jobId: children[3]!.id });
      const page = await t.b.store.children(root.id, ['queued'], null, 3);
      expect(page.items.map((item) => item.job.ordinal)).toEqual([0, 1, 2]);
      expect((await t.b.store.children(root.id, ['queued'], page.next, 3)).items.map((item) => item.job.ordinal)).toEqual([4]);
      expect(await t.b.store.children('job_none', null, null, 3)).toEqual({ items: [], damaged: [], next: null });
    });

    test('results of children come in order, up to the bytes asked for', async () => {
      const root = await t.b.submit(batch(leaves(3)));
      await t.b.open();
      const [a, b, c] = await t.b.claim();
      await t.b.done(c!, '{"n":3}');
      await t.b.fail(a!);
      await t.b.done(b!, '"é"');
      const { results, truncated } = await t.b.store.childResults(root.id, 1e6);
      expect(truncated).toBe(false);
      expect(results.map(({ ordinal, status, result, error }) => [ordinal, status, result, error?.code])).toEqual([
        [0, 'failed', null, 'handler_error'], [1, 'completed', '"é"', undefined], [2, 'completed', '{"n":3}', undefined],
      ]);
      expect(await t.b.store.childResults(root.id, 300)).toMatchObject({ truncated: true });
    });

    test('lineage leads to the root, nearest first', async () => {
      const root = await t.b.submit(batch([batch([plan()])]));
      const [middle] = await t.b.children(root.id);
      const [leaf] = await t.b.children(middle!.id);
      expect((await t.b.store.lineage(leaf!.id)).map((job) => job.id)).toEqual([leaf!.id, middle!.id, root.id]);
      expect(await t.b.store.lineage('job_none')).toEqual([]);
    });
  });

  describe('events', () => {
    const t = eachTest(open);

    test('are one sequence without holes; a cursor gives what comes after it', async () => {
      await t.b.submit(batch(leaves(3)));
      await t.b.open();
      for (const claim of await t.b.claim()) await t.b.done(claim);
      const all = await t.b.store.events('all', 0, 1_000);
      expect(all.map((event) => event.seq)).toEqual(all.map((_, i) => i + 1));
      expect(await t.b.store.lastSeq()).toBe(all.length);
      expect(await t.b.store.events('all', 4, 3)).toEqual(all.slice(4, 7));
    });

    test('of a root are its tree\'s, of a child its own and those below it, of nobody none', async () => {
      const root = await t.b.submit(batch([batch([plan()]), plan()]));
      await t.b.submit(plan());
      const [middle, leaf] = await t.b.children(root.id);
      const [low] = await t.b.children(middle!.id);
      const of = async (id: string): Promise<string[]> => [...new Set((await t.b.events(id)).map((event) => event.jobId))].sort();
      expect(await of(root.id)).toEqual([root.id, middle!.id, low!.id, leaf!.id].sort());
      expect(await of(middle!.id)).toEqual([middle!.id, low!.id].sort());
      expect(await of(leaf!.id)).toEqual([leaf!.id]);
      expect(await of('job_none')).toEqual([]);
      expect((await t.b.events(low!.id)).every((event) => event.rootId === root.id)).toBe(true);
    });

    test('can be asked for by type, in every scope', async () => {
      const root = await t.b.submit(batch([batch([plan()])]));
      const [middle] = await t.b.children(root.id);
      await t.b.run({ kind: 'cancel', jobId: root.id });
      for (const [scope, count] of [['all', 3], [{ jobId: root.id }, 3], [{ jobId: middle!.id }, 2]] as const) {
        const events = await t.b.store.events(scope, 0, 10, ['job:error', 'job:complete']);
        expect(events.map((event) => event.type)).toEqual(Array.from({ length: count }, () => 'job:error'));
      }
    });

    test('a commit wakes listeners until they stop, and a read that starts then sees it', async () => {
      let woken = 0;
      const seen: Promise<number>[] = [];
      const stop = t.b.store.onCommit(() => { woken += 1; seen.push(t.b.store.lastSeq()); });
      await t.b.submit(plan());
      expect(woken).toBe(1);
      expect(await seen[0]).toBe(1);
      stop();
      await t.b.submit(plan());
      expect(woken).toBe(1);
    });

    test('figures are kept with every move', async () => {
      const root = await t.b.submit(batch(leaves(3)));
      await t.b.open();
      await t.b.done((await t.b.claim('noop', 1))[0]!);
      await t.b.run({ kind: 'cancel', jobId: root.id });
      const figures = (await t.b.store.stats()).jobs.filter(({ count }) => count !== 0).map(({ type, status, count }) => `${type} ${status} ${count}`);
      expect(figures.sort()).toEqual(['batch cancelled 1', 'noop cancelled 2', 'noop completed 1']);
    });

    test('a closed store refuses and says so', async () => {
      await t.b.store.close();
      expect(t.b.store.health()).toBe('closed');
      await expect(t.b.submit(plan())).rejects.toMatchObject({ code: 'unavailable' });
      await t.b.store.close();
    });

    test('what was sent before close is written, what comes after is refused', async () => {
      const before = t.b.submit(plan());
      const closing = t.b.store.close();
      const after = codeOf(t.b.submit(plan()));
      expect((await before).status).toBe('queued');
      expect(await after).toBe('unavailable');
      await Promise.all([closing, t.b.store.close()]);
    });
  });
}
