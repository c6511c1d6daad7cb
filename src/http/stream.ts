// One SSE loop for all dialects: read after the cursor, write, wait for the feed. A client is paced by its socket and
// nothing is queued for it: who is late is read for again from its cursor. What the events say is the dialect's.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import type { EventType } from '../domain/event.ts';
import type { Encode, Feed, View } from '../runtime/feed.ts';
import type { Store } from '../store/store.ts';
import { NOTHING } from '../runtime/follower.ts';
import { clientOf } from './client-address.ts';
import { Refusal } from './problem.ts';
import { type Cursor, framesAfter, helloText, type ResetReason, resetText, RETRY_LINE, SSE_HEADERS } from './sse.ts';
import { hasEnded, NO_METER, OneStream, type StreamMeter } from './one-stream.ts';

export type { StreamEnd, StreamMeter } from './one-stream.ts';

export interface StreamLimits {
  /** Streams of this process. A client costs about 40 KiB, so this is 200 MiB. */
  readonly streams: number;
  /**
   * Streams of one client address (clientOf). As many as there are by default: behind a proxy all clients have the proxy's
   * address, and a bound for one client would be a bound for all of them.
   */
  readonly perAddress: number;
  /** ms between comments, so that proxies (nginx: 60 s) and clients do not take silence for death. */
  readonly heartbeat: number;
  /** ms a socket may take for one write of at most 64 KiB. A reader at 2 KiB/s keeps up; one that does not read is cut. */
  readonly stall: number;
  /** ms that closeAll waits for last words to leave: far under the 8 s that a stopping server has. */
  readonly goodbye: number;
}
export const STREAM_LIMITS: StreamLimits = { streams: 5_000, perAddress: Number.POSITIVE_INFINITY, heartbeat: 15_000, stall: 30_000, goodbye: 1_000 };

export interface StreamDialect {
  /** Made once with sseEncoder. */
  readonly encode: Encode;
  /** JSON text of the first data, which has no id; null = none. */
  readonly hello: string | null;
}

export interface StreamDeps {
  readonly store: Store;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly meter?: StreamMeter;
  readonly limits?: Partial<StreamLimits>;
}

export class Streams {
  readonly #deps: StreamDeps;
  readonly #limits: StreamLimits;
  readonly #meter: StreamMeter;
  readonly #open = new Set<OneStream>();
  /** How many of them each address has; one that has none is not here. */
  readonly #byAddress = new Map<string, number>();
  #stopBeat: (() => void) | null = null;
  #isClosing = false;

  constructor(deps: StreamDeps) {
    this.#deps = deps;
    this.#limits = { ...STREAM_LIMITS, ...deps.limits };
    this.#meter = deps.meter ?? NO_METER;
  }

  get open(): number { return this.#open.size; }

  /**
   * One job with everything below it, from its first event or after the cursor, until it has ended. At or past that
   * end the answer is 204, on which EventSource clients stop; so it is for a client that comes back to a deleted job.
   * @throws DomainError not_found, overloaded; Refusal too_many_streams
   */
  async followJob(request: FastifyRequest, reply: FastifyReply, jobId: string, cursor: Cursor, speak: StreamDialect | ((type: string) => StreamDialect)): Promise<void> {
    const { store } = this.#deps;
    this.#admit(request);
    const record = await store.job(jobId);
    if (record === null) {
      if (cursor.isReconnect) return nothingMore(reply);
      throw new DomainError('not_found', `There is no job ${jobId}.`, { hint: 'Check the id; a deleted job is gone for good.' });
    }
    const dialect = typeof speak === 'function' ? speak(record.job.type) : speak;
    const view: View = { watch: { jobId, rootId: record.job.rootId }, types: null, encode: dialect.encode };
    const rest = await this.#restOf(view, jobId, cursor);
    if (rest === null && hasEnded(record, cursor.value ?? -1)) return nothingMore(reply);
    const start = await this.#start(cursor.value ?? 0, cursor.value !== null);
    if (rest === null && hasEnded(record, start.after)) return nothingMore(reply); // of a finished job nothing is kept
    this.#begin(request, reply, view, start, dialect, rest ?? NOTHING);
  }

  /**
   * The messages of one event that a client has not seen, which came back in the middle of it: it goes on after the event.
   * Null: it was seen to its end, or is no event of this job.
   */
  async #restOf(view: View, jobId: string, { value, part = 0 }: Cursor): Promise<Uint8Array | null> {
    if (value === null || part === 0) return null;
    const [event] = await this.#deps.store.events({ jobId }, value - 1, 1);
    if (event?.seq !== value) return null;
    const rest = framesAfter(await view.encode(event), part);
    return rest.byteLength === 0 ? null : rest;
  }

  /**
   * Everything, for as long as the client stays: after the cursor, or from now on without one.
   * @throws DomainError overloaded; Refusal too_many_streams
   */
  async followAll(request: FastifyRequest, reply: FastifyReply, cursor: Cursor, types: readonly EventType[] | null, dialect: StreamDialect): Promise<void> {
    this.#admit(request);
    const start = cursor.value === null ? { after: await this.#deps.store.lastSeq(), reset: null } : await this.#start(cursor.value, true);
    this.#begin(request, reply, { watch: null, types, encode: dialect.encode }, start, dialect);
  }

  /** For a stopping server: says goodbye to everybody, so that clients come back in their own time and nothing is reset. */
  async closeAll(): Promise<void> {
    this.#isClosing = true;
    for (const stream of this.#open) stream.leave(RETRY_LINE);
    const gone = Promise.all([...this.#open].map((stream) => stream.closed));
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => { cancel = this.#deps.clock.after(this.#limits.goodbye, resolve); });
    await Promise.race([gone, late]);
    cancel();
    for (const stream of this.#open) stream.cut('stopping');
    await gone;
  }

  #admit({ raw }: FastifyRequest): void {
    if (this.#isClosing) throw new DomainError('unavailable', 'The server is stopping.');
    if ((this.#byAddress.get(clientOf(raw.socket.remoteAddress)) ?? 0) >= this.#limits.perAddress) {
      this.#meter.refused('address');
      throw new Refusal('too_many_streams', `The ${this.#limits.perAddress} streams that one address may have are taken.`);
    }
    if (this.#open.size < this.#limits.streams) return;
    this.#meter.refused('server');
    throw new DomainError('overloaded', `All ${this.#limits.streams} streams of this server are taken.`, {
      hint: 'Close streams you do not read, follow one stream of a whole tree, or ask GET /api/jobs/:id/events?after= in turns.', streams: this.#limits.streams,
    });
  }

  #count(client: string, by: 1 | -1): void {
    const count = (this.#byAddress.get(client) ?? 0) + by;
    if (count > 0) this.#byAddress.set(client, count);
    else this.#byAddress.delete(client);
  }

  /** Where a cursor leads. One from outside of what is kept cannot be joined: the client is told, and gets what there is. */
  async #start(after: number, isGiven: boolean): Promise<Start> {
    const [floor, last] = await Promise.all([this.#deps.store.floorSeq(), this.#deps.store.lastSeq()]);
    if (after > last) return { after: floor, reset: 'unknown' };
    if (after < floor) return { after: floor, reset: isGiven ? 'expired' : null };
    return { after, reset: null };
  }

  #begin(request: FastifyRequest, reply: FastifyReply, view: View, start: Start, dialect: StreamDialect, rest: Uint8Array = NOTHING): void {
    this.#admit(request); // again: others may have come while we read
    reply.hijack();
    const { socket } = request.raw;
    if (socket.destroyed || reply.raw.destroyed) return; // left before it began: there will be no 'close' to clean up after
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value);
    reply.raw.writeHead(200, SSE_HEADERS);
    if (request.method === 'HEAD') { reply.raw.end(); return; }
    const client = clientOf(socket.remoteAddress); // once: a closed socket has none
    const stream = new OneStream(reply.raw, socket, this.#deps.feed.follow(view, start.after), view, {
      store: this.#deps.store, clock: this.#deps.clock, stall: this.#limits.stall, meter: this.#meter,
      onClose: () => {
        this.#open.delete(stream);
        this.#count(client, -1);
        if (this.#open.size > 0) return;
        this.#stopBeat?.();
        this.#stopBeat = null;
      },
    });
    this.#open.add(stream);
    this.#count(client, 1);
    this.#meter.opened();
    this.#stopBeat ??= this.#beat();
    const hello = helloText(dialect.hello) + (start.reset === null ? '' : resetText(start.reset, start.after));
    stream.run(hello, rest).catch((error: unknown) => {
      request.log.error({ err: error }, 'a stream could not go on; its client comes back to where it was');
      stream.cut('failed');
    });
  }

  /** One timer for all. */
  #beat(): () => void {
    return this.#deps.clock.after(this.#limits.heartbeat, () => {
      for (const stream of this.#open) stream.comment();
      this.#stopBeat = this.#beat();
    });
  }
}

interface Start {
  readonly after: number;
  readonly reset: ResetReason | null;
}

/** 204 is what tells an EventSource to stop. */
function nothingMore(reply: FastifyReply): void {
  void reply.code(204).header('cache-control', 'no-store').send();
}
