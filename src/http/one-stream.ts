// One client of the SSE loop: its socket, its cursor, its end.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../domain/clock.ts';
import { isFinal } from '../domain/job.ts';
import type { Follower, View } from '../runtime/feed.ts';
import { BATCH_BYTES } from '../runtime/follower.ts';
import type { JobRecord, Store } from '../store/store.ts';
import { COMMENT } from './sse.ts';

/** ended: the job has; left: the client did; cut: it did not read; stopping: the server is; failed: the log could not be read. */
export type StreamEnd = 'ended' | 'left' | 'cut' | 'stopping' | 'failed';

/** server: it has no more; address: the client's own has none left. */
export type StreamRefusal = 'server' | 'address';

/** What a process may count. */
export interface StreamMeter {
  opened(): void;
  closed(why: StreamEnd): void;
  wrote(events: number, bytes: number): void;
  refused(why: StreamRefusal): void;
}
export const NO_METER: StreamMeter = { opened() {}, closed() {}, wrote() {}, refused() {} };

/** Is there nothing more to say of this job after the cursor? */
export function hasEnded(record: JobRecord | null, after: number): boolean {
  if (record === null) return true;
  return isFinal(record.job.status) && (record.finalSeq === null || record.finalSeq <= after);
}

interface Ties {
  readonly store: Store;
  readonly clock: Clock;
  readonly stall: number;
  readonly meter: StreamMeter;
  readonly onClose: () => void;
}

export class OneStream {
  readonly closed: Promise<void>;
  readonly #out: ServerResponse;
  readonly #socket: Socket;
  readonly #follower: Follower;
  readonly #view: View;
  readonly #ties: Ties;
  #why: StreamEnd = 'left';
  #isOver = false;
  #onDrain: (() => void) | null = null;
  #stopWatch: (() => void) | null = null;

  constructor(out: ServerResponse, socket: Socket, follower: Follower, view: View, ties: Ties) {
    this.#out = out;
    this.#socket = socket;
    this.#follower = follower;
    this.#view = view;
    this.#ties = ties;
    out.on('error', () => {}); // 'close' follows and says all there is to say
    out.on('drain', () => this.#onDrain?.());
    this.closed = new Promise((resolve) => {
      out.once('close', () => {
        this.#isOver = true;
        this.#onDrain?.();
        this.#stopWatch?.();
        follower.close();
        ties.onClose();
        ties.meter.closed(this.#why);
        resolve();
      });
    });
  }

  /** @param rest what a client that was cut in the middle of an event has still to get of it */
  async run(hello: string, rest: Uint8Array): Promise<void> {
    this.#out.write(hello);
    const { watch } = this.#view;
    if (rest.byteLength > 0) {
      if (!(await this.#send(rest))) return;
      if (watch !== null && hasEnded(await this.#ties.store.job(watch.jobId), this.#follower.position)) return this.#end('ended');
    }
    for (;;) {
      const batch = await this.#follower.next();
      if (this.#isOver) return;
      if (batch.chunk.byteLength > 0) {
        if (!(await this.#send(batch.chunk))) return;
        this.#ties.meter.wrote(batch.count, batch.chunk.byteLength);
      }
      // Asked at each event that may be the last, for a retried job has more than one; and once on catching up,
      // for a tree that was deleted while it was being read has none.
      if (watch !== null && (batch.ending || batch.caughtUp) && hasEnded(await this.#ties.store.job(watch.jobId), batch.through)) {
        this.#end('ended');
        return;
      }
      if (batch.count === 0) await this.#follower.wait();
      if (this.#isOver) return;
    }
  }

  /** A sign of life, unless the client has not read the last one. */
  comment(): void {
    if (!this.#isOver && !this.#out.writableNeedDrain) this.#out.write(COMMENT);
  }

  /** Ends from our side; a client that does not read its last words is cut. */
  leave(lastWords: string): void {
    if (this.#isOver) return;
    if (this.#out.writableNeedDrain) return this.cut('stopping');
    this.#out.write(lastWords);
    this.#end('stopping');
  }

  cut(why: StreamEnd): void {
    if (this.#out.closed) return;
    this.#isOver = true;
    this.#why = why;
    this.#socket.resetAndDestroy(); // a plain close would leave what is unsent in the kernel, for minutes
  }

  #end(why: StreamEnd): void {
    this.#isOver = true;
    this.#why = why;
    this.#follower.close();
    this.#out.end();
    this.#stopWatch = this.#ties.clock.after(this.#ties.stall, () => this.cut('cut'));
  }

  /** One write per 64 KiB, each only after the one before has left. False if there is nobody any more. */
  async #send(chunk: Uint8Array): Promise<boolean> {
    for (let at = 0; at < chunk.byteLength; at += BATCH_BYTES) {
      if (this.#out.writableNeedDrain) await this.#drained();
      if (this.#isOver) return false;
      this.#out.write(chunk.byteLength <= BATCH_BYTES ? chunk : chunk.subarray(at, at + BATCH_BYTES));
    }
    if (this.#out.writableNeedDrain) await this.#drained();
    return !this.#isOver;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ties.clock.after(this.#ties.stall, () => this.cut('cut'));
      this.#onDrain = () => {
        cancel();
        this.#onDrain = null;
        resolve();
      };
    });
  }
}
