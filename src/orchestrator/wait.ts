// Waiting for jobs to end: one reader of the log serves every waiter, so a commit costs one read and not one per waiter.
// It reads only while somebody waits.
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import { isFinal } from '../domain/job.ts';
import type { JobRecord, Store } from '../store/store.ts';

/** A waiter costs about 1 KiB and a socket; beyond this, polling is the better way. */
export const MAX_WAITERS = 10_000;
/** Longest wait, ms: under the idle limits of common proxies. */
export const MAX_WAIT = 60_000;
const PAGE = 500;

export class Waiters {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #max: number;
  readonly #waiting = new Map<string, Set<() => void>>();
  #count = 0;
  /** Final events after this cursor are still to be looked at. Null while nobody waits. */
  #cursor: Promise<number> | null = null;
  #reading = false;
  #again = false;
  #closed = false;
  readonly #stop: () => void;

  constructor(store: Store, clock: Clock, max = MAX_WAITERS) {
    this.#store = store;
    this.#clock = clock;
    this.#max = max;
    this.#stop = store.onCommit(() => { if (this.#count > 0) void this.#read(); });
  }

  get count(): number { return this.#count; }

  /**
   * The job once it is final, or as it is after `ms`, when the signal aborts or when the server stops.
   * @throws DomainError overloaded when too many wait already
   */
  async wait(id: string, ms: number, signal?: AbortSignal): Promise<JobRecord | null> {
    if (this.#count >= this.#max) {
      throw new DomainError('overloaded', `${this.#max} requests are waiting for jobs already.`, { hint: 'Ask without wait, or follow GET /api/stream.' });
    }
    let wake = (): void => {};
    const woken = new Promise<void>((resolve) => { wake = resolve; });
    this.#add(id, wake);
    try {
      // The cursor must stand before the job is read: what ends after the read is then seen in the log.
      this.#cursor ??= this.#store.lastSeq();
      await this.#cursor;
      const record = await this.#store.job(id);
      if (record === null || isFinal(record.job.status) || this.#closed || signal?.aborted === true) return record;
      const cancel = this.#clock.after(ms, wake);
      signal?.addEventListener('abort', wake, { once: true });
      await woken;
      cancel();
      signal?.removeEventListener('abort', wake);
    } finally {
      this.#drop(id, wake);
    }
    return this.#store.job(id);
  }

  /** Lets everybody go with what is known now. */
  close(): void {
    this.#closed = true;
    this.#stop();
    for (const set of this.#waiting.values()) for (const wake of set) wake();
  }

  #add(id: string, wake: () => void): void {
    const set = this.#waiting.get(id);
    if (set === undefined) this.#waiting.set(id, new Set([wake]));
    else set.add(wake);
    this.#count++;
  }

  #drop(id: string, wake: () => void): void {
    const set = this.#waiting.get(id);
    set?.delete(wake);
    if (set?.size === 0) this.#waiting.delete(id);
    if (--this.#count === 0) this.#cursor = null;
  }

  async #read(): Promise<void> {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#page();
      }
    } catch {
      // The store has failed or closed: every waiter still has its time limit.
    } finally {
      this.#reading = false;
    }
  }

  async #page(): Promise<void> {
    const from = this.#cursor;
    if (from === null) return;
    const events = await this.#store.events('all', await from, PAGE, ['job:complete', 'job:error']);
    for (const event of events) for (const wake of this.#waiting.get(event.jobId) ?? []) wake();
    const last = events.at(-1);
    if (last !== undefined && this.#cursor === from) this.#cursor = Promise.resolve(last.seq);
    if (events.length === PAGE) this.#again = true;
  }
}
