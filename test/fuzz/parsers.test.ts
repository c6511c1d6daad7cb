// What takes bytes apart, each held against an oracle of its own: NDJSON, Last-Event-ID, Content-Encoding, log lines.
// (Frames of SSE: test/http/stream-encoder.test.ts.) MUSTER_PROPERTY_RUNS asks for more; a failure prints its seed and path.
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeBody } from '../../src/handlers/egress/decode.ts';
import { parseLines } from '../../src/http/native/submit.ts';
import { Refusal } from '../../src/http/problem.ts';
import { readCursor, streamHeaders } from '../../src/http/sse.ts';
import { Running } from '../../src/runtime/running.ts';
import { type HttpBench, httpBench } from '../support/http.ts';

const RUNS = Number(process.env['MUSTER_PROPERTY_RUNS'] ?? 1_000);
const LIMIT = { timeout: 60 * 60_000 };

describe('NDJSON', () => {
  // Text that the JSON rules take (no lone surrogates, no NUL), with what looks like a line's end in strings.
  const word = fc.array(fc.constantFrom('\n', '\r', '\r\n', '\u2028', '\u0085', '\v', '🙂', 'é', '"', '\\', '}', ' ', 'a'), { maxLength: 6 }).map((parts) => parts.join(''));
  const value = fc.oneof(word, fc.integer(), fc.dictionary(word.filter((key) => !key.includes('\\')), word, { maxKeys: 3 }), fc.array(word, { maxLength: 3 }));

  test('gives the values of its lines in order, whatever ends them and however many are empty', LIMIT, () => {
    fc.assert(fc.property(fc.array(fc.tuple(value, fc.constantFrom('\n', '\r\n', '\n\n', '\r\n\n\r\n')), { maxLength: 8 }), fc.boolean(), (lines, lastIsOpen) => {
      const text = lines.map(([item, end], i) => JSON.stringify(item) + (lastIsOpen && i === lines.length - 1 ? '' : end)).join('');
      expect(parseLines(Buffer.from(text)).map((item) => JSON.stringify(item))).toEqual(lines.map(([item]) => JSON.stringify(item)));
    }), { numRuns: RUNS });
  });

  test('names the line that is no JSON, and only ever refuses', LIMIT, () => {
    fc.assert(fc.property(fc.array(value, { maxLength: 5 }), fc.constantFrom('{', 'x', '1 2', '\ufeff1', '[1,]', '{"a":1,"a":2}', '\t'), fc.array(value, { maxLength: 3 }), (before, bad, after) => {
      const text = [...before.map((item) => JSON.stringify(item)), bad, ...after.map((item) => JSON.stringify(item))].join('\n');
      expect(() => parseLines(Buffer.from(text))).toThrow(new RegExp(`^Line ${before.length + 1}: `));
    }), { numRuns: RUNS });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try { parseLines(Buffer.from(bytes)); } catch (error) { if (!(error instanceof Refusal)) throw error; }
    }), { numRuns: RUNS });
  });
});

test('a Last-Event-ID is a whole number as we write them, exact in a double, or nothing', LIMIT, () => {
  const digits = fc.oneof(fc.nat().map(String), fc.bigInt({ min: 0n, max: 2n ** 60n }).map(String), fc.constantFrom('9007199254740991', '9007199254740992', '00', '0', '-0', '+1', '1e3', '1.0', ' 1', '1 ', '0x1', '１', '', 'NaN', '1,2', '1\n'), fc.string({ maxLength: 5 }), fc.nat().map((n) => `0${n}`));
  fc.assert(fc.property(digits, (text) => {
    const read = streamHeaders.safeParse({ 'last-event-id': text });
    const isCursor = /^\d+$/.test(text) && String(BigInt(text)) === text && BigInt(text) <= BigInt(Number.MAX_SAFE_INTEGER);
    expect([text, read.success]).toEqual([text, isCursor || text === '']);
    if (read.success) expect(readCursor(read.data['last-event-id'], 5)).toEqual(text === '' ? { value: 5, isReconnect: false } : { value: Number(text), isReconnect: true });
  }), { numRuns: RUNS });
});

describe('Content-Encoding', () => {
  const ENCODERS = { gzip: gzipSync, 'x-gzip': gzipSync, br: brotliCompressSync, zstd: zstdCompressSync, deflate: deflateSync, 'raw deflate': deflateRawSync, identity: (body: Buffer) => body } as const;
  const layer = fc.constantFrom(...(Object.keys(ENCODERS) as (keyof typeof ENCODERS)[]));
  const spelt = (name: string): string => name.replace('raw ', '');

  test('is undone in its order, and never beyond the bound', LIMIT, async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.nat(40), fc.array(layer, { maxLength: 2 }), fc.nat(3), fc.boolean(), async (bytes, times, layers, slack, loud) => {
      const body = Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes)));
      const stages = layers.reduce<Buffer[]>((done, name) => [...done, ENCODERS[name](done.at(-1)!)], [body]);
      const header = layers.map((name) => (loud ? ` ${spelt(name).toUpperCase()} ` : spelt(name))).join(',');
      // What stands between two layers counts as well: it is held in memory.
      const largest = Math.max(1, ...stages.slice(0, -1).map((stage) => stage.length));
      const read = await decodeBody(stages.at(-1)!, header, largest + slack);
      if (stages.at(-1)!.length > 0) expect([header, read.kind, read.kind === 'ok' && read.body.equals(body)]).toEqual([header, 'ok', true]);
      // Only what is undone is bounded: an identity layer at the end has no decoder.
      const undone = layers.findIndex((name) => name !== 'identity');
      if (undone >= 0 && body.length > 1) expect(await decodeBody(stages.at(-1)!, header, body.length - 1)).toEqual({ kind: 'too_large' });
    }), { numRuns: RUNS });
  });

  test('of anything at all is an answer, never an exception', LIMIT, async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.oneof(fc.string(), fc.array(layer.map(spelt), { maxLength: 4 }).map((list) => list.join(',')), fc.constantFrom('constructor', '__proto__', ',,', 'toString')), fc.boolean(), async (bytes, header, looksRight) => {
      const body = looksRight ? Buffer.concat([gzipSync(bytes).subarray(0, 15), Buffer.from(bytes)]) : Buffer.from(bytes);
      const read = await decodeBody(body, header, 1_000);
      expect(['ok', 'too_large', 'broken']).toContain(read.kind);
      if (read.kind === 'ok') expect(read.body.length).toBeLessThanOrEqual(Math.max(1_000, body.length));
    }), { numRuns: RUNS });
  });
});

describe('log lines', () => {
  let bench: HttpBench;
  beforeAll(async () => { bench = await httpBench(); });
  afterAll(() => bench.close());

  const piece = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('\n', '\r\n', '\r', '\ud83d', '\ude42', '🙂', '\0', '\u2028', '\u0085', '"', '\\n', ''), fc.nat(3).map((n) => `${'x'.repeat(16_382 + n)}🙂🙂`));
  const texts = fc.array(fc.array(piece, { maxLength: 4 }).map((parts) => parts.join('')), { maxLength: 25 });

  test('come back as they were said, in one piece, by the end or by pages', LIMIT, async () => {
    await fc.assert(fc.asyncProperty(texts, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 7, max: 30 }), async (said, tail, limit) => {
      const { id } = await bench.submit({ type: 'noop' });
      const claim = await bench.claim('noop');
      const notes: (readonly string[])[] = [];
      const running = new Running(claim, bench.clock, ({ events }) => { notes.push(events.flatMap(({ data }) => JSON.parse(data).lines as string[])); }, { finalBody: async () => null, keep: async () => {} });
      for (const text of said) running.context.log(text);
      running.end();
      for (const lines of notes) await bench.store.execute({ kind: 'note', jobId: claim.id, epoch: claim.epoch, events: [{ type: 'job:log', data: JSON.stringify({ lines }) }] });
      await bench.end(claim, { kind: 'done', result: null });
      const read = async (query: string): Promise<any> => bench.get(`/api/jobs/${id}/logs?format=json&${query}`);

      // The oracle: characters one by one.
      const wanted: string[] = [];
      for (const text of said) {
        const units = [...text.replaceAll('\r\n', '\n').replaceAll('\r', '\n')].map((unit) => (/^[\ud800-\udfff]$/.test(unit) ? '\ufffd' : unit));
        let line = '';
        for (const unit of [...units, '\n']) {
          if (unit !== '\n') { line += unit; continue; }
          let kept = line;
          if (line.length > 16_384) {
            kept = '';
            for (const one of line) { if (kept.length + one.length > 16_384) break; kept += one; }
            kept += ` … (${line.length - kept.length} characters cut)`;
          }
          wanted.push(kept);
          line = '';
        }
      }
      expect(notes.every((lines) => lines.length <= 10)).toBe(true);
      expect((await read('limit=10000')).lines).toEqual(wanted);
      expect(await read(`tail=${tail}`)).toMatchObject({ lines: wanted.slice(-tail), offset: Math.max(0, wanted.length - tail), nextOffset: null, truncated: false });
      const pages: string[] = [];
      for (let offset: number | null = 0; offset !== null;) {
        const page = await read(`offset=${offset}&limit=${limit}`);
        pages.push(...page.lines);
        offset = page.nextOffset;
      }
      expect(pages).toEqual(wanted);
      expect((await bench.inject({ method: 'GET', url: `/api/jobs/${id}/logs?download` })).body).toBe(wanted.map((line) => `${line}\n`).join(''));
    }), { numRuns: Math.ceil(RUNS / 20) }); // some ten requests each
  });
});
