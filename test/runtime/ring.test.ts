// The ring on its own.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Ring } from '../../src/runtime/ring.ts';

describe('the ring', () => {
  test('answers as a plain list of the newest events would', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3_000, size: 'max' }), fc.integer({ min: 1, max: 50 }), fc.nat({ max: 9_000 }), (gaps, max, cursor) => {
      const ring = new Ring(max, Infinity);
      const all: number[] = [];
      for (const gap of gaps) {
        const seq = (all.at(-1) ?? 0) + gap;
        all.push(seq);
        ring.push({ seq, jobId: 'a', rootId: 'a', type: 'job:log', at: 0, data: null });
      }
      const kept = all.slice(-max);
      expect([ring.size, ring.head, ring.tail]).toEqual([kept.length, all.at(-1) ?? 0, all.length > max ? all.at(-max - 1) : 0]);
      const from = Math.max(cursor, ring.tail);
      const { entries, through } = ring.after(from, Infinity, () => true);
      expect(entries.map(({ event }) => event.seq)).toEqual(kept.filter((seq) => seq > from));
      expect(through).toBe(Math.max(from, ring.head));
      expect(ring.entry(cursor)?.event.seq).toBe(kept.includes(cursor) ? cursor : undefined);
    }), { numRuns: 100 });
  });
});
