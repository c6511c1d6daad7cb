// The newest events in memory, with what encoders made of them. Bounded by count and by bytes; the log is the truth,
// and whoever is behind the tail asks the store.
import type { StoredEvent } from '../store/store.ts';

/** Events kept. A reader may be this far behind without a query: 80 ms at 100,000 events/s, minutes at a usual pace. */
export const RING_EVENTS = 8_192;
/** Bytes kept, event data and encoded frames together: results of a MiB would make 8,192 of them 8 GiB. */
export const RING_BYTES = 16 * 1024 * 1024;
/** What an event costs beside its data: ids, numbers, the objects. Measured near 300 bytes. */
const EVENT_OVERHEAD = 300;

const sizeOf = ({ data, bytes }: StoredEvent): number => (data?.length ?? 0) + (bytes?.byteLength ?? 0);

/** Makes the bytes that a reader is sent; an empty answer hides the event from that reader. */
export type Encode = (event: StoredEvent) => Promise<Uint8Array> | Uint8Array;

export interface Entry {
  readonly event: StoredEvent;
  /** One per encoder that was asked: each encodes an event once, however many read it. */
  readonly frames: { readonly encode: Encode; frame: Promise<Uint8Array> | Uint8Array }[];
  bytes: number;
}

export class Ring {
  /** The entries are all events with tail < seq <= head. */
  tail = 0;
  head = 0;
  #entries: Entry[] = [];
  #first = 0;
  #bytes = 0;
  readonly #maxEvents: number;
  readonly #maxBytes: number;

  constructor(maxEvents: number, maxBytes: number) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  get size(): number { return this.#entries.length - this.#first; }
  get bytes(): number { return this.#bytes; }

  /** Forgets everything and goes on after the cursor. */
  reset(head: number): void {
    this.tail = head;
    this.head = head;
    this.#entries = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  push(event: StoredEvent): void {
    const bytes = EVENT_OVERHEAD + sizeOf(event);
    this.#entries.push({ event, frames: [], bytes });
    this.#bytes += bytes;
    this.head = event.seq;
    this.#evict();
  }

  /** Entries after the cursor, which must not be below the tail; at most about `maxBytes` of data, at least one. */
  after(cursor: number, maxBytes: number, wanted: (event: StoredEvent) => boolean): { entries: Entry[]; through: number } {
    const entries: Entry[] = [];
    let bytes = 0;
    for (let i = this.#indexAfter(cursor); i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (entry === undefined || !wanted(entry.event)) continue;
      entries.push(entry);
      bytes += sizeOf(entry.event);
      if (bytes >= maxBytes) return { entries, through: entry.event.seq };
    }
    return { entries, through: Math.max(cursor, this.head) };
  }

  entry(seq: number): Entry | undefined {
    const entry = this.#entries[this.#indexAfter(seq - 1)];
    return entry?.event.seq === seq ? entry : undefined;
  }

  frame(entry: Entry, encode: Encode): Promise<Uint8Array> | Uint8Array {
    const known = entry.frames.find((f) => f.encode === encode);
    if (known !== undefined) return known.frame;
    const made = { encode, frame: encode(entry.event) };
    entry.frames.push(made);
    if (made.frame instanceof Uint8Array) this.#charge(entry, made.frame.byteLength);
    else {
      made.frame.then(
        (frame) => { made.frame = frame; this.#charge(entry, frame.byteLength); },
        () => { entry.frames.splice(entry.frames.indexOf(made), 1); }, // the next reader tries again
      );
    }
    return made.frame;
  }

  #charge(entry: Entry, bytes: number): void {
    entry.bytes += bytes;
    if (this.entry(entry.event.seq) !== entry) return; // gone meanwhile
    this.#bytes += bytes;
    this.#evict();
  }

  /** The newest stays whatever its size, so that readers at the live edge share it. */
  #evict(): void {
    while (this.size > 1 && (this.size > this.#maxEvents || this.#bytes > this.#maxBytes)) {
      const oldest = this.#entries[this.#first];
      if (oldest === undefined) break;
      this.#bytes -= oldest.bytes;
      this.tail = oldest.event.seq;
      this.#entries[this.#first] = EMPTY;
      this.#first += 1;
    }
    if (this.#first > 1_024 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Index of the first entry with a greater seq. */
  #indexAfter(cursor: number): number {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.event.seq ?? Infinity) > cursor) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Stands where an entry was, so that the event can be collected before the array is cut. */
const EMPTY: Entry = { event: { seq: -1, jobId: '', rootId: '', type: 'job:status', at: 0, data: null }, frames: [], bytes: 0 };
