// The words of Server-Sent Events: frames, headers, cursors. No sockets here.
import { z } from 'zod';
import type { Encode } from '../runtime/feed.ts';
import type { StoredEvent } from '../store/store.ts';

/** How long a client waits before it connects again, ms. The value that the seeds' clients use. */
export const RETRY_MS = 2_000;

export const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  // no-transform: a proxy that compresses holds events back. no-store is not needed: a stream is never stored.
  'cache-control': 'no-cache, no-transform',
  // nginx buffers answers by default and held everything back until the end without this.
  'x-accel-buffering': 'no',
  // One answer per connection: when the server stops, nobody waits for an idle keep-alive to run out.
  connection: 'close',
} as const;

/**
 * A durable event on the wire. The text is one line whatever the data: in JSON a raw CR or LF can only stand between
 * tokens, where a space means the same; everything else that could end a line or a field is escaped inside strings.
 */
export function frameOf(seq: number, json: string): Buffer {
  return Buffer.from(`id: ${seq}\ndata: ${oneLine(json)}\n\n`, 'utf8');
}
const oneLine = (json: string): string => (/[\r\n]/.test(json) ? json.replace(/[\r\n]/g, ' ') : json);

const HIDDEN = Buffer.alloc(0);
type Said = string | readonly string[] | null;

/**
 * One event as several messages, each with an id to come back to: `seq.1`, `seq.2`, … and at the last the plain `seq`, for
 * then the whole event was seen. No message has an empty list.
 */
export function framesOf(seq: number, list: readonly string[]): Buffer {
  return Buffer.from(list.map((json, i) => `id: ${seq}${i === list.length - 1 ? '' : `.${i + 1}`}\ndata: ${oneLine(json)}\n\n`).join(''), 'utf8');
}

/** What is left of such an event after its first `count` messages; nothing once it was seen to its end. */
export function framesAfter(frames: Uint8Array, count: number): Uint8Array {
  const text = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength);
  let at = 0;
  for (let n = 0; n < count; n++) {
    const end = text.indexOf('\n\n', at);
    if (end < 0) break;
    at = end + 2;
  }
  return frames.subarray(at);
}

/** An encoder for the feed from a dialect's JSON text, or a list of texts; null hides the event. Make it once: readers share by identity. */
export function sseEncoder(toJson: (event: StoredEvent) => Promise<Said> | Said): Encode {
  const frame = (event: StoredEvent, said: Said): Buffer => {
    if (said === null || (typeof said !== 'string' && said.length === 0)) return HIDDEN;
    return typeof said === 'string' ? frameOf(event.seq, said) : framesOf(event.seq, said);
  };
  return (event) => {
    const json = toJson(event);
    return json instanceof Promise ? json.then((text) => frame(event, text)) : frame(event, json);
  };
}

export const RETRY_LINE = `retry: ${RETRY_MS}\n\n`;
export const COMMENT = ':\n\n';

/** First words of a stream. Neither carries an id: only durable events do. */
export const helloText = (json: string | null): string => (json === null ? RETRY_LINE : `retry: ${RETRY_MS}\ndata: ${json}\n\n`);

/** Tells a client that what it has does not join what follows. Named, so that `onmessage` only sees the log's own words. */
export const resetText = (reason: ResetReason, oldest: number): string =>
  `event: reset\ndata: ${JSON.stringify({ type: 'reset', data: { reason, cursor: String(oldest) } })}\n\n`;
/** expired: events after the cursor were dropped; unknown: the cursor is newer than the log (another or a restored file). */
export type ResetReason = 'expired' | 'unknown';

/** Digits only, no sign, no exponent, no leading zero, and exact in a double. */
const CURSOR = /^(0|[1-9]\d{0,15})$/;
const cursor = z.string()
  .refine((text) => CURSOR.test(text) && Number.isSafeInteger(Number(text)), 'must be a cursor: send an id of this stream, or the cursor of a job, as it came')
  .transform(Number)
  .meta({ type: 'integer', minimum: 0 });

export const streamHeaders = z.object({
  'last-event-id': z.union([z.literal(''), cursor]).optional().describe('Where to go on: the id of the last event seen. EventSource sends it by itself. Wins over `after`.'),
});

/** The cursor of a stream whose events may be several messages: `120`, or `120.3` for the first three of event 120. */
const PART_CURSOR = /^(0|[1-9]\d{0,15})(\.[1-9]\d{0,5})?$/;
const partCursor = z.string()
  .refine((text) => PART_CURSOR.test(text) && Number.isSafeInteger(Number(text.split('.', 1)[0])), 'must be a cursor: send an id of this stream as it came')
  .transform((text) => { const [seq, part] = text.split('.'); return { seq: Number(seq), part: Number(part ?? 0) }; })
  .meta({ type: 'string', pattern: PART_CURSOR.source });
export const partHeaders = z.object({
  'last-event-id': z.union([z.literal(''), partCursor]).optional().describe('Where to go on: the id of the last message seen. EventSource sends it by itself.'),
});

export const afterQuery = cursor.optional().describe('Where to go on: only what came after this cursor. 0 = from the oldest that is kept.');

export interface Cursor {
  readonly value: number | null;
  /** Messages of the event `value` that were seen, if it was not seen to its end. */
  readonly part?: number;
  /** It came as Last-Event-ID: a client that reconnects, and does so until it is answered 204. */
  readonly isReconnect: boolean;
}

export function readCursor(lastEventId: number | '' | undefined, after: number | undefined): Cursor {
  if (lastEventId !== undefined && lastEventId !== '') return { value: lastEventId, isReconnect: true };
  return { value: after ?? null, isReconnect: false };
}

export function readPartCursor(lastEventId: { readonly seq: number; readonly part: number } | '' | undefined): Cursor {
  if (lastEventId === undefined || lastEventId === '') return { value: null, isReconnect: false };
  return { value: lastEventId.seq, part: lastEventId.part, isReconnect: true };
}
