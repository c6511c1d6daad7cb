// The frame parser: whatever is written in frames comes out, however the chunks are cut, and what are no frames is refused.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameParser } from '../../src/docker/frames.ts';

const frame = (stream: number, body: Buffer): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
};
const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % Math.max(1, sizes.length)] ?? bytes.length);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
};
function parse(chunks: readonly Buffer[]): { stdout: string; stderr: string; isInside: boolean } {
  const parts: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  const parser = new FrameParser((stream, piece) => parts[stream].push(Buffer.from(piece)));
  for (const chunk of chunks) parser.push(chunk);
  return { stdout: Buffer.concat(parts.stdout).toString('hex'), stderr: Buffer.concat(parts.stderr).toString('hex'), isInside: parser.isInside };
}
const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 300 })), { maxLength: 40 });

describe('frames', () => {
  test('give back every byte of both streams, wherever the chunks are cut', () => {
    fc.assert(fc.property(frames, fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 20 }), (list, sizes) => {
      const bytes = Buffer.concat(list.map(([stream, body]) => frame(stream, Buffer.from(body))));
      const of = (wanted: number): string => Buffer.concat(list.filter(([stream]) => stream === wanted).map(([, body]) => Buffer.from(body))).toString('hex');
      expect(parse(cut(bytes, sizes))).toEqual({ stdout: of(1), stderr: of(2), isInside: false });
    }), { numRuns: 2_000 });
  });

  test('a megabyte of one-byte frames overflows no stack', () => {
    const one = frame(1, Buffer.from('x'));
    const many = Buffer.concat(Array.from({ length: 120_000 }, () => one));
    expect(parse([many]).stdout).toHaveLength(240_000);
  });

  test('that end in the middle are known to', () => {
    const whole = frame(1, Buffer.from('hello'));
    for (let at = 1; at < whole.length; at++) expect(parse([whole.subarray(0, at)]).isInside).toBe(true);
  });

  test.each([['a stream that there is not', Buffer.from([7, 0, 0, 0, 0, 0, 0, 1, 65])], ['bytes that are no frame', Buffer.from('plain text, no frames')], ['standard input', frame(0, Buffer.from('x'))]])('%s is refused', (_, bytes) => {
    expect(() => parse([bytes])).toThrow(/where a frame of output begins/);
  });

  test('what the engine says in their place is an error, in its words', () => {
    expect(() => parse(cut(frame(3, Buffer.from('error from daemon in stream: gone')), [5]))).toThrow(/could not go on.*error from daemon in stream: gone/);
  });
});
