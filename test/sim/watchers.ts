// Those who watch: SSE clients that come and go, read slowly, and come back with Last-Event-ID. The stream code is the real
// one; only the socket is simulated. What was heard is kept by the fault harness's Reader, which also judges order.
import { EventEmitter } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../../src/domain/errors.ts';
import { type Cursor, sseEncoder } from '../../src/http/sse.ts';
import type { StreamDialect } from '../../src/http/stream.ts';
import { wireEvent } from '../../src/orchestrator/final.ts';
import { parseBlock } from '../support/sse.ts';
import { noCounts, Reader } from '../fault/readers.ts';
import type { Rng } from '../fault/rng.ts';
import type { Kernel } from './kernel.ts';
import type { Life } from './life.ts';
import type { Trace } from './trace.ts';

/** A stream's answer and socket in one. What is written arrives later, in order, at the client's pace. */
class Wire extends EventEmitter {
  destroyed = false;
  closed = false;
  writableNeedDrain = false;
  status = 200;
  readonly #kernel: Kernel;
  readonly #room: number;
  readonly #pace: () => number;
  readonly #onText: (text: string) => void;
  #unread = 0;
  #free = 0;

  constructor(kernel: Kernel, room: number, pace: () => number, onText: (text: string) => void) {
    super();
    this.#kernel = kernel;
    this.#room = room;
    this.#pace = pace;
    this.#onText = onText;
  }

  setHeader(): void {}
  writeHead(): void {}

  write(chunk: string | Uint8Array): void {
    if (this.closed) return;
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    this.#unread += text.length;
    if (this.#unread > this.#room) this.writableNeedDrain = true;
    this.#free = Math.max(this.#free, this.#kernel.mono) + this.#pace();
    this.#kernel.after(this.#free - this.#kernel.mono, () => {
      if (this.destroyed) return;
      this.#unread -= text.length;
      this.#onText(text);
      if (!this.writableNeedDrain || this.#unread > 0) return;
      this.writableNeedDrain = false;
      this.emit('drain');
    });
  }

  /** Ends once everything written has been read. */
  end(): void {
    this.#kernel.after(Math.max(0, this.#free - this.#kernel.mono) + 1, () => this.drop());
  }

  resetAndDestroy(): void { this.drop(); }

  /** Gone, from either side; the server hears of it in a later turn. */
  drop(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.closed = true;
    this.#kernel.turn(() => this.emit('close'));
  }
}

export class Watcher {
  readonly reader: Reader;
  readonly #jobId: string | null;
  readonly #kernel: Kernel;
  readonly #rng: Rng;
  readonly #trace: Trace;
  readonly #room: number;
  /** Longest life of a connection, ms; null = it is left alone. */
  cutAfter: number | null;
  #wire: Wire | null = null;

  constructor(jobId: string | null, { kernel, rng, trace, room }: { kernel: Kernel; rng: Rng; trace: Trace; room: number }) {
    this.#jobId = jobId;
    this.#kernel = kernel;
    this.#rng = rng;
    this.#trace = trace;
    this.#room = room;
    this.cutAfter = rng.chance(0.7) ? rng.int(500, 60_000) : null;
    this.reader = new Reader(jobId === null ? '/api/stream?after=0' : `/api/jobs/${jobId}/stream`, { counts: noCounts(), rng, cutAfter: null });
  }

  get isConnected(): boolean { return this.#wire !== null; }

  /** One connection, unless there is one or nothing more to hear. */
  connect(life: Life): void {
    const { reader } = this;
    if (this.#wire !== null || reader.isOver || !life.isReady) return;
    const rng = this.#rng;
    const isSlow = rng.chance(0.1);
    let rest = '';
    let isFirst = true;
    const wire: Wire = new Wire(this.#kernel, this.#room, () => (isSlow ? rng.int(100, 3_000) : rng.int(0, 4)), (text) => {
      rest += text;
      for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
        const block = parseBlock(rest.slice(0, at));
        rest = rest.slice(at + 2);
        if (isFirst !== (block?.data?.type === 'connected')) reader.violations.push(`stream ${reader.path} has "connected" elsewhere than at its beginning`);
        if (block !== null && !isFirst) reader.take(block);
        isFirst = false;
      }
    });
    this.#wire = wire;
    const gone = (): void => { if (this.#wire === wire) this.#wire = null; };
    wire.once('close', gone);
    life.onEnd(() => { wire.destroyed = true; gone(); });
    if (this.cutAfter !== null) this.#kernel.after(rng.int(1, this.cutAfter), () => wire.drop());
    const cursor: Cursor = reader.position === 0 ? { value: this.#jobId === null ? 0 : null, isReconnect: false } : { value: reader.position, isReconnect: true };
    this.#trace.add(`watch ${reader.path} after ${reader.position}`);
    const reply = {
      raw: wire, hijack() {}, getHeaders: () => ({}),
      code(status: number) { wire.status = status; return reply; }, header: () => reply, send() { wire.drop(); },
    };
    const request = { method: 'GET', raw: { socket: wire }, log: { error: (facts: { err: unknown }) => { reader.violations.push(`stream ${reader.path} broke: ${String(facts.err)}`); } } };
    const dialect = dialectOf(life);
    const [req, rep] = [request as unknown as FastifyRequest, reply as unknown as FastifyReply];
    const begun = this.#jobId === null ? life.streams.followAll(req, rep, cursor, null, dialect) : life.streams.followJob(req, rep, this.#jobId, cursor, dialect);
    begun.then(() => { if (wire.status === 204) reader.isOver = true; }, (error: unknown) => {
      if (error instanceof DomainError && error.code === 'not_found' && reader.position === 0) reader.isOver = true; // deleted before we came
      else if (!(error instanceof DomainError && error.code === 'unavailable')) reader.violations.push(`stream ${reader.path} was refused: ${String(error)}`);
      wire.drop();
    });
  }
}

const dialects = new WeakMap<Life, StreamDialect>();
function dialectOf(life: Life): StreamDialect {
  let dialect = dialects.get(life);
  if (dialect === undefined) dialects.set(life, (dialect = { encode: sseEncoder((event) => wireEvent(life.store, event)), hello: '{"type":"connected"}' }));
  return dialect;
}
