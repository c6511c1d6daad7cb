// What a container prints, in pieces: every byte once and in order, whole characters, no secret across a border, exact counts.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOG_BYTES_MAX } from '../../../src/domain/event.ts';
import { AgentWatch } from '../../../src/handlers/container-agent.ts';
import { add, type CapState, drop, EMPTY_CAP, tailBytes, tailRoom, trim } from '../../../src/handlers/container-cap.ts';
import { Gather, type Piece, unfinished } from '../../../src/handlers/container-gather.ts';
import { Masker } from '../../../src/handlers/container-secrets.ts';

const none = new Masker([]);
const all = (gather: Gather): Piece[] => { gather.settle('end'); const pieces: Piece[] = []; while (gather.hasPieces) pieces.push(...gather.take(1)); return pieces; };
const newlines = (bytes: Buffer): number => bytes.filter((byte) => byte === 10).length;

describe('gathering', () => {
  const print = fc.array(fc.tuple(fc.constantFrom('stdout' as const, 'stderr' as const), fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.constantFrom('\n', 'line\n', 'é'.repeat(20_000), 'x'.repeat(70_000))), fc.boolean()), { maxLength: 40 });

  test('gives back every byte of each stream once and in order, with exact counts, and ends no piece inside a character', () => {
    fc.assert(fc.property(print, (list) => {
      const gather = new Gather((bytes) => none.tailOf(bytes));
      const pieces: Piece[] = [];
      for (const [stream, text, settle] of list) {
        gather.append(stream, Buffer.from(text));
        if (settle) { gather.settle('parts'); pieces.push(...gather.take(Infinity)); }
      }
      const held = gather.bytes;
      const rest = all(gather);
      expect(rest.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(held);
      pieces.push(...rest);
      for (const stream of ['stdout', 'stderr'] as const) {
        const own = pieces.filter((piece) => piece.stream === stream);
        expect(Buffer.concat(own.map(({ bytes }) => bytes)).toString()).toBe(list.filter(([one]) => one === stream).map(([, text]) => text).join(''));
        for (const [i, { bytes, count, open, continues }] of own.entries()) {
          expect(count).toBe(newlines(bytes));
          expect(open).toBe(bytes.at(-1) !== 10);
          expect(continues).toBe(i > 0 && own[i - 1]?.open === true);
          expect(unfinished(bytes)).toBe(0);
          expect(bytes.length).toBeLessThan(64 * 1024 + 140_000);
        }
      }
      expect(gather.bytes).toBe(0);
    }), { numRuns: 300 });
  });

  test('never ends a piece where a secret may have begun', () => {
    const secret = 'correct-horse-battery';
    const masker = new Masker([secret]);
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 30 }), fc.string({ maxLength: 20 }), (cuts, between) => {
      const text = `${secret}${between}${secret}${Buffer.from(`a${secret}`).toString('base64')}${between}${secret}`;
      const gather = new Gather((bytes) => masker.tailOf(bytes));
      const shown: Buffer[] = [];
      for (let at = 0, i = 0; at < text.length; i++) {
        const size = cuts[i % cuts.length] ?? 1;
        gather.append('stdout', Buffer.from(text.slice(at, at + size)));
        at += size;
        gather.settle('parts');
        for (const { bytes } of gather.take(Infinity)) shown.push(masker.mask(bytes));
      }
      for (const { bytes } of all(gather)) shown.push(masker.mask(bytes));
      const seen = Buffer.concat(shown).toString();
      expect(seen).not.toContain(secret);
      expect(seen).not.toContain(Buffer.from(`a${secret}`).toString('base64').slice(4, -4));
    }), { numRuns: 500 });
  });
});

describe('the cap', () => {
  test('keeps exact counts and never more than its bytes, however large the pieces', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 80_000 }), fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 9 })), { minLength: 200, maxLength: 900 }), (list) => {
      let state: CapState = EMPTY_CAP;
      const rows: [number, number][] = [];
      let [bytes, lines, lost, lostLines] = [0, 0, 0, 0];
      for (const [size, count, luck] of list) {
        bytes += size;
        lines += count;
        if (state.isTail && luck === 0) { state = drop(state, { bytes: size, lines: count }); lost += size; lostLines += count; continue; }
        state = add(state, { bytes: size, lines: count });
        rows.push([size, count]);
        const cut = trim(state);
        state = cut.state;
        for (const [goneBytes, goneLines] of rows.splice(state.headPieces, cut.pieces)) { lost += goneBytes; lostLines += goneLines; }
        expect(tailBytes(state)).toBeLessThanOrEqual(tailRoom(state));
      }
      expect(state.totals).toEqual({ bytes, lines, droppedBytes: lost, droppedLines: lostLines });
      const kept = rows.reduce((sum, [size]) => sum + size, 0);
      expect(kept).toBe(bytes - lost);
      expect(kept).toBeLessThanOrEqual(LOG_BYTES_MAX);
      if (bytes <= LOG_BYTES_MAX && !list.some(([, , luck]) => luck === 0)) expect(lost).toBe(0);
      expect(JSON.stringify(state).length).toBeLessThan(4_000);
    }), { numRuns: 60 });
  });
});

describe('an agent\'s answer', () => {
  const read = (text: string, size = 7, masker = none) => {
    const watch = new AgentWatch(masker);
    for (let at = 0; at < text.length; at += size) watch.push(Buffer.from(text.slice(at, at + size)));
    watch.end();
    return watch;
  };
  test.each([
    ['the line before the sentinel', 'hello\n{"status":"ok","summary":"s"}\n__AGENT_DONE__\n', { status: 'ok', summary: 's' }],
    ['the one with most of its words', '{"status":"ok","summary":"s","artifacts":[]}\n{"status":"x"}\n__AGENT_DONE__\n', { status: 'ok', summary: 's', artifacts: [] }],
    ['nothing after the sentinel', '__AGENT_DONE__\n{"status":"ok"}\n', null], ['without a sentinel too', 'x\n{"summary":"s"}', { summary: 's' }],
    ['no list, no number, no broken JSON', '[1]\n7\n{"status":\n{}\n', null],
  ])('is %s', (_, text, answer) => { for (const size of [1, 7, 1_000]) expect(read(text, size).answer).toEqual(answer); });
  test('keeps no secret', () => expect(JSON.stringify(read('{"status":"ok","summary":"the key is hunter22"}\n', 5, new Masker(['hunter22'])).answer)).toBe('{"status":"ok","summary":"the key is ***"}'));
});
