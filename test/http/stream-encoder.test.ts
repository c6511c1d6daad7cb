// Whatever stands in an event, a real client gets exactly one message with exactly that data.
// MUSTER_PROPERTY_RUNS asks for more frames; a failure prints its seed and path.
import { EventSource } from 'eventsource';
import { createEventSource } from 'eventsource-client';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frameOf, helloText, resetText, sseEncoder } from '../../src/http/sse.ts';
import type { StoredEvent } from '../../src/store/store.ts';

interface Message { id: string | undefined; event: string | undefined; data: string }

/** Feeds bytes, cut where told, to the parser inside a real client. */
async function readBack(bytes: Uint8Array, cuts: readonly number[]): Promise<Message[]> {
  const body = streamOf(bytes, cuts);
  const messages: Message[] = [];
  await new Promise<void>((resolve) => {
    const client = createEventSource({
      url: 'http://127.0.0.1/',
      fetch: () => Promise.resolve(new Response(body, { status: 200 })),
      onMessage: ({ id, event, data }) => { messages.push({ id, event, data }); },
      onDisconnect: () => { client.close(); resolve(); },
    });
  });
  return messages;
}

/** The same through the other client, the one that browsers' API is a model for: it calls no id ''. */
async function readBackAsBrowsers(bytes: Uint8Array, cuts: readonly number[]): Promise<Message[]> {
  const messages: Message[] = [];
  await new Promise<void>((resolve) => {
    const source = new EventSource('http://127.0.0.1/', { fetch: () => Promise.resolve(new Response(streamOf(bytes, cuts), { status: 200, headers: { 'content-type': 'text/event-stream' } })) });
    source.addEventListener('message', ({ data, lastEventId }) => { messages.push({ id: lastEventId, event: undefined, data }); });
    source.addEventListener('error', () => { source.close(); resolve(); });
  });
  return messages;
}

function streamOf(bytes: Uint8Array, cuts: readonly number[]): ReadableStream {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.byteLength + 1)), bytes.byteLength])].sort((a, b) => a - b);
  return new ReadableStream({
    start(controller) {
      places.slice(1).forEach((place, i) => { controller.enqueue(bytes.subarray(places[i], place)); });
      controller.close();
    },
  });
}

const RUNS = Number(process.env['MUSTER_PROPERTY_RUNS'] ?? 500);

/**
 * JSON text without the space between its tokens. Text is held against text: JSON.parse is no judge of what arrived, for
 * V8 takes some keys with escapes for others that it read before (domain/read-json.ts); this test once failed of that.
 */
const compact = (json: string): string => json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');

const nasty = fc.array(fc.constantFrom('\r', '\n', '\r\n', '\0', '\ufeff', '\u2028', '\u2029', '\u0085', 'data: x', 'id: 7', 'event: admin', ':', '\n\n', '"', '\\', '\ud800', '🙂', ' ', 'é'), { maxLength: 12 }).map((parts) => parts.join(''));
const anyJson = fc.oneof(fc.jsonValue(), nasty, fc.dictionary(nasty, nasty));

describe('a frame', () => {
  test('gives a real client one message with the id and the data that went in, wherever the network cuts it', { timeout: 60 * 60_000 }, async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), anyJson, fc.constantFrom(undefined, 1, '\t', '\r\n', '\r')), { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      async (items, cuts) => {
        // Indented by line breaks of all kinds: what stands between tokens is the sender's, not ours.
        const frames = items.map(([seq, value, indent]) => frameOf(seq, JSON.stringify({ type: 'job:log', data: value }, null, indent)));
        const messages = await readBack(Buffer.concat(frames), cuts);
        expect(messages.map(({ id, event }) => [id, event])).toEqual(items.map(([seq]) => [String(seq), undefined]));
        expect((await readBackAsBrowsers(Buffer.concat(frames), cuts)).map(({ id, data }) => [id, data])).toEqual(messages.map(({ id, data }) => [id, data]));
        expect(messages.map(({ data }) => compact(data))).toEqual(items.map(([, value]) => JSON.stringify({ type: 'job:log', data: value })));
      },
    ), { numRuns: RUNS });
  });

  test('is one line of data, and no other byte can end it', () => {
    fc.assert(fc.property(anyJson, fc.constantFrom(undefined, '\r', '\n', '\r\n'), (value, indent) => {
      const text = frameOf(1, JSON.stringify({ value }, null, indent)).toString('utf8');
      expect(text).toMatch(/^id: 1\ndata: [^\r\n\0]*\n\n$/);
    }), { numRuns: RUNS * 2 });
  });

  test('is hidden when the dialect has no word for the event', () => {
    const event: StoredEvent = { seq: 3, jobId: 'a', rootId: 'a', type: 'job:log', at: 0, data: null };
    expect(sseEncoder(() => null)(event)).toHaveLength(0);
    expect(sseEncoder(() => '{}')(event)).toEqual(Buffer.from('id: 3\ndata: {}\n\n'));
  });
});

describe('the first words', () => {
  test('set no id, and only the reset has a name', async () => {
    const messages = await readBack(Buffer.from(helloText('{"type":"connected"}') + resetText('expired', 12)), []);
    expect(messages).toEqual([
      { id: undefined, event: undefined, data: '{"type":"connected"}' },
      { id: undefined, event: 'reset', data: '{"type":"reset","data":{"reason":"expired","cursor":"12"}}' },
    ]);
    expect(await readBack(Buffer.from(helloText(null)), [])).toEqual([]);
  });
});
