// One reader of the feed: a view, a cursor, and a way to sleep until there is something for it.
import type { EventType } from '../domain/event.ts';
import type { Encode } from './ring.ts';

/** What a follower is shown. */
export interface View {
  /** One job with everything below it; null = everything. */
  readonly watch: { readonly jobId: string; readonly rootId: string } | null;
  readonly types: readonly EventType[] | null;
  readonly encode: Encode;
}

export interface Batch {
  /** The encoded events one after the other; shared between readers, never written to. */
  readonly chunk: Uint8Array;
  readonly count: number;
  /** Everything for this view up to this cursor is in this batch or in an earlier one. */
  readonly through: number;
  /** The last event is one that ends the watched job, unless it was retried since. */
  readonly ending: boolean;
  /** This batch came from the store and caught up with it. */
  readonly caughtUp: boolean;
}

export interface Follower {
  /** The cursor: everything up to it was handed out. */
  readonly position: number;
  /** The next events; an empty batch if there are none yet. */
  next(): Promise<Batch>;
  /** Resolves when `next` may have something, or after close. */
  wait(): Promise<void>;
  close(): void;
}

/** One batch, and so one socket write: 300 usual events. More would not be cheaper, and a slow client holds up to two. */
export const BATCH_BYTES = 64 * 1024;
/** Events per read of the log: about 1 ms of this thread. */
export const PAGE_EVENTS = 256;
/** The first page of a reader, before it is known how big its events are. */
const FIRST_PAGE = 32;
export const NOTHING = new Uint8Array(0);

interface Desk {
  read(after: number, limit: number): Promise<Batch>;
  isBehind(position: number): boolean;
  sleep(who: OneFollower): void;
  leave(who: OneFollower): void;
}

export class OneFollower implements Follower {
  position: number;
  readonly #desk: Desk;
  #limit = FIRST_PAGE;
  #resolve: (() => void) | null = null;
  #isClosed = false;

  constructor(after: number, desk: Desk) {
    this.position = after;
    this.#desk = desk;
  }

  async next(): Promise<Batch> {
    if (this.#isClosed) return { chunk: NOTHING, count: 0, through: this.position, ending: false, caughtUp: false };
    const batch = await this.#desk.read(this.position, this.#limit);
    this.position = batch.through;
    // Pages of about one batch: a page of ten-line logs is cheap, a page of results of a MiB each is not.
    if (batch.count > 0) this.#limit = Math.min(PAGE_EVENTS, Math.max(2, Math.ceil((BATCH_BYTES * batch.count) / Math.max(1, batch.chunk.byteLength))));
    return batch;
  }

  wait(): Promise<void> {
    if (this.#isClosed || this.#desk.isBehind(this.position)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#desk.sleep(this);
    });
  }

  /** Nothing up to the cursor was for it while it slept. */
  rouse(safe: number): void {
    this.position = Math.max(this.position, safe);
    this.#resolve?.();
    this.#resolve = null;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#desk.leave(this);
    this.rouse(this.position);
  }
}
