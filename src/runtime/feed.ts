// Follows the log once for all streams: woken by commits, reads what is new once per turn, wakes who wants it.
// Reads only while somebody follows. Holds nothing per follower but a cursor: who is late asks again from there.
import type { Clock } from '../domain/clock.ts';
import type { EventType } from '../domain/event.ts';
import type { Store, StoredEvent } from '../store/store.ts';
import { type Batch, BATCH_BYTES, type Follower, NOTHING, OneFollower, PAGE_EVENTS, type View } from './follower.ts';
import type { Report, Service } from './service.ts';
import { type Encode, type Entry, Ring, RING_BYTES, RING_EVENTS } from './ring.ts';

export type { Batch, Follower, View } from './follower.ts';
export type { Encode } from './ring.ts';

/** Batches shared by readers of the same view at the same cursor; at most 4 MiB of usual ones. */
const SLICES_MAX = 64;
/** A job's parent never changes; the map is dropped when it grows past this (2 MiB). */
const PARENTS_MAX = 20_000;
/**
 * Waking a follower costs about 8 µs, nearly all of it one socket write, however much is written. After waking n of
 * them the feed rests n × this, so that streams take at most a fifth of a core at the live edge: nothing for one
 * client, 40 ms for a thousand.
 */
const REST_PER_WAKE = 0.04;
const ENDINGS: ReadonlySet<EventType> = new Set(['job:complete', 'job:error']);

export interface FeedDeps {
  readonly store: Pick<Store, 'events' | 'lastSeq' | 'lineage' | 'onCommit'>;
  readonly clock: Clock;
  readonly report: Report;
  readonly ringEvents?: number;
  readonly ringBytes?: number;
}

export class Feed implements Service {
  readonly #deps: FeedDeps;
  readonly #ring: Ring;
  readonly #followers = new Set<OneFollower>();
  /** Who sleeps, by root id; '' = everything. */
  readonly #asleep = new Map<string, Set<OneFollower>>();
  readonly #slices = new Map<Encode, Map<string, Promise<Batch>>>();
  readonly #parents = new Map<string, string | null>();
  #unlisten: (() => void) | null = null;
  #opening: Promise<void> | null = null;
  #pumping = false;
  #dirty = false;
  #endRest: (() => void) | null = null;
  #gate: Promise<unknown> = Promise.resolve();

  constructor(deps: FeedDeps) {
    this.#deps = deps;
    this.#ring = new Ring(deps.ringEvents ?? RING_EVENTS, deps.ringBytes ?? RING_BYTES);
  }

  start(): void {
    this.#unlisten ??= this.#deps.store.onCommit(() => this.#wake());
  }

  /** Lets everybody go; nothing is read any more. */
  stop(): Promise<void> {
    this.#unlisten?.();
    this.#unlisten = null;
    for (const follower of this.#followers) follower.close();
    this.#endRest?.();
    return Promise.resolve();
  }

  /** Followers at the moment, and what the ring holds. */
  get load(): { readonly followers: number; readonly events: number; readonly bytes: number } {
    return { followers: this.#followers.size, events: this.#ring.size, bytes: this.#ring.bytes };
  }

  follow(view: View, after: number): Follower {
    const follower = new OneFollower(after, {
      read: async (from, limit) => {
        await (this.#opening ??= this.#open());
        return this.#slice(view, from, limit);
      },
      isBehind: (position) => position < this.#ring.head,
      sleep: (who) => setOf(this.#asleep, view.watch?.rootId ?? '').add(who),
      leave: (who) => this.#leave(who, view.watch?.rootId ?? ''),
    });
    this.#followers.add(follower);
    return follower;
  }

  /** From idle: what was committed meanwhile is left to the store. */
  async #open(): Promise<void> {
    try {
      this.#ring.reset(await this.#deps.store.lastSeq());
      this.#wake();
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  #leave(follower: OneFollower, key: string): void {
    this.#followers.delete(follower);
    const asleep = this.#asleep.get(key);
    asleep?.delete(follower);
    if (asleep?.size === 0) this.#asleep.delete(key);
    if (this.#followers.size > 0) return;
    this.#opening = null;
    this.#ring.reset(this.#ring.head);
    this.#slices.clear();
    this.#parents.clear();
  }

  #wake(): void {
    this.#dirty = true;
    if (this.#pumping || this.#followers.size === 0 || this.#opening === null) return;
    this.#pumping = true;
    this.#pump().catch((error: unknown) => {
      this.#deps.report.error({ err: error }, 'the log could not be read for streams; tried again at the next commit');
    });
  }

  async #pump(): Promise<void> {
    try {
      // Open = somebody has read and not all have left; a session ends with its last follower.
      for (let session = this.#opening; this.#dirty && session !== null && this.#unlisten !== null; session = this.#opening) {
        this.#dirty = false;
        await this.#nextTurn(); // commits of one turn are read together
        const after = this.#ring.head;
        const events = session === this.#opening ? await this.#deps.store.events('all', after, PAGE_EVENTS) : [];
        // All left meanwhile, or left and others came: what was read is nobody's, and whoever is here starts afresh.
        if (session !== this.#opening || after !== this.#ring.head) this.#dirty = true;
        else if (events.length > 0) {
          if (events.length === PAGE_EVENTS) this.#dirty = true;
          await this.#rest(this.#append(events));
        }
      }
    } finally {
      this.#pumping = false; // in the same step as the last look at #dirty, so that no wake-up falls between
    }
  }

  /** Returns how many were woken. */
  #append(events: readonly StoredEvent[]): number {
    let woken = 0;
    for (const event of events) {
      this.#ring.push(event);
      for (const key of ['', event.rootId]) {
        const asleep = this.#asleep.get(key);
        if (asleep === undefined) continue;
        for (const follower of asleep) {
          if (event.seq <= follower.position) continue; // it had this one from the store
          asleep.delete(follower);
          follower.rouse(event.seq - 1);
          woken += 1;
        }
        if (asleep.size === 0) this.#asleep.delete(key);
      }
    }
    this.#slices.clear();
    return woken;
  }

  #rest(woken: number): Promise<void> | undefined {
    const ms = woken * REST_PER_WAKE;
    if (ms < 1) return undefined;
    return new Promise((resolve) => {
      const cancel = this.#deps.clock.after(ms, () => this.#endRest?.());
      this.#endRest = () => { cancel(); this.#endRest = null; resolve(); };
    });
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => { this.#deps.clock.turn(resolve); });
  }

  /** Readers of one view at one cursor share one batch. */
  #slice(view: View, after: number, limit: number): Promise<Batch> {
    let slices = this.#slices.get(view.encode);
    if (slices === undefined) this.#slices.set(view.encode, (slices = new Map()));
    const key = `${view.watch?.jobId ?? ''} ${view.types?.join() ?? ''} ${after}`;
    const known = slices.get(key);
    if (known !== undefined) return known;
    const batch = after >= this.#ring.tail ? this.#fromRing(view, after) : this.#fromStore(view, after, limit);
    if (slices.size >= SLICES_MAX) slices.clear();
    slices.set(key, batch);
    // Big ones are not held for who may come; those at the live edge get theirs from the ring.
    batch.then(({ chunk }) => { if (chunk.byteLength > BATCH_BYTES) slices.delete(key); }, () => slices.delete(key));
    return batch;
  }

  async #fromRing(view: View, after: number): Promise<Batch> {
    const { watch, types } = view;
    const { entries, through } = this.#ring.after(after, BATCH_BYTES, (event) =>
      (watch === null || event.rootId === watch.rootId) && (types === null || types.includes(event.type)));
    if (watch !== null && watch.jobId !== watch.rootId) {
      const members: Entry[] = [];
      for (const entry of entries) {
        const isBelow = await this.#isBelow(entry.event.jobId, watch.jobId);
        if (isBelow === null) return this.#fromStore(view, after, PAGE_EVENTS); // deleted meanwhile: the store knows what is left
        if (isBelow) members.push(entry);
      }
      return this.#join(view, members, through, false);
    }
    return this.#join(view, entries, through, false);
  }

  async #fromStore(view: View, after: number, limit: number): Promise<Batch> {
    // One page a turn for all who are behind: a thousand reconnecting clients must not hold up everything else.
    const turn = this.#gate;
    this.#gate = turn.then(() => this.#nextTurn());
    await turn;
    const { head } = this.#ring;
    const events = await this.#deps.store.events(view.watch === null ? 'all' : { jobId: view.watch.jobId }, after, limit, view.types ?? undefined);
    const isLast = events.length < limit;
    const entries = events.map((event) => this.#ring.entry(event.seq) ?? { event, frames: [], bytes: 0 });
    return this.#join(view, entries, isLast ? Math.max(after, head, events.at(-1)?.seq ?? 0) : (events.at(-1)?.seq ?? after), isLast);
  }

  async #join(view: View, entries: readonly Entry[], through: number, isLast: boolean): Promise<Batch> {
    const frames: Uint8Array[] = [];
    let bytes = 0;
    for (const [i, entry] of entries.entries()) {
      const made = this.#ring.frame(entry, view.encode);
      const frame = made instanceof Uint8Array ? made : await made;
      if (bytes > 0 && bytes + frame.byteLength > BATCH_BYTES) {
        return { chunk: Buffer.concat(frames), count: frames.length, through: entries[i - 1]?.event.seq ?? through, ending: false, caughtUp: false };
      }
      frames.push(frame);
      bytes += frame.byteLength;
      const ending = entry.event.jobId === view.watch?.jobId && ENDINGS.has(entry.event.type);
      if (ending) return { chunk: Buffer.concat(frames), count: frames.length, through: entry.event.seq, ending, caughtUp: false };
    }
    const chunk = frames.length === 0 ? NOTHING : frames.length === 1 ? (frames[0] ?? NOTHING) : Buffer.concat(frames);
    return { chunk, count: frames.length, through, ending: false, caughtUp: isLast };
  }

  /** Is the job, or one it is below, the watched one? null if there is no such job any more. */
  async #isBelow(jobId: string, watchedId: string): Promise<boolean | null> {
    if (jobId !== watchedId && !this.#parents.has(jobId)) {
      if (this.#parents.size > PARENTS_MAX) this.#parents.clear();
      const lineage = await this.#deps.store.lineage(jobId);
      if (lineage.length === 0) return null;
      for (const job of lineage) this.#parents.set(job.id, job.parentId);
    }
    for (let id: string | null = jobId; id !== null; id = this.#parents.get(id) ?? null) if (id === watchedId) return true;
    return false;
  }
}

function setOf<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  let set = map.get(key);
  if (set === undefined) map.set(key, (set = new Set()));
  return set;
}
