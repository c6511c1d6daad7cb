// However output is cut into events, a reader of whole lines gets each line once, in order, also from the middle on.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OutputChunk } from '../../src/domain/commands.ts';
import { WholeLines } from '../../src/orchestrator/whole-lines.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import { FakeClock } from '../support/clock.ts';
import { plan, POLICIES } from '../support/make.ts';
import { Bench } from '../support/store.ts';

type Stream = 'stdout' | 'stderr';
interface Print { readonly stream: Stream; readonly text: string }

/** What a container's gatherer does with pieces of text: flags tell where a line goes on. */
function chunks(prints: readonly Print[], begun: Record<Stream, boolean> = { stdout: false, stderr: false }): OutputChunk[] {
  let offset = 0;
  return prints.map(({ stream, text }) => {
    const count = text.split('\n').length - 1;
    const open = !text.endsWith('\n');
    const chunk = { stream, bytes: Buffer.from(text), offset, count, ...(begun[stream] ? { continues: true } : {}), ...(open ? { open } : {}) };
    begun[stream] = open;
    offset += count;
    return chunk;
  });
}

async function printed(attempts: readonly (readonly Print[])[]): Promise<{ lines: string[]; perEvent: number[]; again: string[]; close(): Promise<void> }> {
  const clock = new FakeClock();
  const store = await openStore({ path: ':memory:', clock, policies: POLICIES, writer: 'inline' });
  const b = new Bench(store, clock);
  const { id } = await b.submit(plan());
  for (const prints of attempts) {
    const [claim] = await b.claim();
    for (const chunk of chunks(prints)) {
      await b.run({ kind: 'keep', jobId: id, epoch: claim!.epoch, keep: { chunks: [chunk], trim: null, totals: { bytes: 0, lines: 0, droppedBytes: 0, droppedLines: 0 }, mark: '{}', facts: null } });
    }
    if (prints !== attempts.at(-1)) {
      await b.fail(claim!, true);
      await b.pass(2_000);
    }
  }
  const whole = new WholeLines(store);
  const read = async (): Promise<string[][]> => {
    const found: string[][] = [];
    for (const event of (await store.logs(id, { after: 0 }, 10_000)).events) found.push([...(await whole.linesOf(event))]);
    return [...found, [...(await whole.unended(id, Number.MAX_SAFE_INTEGER))]];
  };
  const first = await read();
  const again = (await read()).flat();
  return { lines: first.flat(), perEvent: first.map((list) => list.length), again, close: () => store.close() };
}

const text = fc.array(fc.constantFrom('a', 'é', '🙂', '\n', '\n', ' '), { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
const prints = fc.array(fc.record({ stream: fc.constantFrom<Stream>('stdout', 'stdout', 'stderr'), text }), { maxLength: 30 });

/** The lines of one stream of one attempt. */
const linesIn = (list: readonly Print[], stream: Stream): string[] => {
  const lines = list.filter((one) => one.stream === stream).map((one) => one.text).join('').split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
};

test('each line once, whole and in the order of its stream, and the same again', async () => {
  await fc.assert(fc.asyncProperty(prints, async (list) => {
    const { lines, again, close } = await printed([list]);
    await close();
    const marked = list.map((one) => ({ ...one, text: one.text }));
    expect([...lines].sort()).toEqual([...linesIn(marked, 'stdout'), ...linesIn(marked, 'stderr')].sort());
    if (list.every((one) => one.stream === 'stdout')) expect(lines).toEqual(linesIn(list, 'stdout'));
    expect(again).toEqual(lines);
  }), { numRuns: 60 });
});

test('a line that an attempt left open is a line of its own, not the beginning of what the next one prints', async () => {
  const { lines, perEvent, close } = await printed([[{ stream: 'stdout', text: 'one\ntw' }, { stream: 'stderr', text: 'e' }], [{ stream: 'stdout', text: 'three\nfo' }, { stream: 'stdout', text: 'ur' }]]);
  await close();
  expect(lines).toEqual(['one', 'tw', 'three', 'four', 'e']);
  expect(perEvent).toEqual([1, 0, 2, 0, 2]);
});

test('a line of a hundred parts is one line, with its last part', async () => {
  const parts = Array.from({ length: 100 }, (_, i) => ({ stream: 'stdout' as const, text: i === 99 ? 'end\n' : `${i},` }));
  const { lines, perEvent, close } = await printed([parts]);
  await close();
  expect(lines).toEqual([parts.map((one) => one.text).join('').trimEnd()]);
  expect(perEvent.slice(0, 99).every((count) => count === 0)).toBe(true);
});
