// From the engine's stream to the store: gathered, capped, masked, and stored with how far it was read, in one transaction.
//
// Memory of one container: while the head fills, 256 KB and one commit of them; in the tail 2 MB and the same. About 3 MB.
import type { Keep } from '../domain/commands.ts';
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import { add, type CapState, drop, tailRoom, trim } from './container-cap.ts';
import { Gather, type Piece, type Stream } from './container-gather.ts';
import type { Masker } from './container-secrets.ts';

/** A follower sees a line within this and a commit; ten lines or 32 KB do not wait. */
const FLUSH_WAIT = 100;
const FLUSH_LINES = 10;
const FLUSH_BYTES = 32 * 1024;
/** One commit: short enough that what others have to write waits for a few ms. */
const COMMIT_BYTES = 256 * 1024;
/** Read and not yet stored: the engine is not read from until there is room. In the tail nothing is waited for, the oldest goes. */
const PENDING_MAX = 256 * 1024;
/** A prompt without a line end is shown after this. */
const PART_WAIT = 1_000;
/** A full disk is tried again after this; meanwhile the engine keeps what is printed. */
const RETRY_AFTER = 1_000;

/** Read so far, per stream, in bytes as printed. */
export type Cursor = Readonly<Record<Stream, number>>;

export interface OutputOptions {
  readonly clock: Clock;
  readonly masker: Masker;
  readonly cursor: Cursor;
  readonly cap: CapState;
  readonly signal: AbortSignal;
  /** Stores it, with the rest of the mark. */
  readonly store: (keep: Pick<Keep, 'chunks' | 'trim' | 'totals'>, cursor: Cursor, cap: CapState) => Promise<void>;
  /** It cannot be stored any more: the lease is gone. */
  readonly onLost: (error: unknown) => void;
}

export class Output {
  readonly #o: OutputOptions;
  readonly #gather: Gather;
  #cursor: Cursor;
  #cap: CapState;
  #flushing: Promise<void> | null = null;
  #timer: (() => void) | null = null;
  #partSince: number | null = null;
  #isClosed = false;

  constructor(options: OutputOptions) {
    this.#o = options;
    this.#gather = new Gather((bytes) => options.masker.tailOf(bytes));
    this.#cursor = options.cursor;
    this.#cap = options.cap;
  }

  get cap(): CapState { return this.#cap; }
  get cursor(): Cursor { return this.#cursor; }

  append(stream: Stream, payload: Buffer): void {
    this.#gather.append(stream, payload);
    if (this.#cap.isTail) this.#dropOldest();
    this.#plan();
  }

  /** Resolves when more may be read. */
  async room(): Promise<void> {
    while (!this.#cap.isTail && this.#gather.bytes >= PENDING_MAX && !this.#isClosed) {
      this.#gather.settle('lines');
      await this.#flush();
    }
  }

  get isFull(): boolean { return !this.#cap.isTail && this.#gather.bytes >= PENDING_MAX; }

  /** All that was read is stored, also what has no line end. */
  async end(): Promise<void> {
    this.#stopTimer();
    await this.#flushing;
    this.#gather.settle('end');
    while (this.#gather.hasPieces && !this.#isClosed) await this.#flush();
  }

  /** Forgets what is not stored; whoever takes this up reads it again. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
  }

  /** What was never stored goes first to make room for what is newer. */
  #dropOldest(): void {
    const room = tailRoom(this.#cap);
    while (this.#gather.bytes > room) {
      const piece = this.#gather.shift();
      if (piece === undefined) return;
      this.#cap = drop(this.#cap, { bytes: piece.bytes.length, lines: piece.count });
      this.#advance(piece);
    }
  }

  #advance({ stream, bytes }: Piece): void {
    this.#cursor = { ...this.#cursor, [stream]: this.#cursor[stream] + bytes.length };
  }

  #plan(): void {
    if (this.#isClosed || this.#flushing !== null) return;
    const isDue = this.#gather.lines >= FLUSH_LINES || this.#gather.bytes >= FLUSH_BYTES;
    if (isDue && !this.#cap.isTail) {
      this.#stopTimer();
      this.#gather.settle('lines');
      if (this.#gather.hasPieces) void this.#flush();
      return;
    }
    if (this.#gather.bytes > 0) this.#timer ??= this.#o.clock.after(FLUSH_WAIT, () => { this.#timer = null; this.#tick(); });
  }

  #tick(): void {
    this.#gather.settle('lines');
    if (!this.#gather.hasPieces) {
      const now = this.#o.clock.monotonic();
      this.#partSince ??= now;
      if (now - this.#partSince >= PART_WAIT) this.#gather.settle('parts');
    }
    if (this.#gather.hasPieces) {
      this.#partSince = null;
      void this.#flush();
    } else this.#plan();
  }

  #stopTimer(): void {
    this.#timer?.();
    this.#timer = null;
  }

  /** One commit at a time. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#commit().catch((error: unknown) => {
      this.#isClosed = true;
      this.#o.onLost(error);
    }).finally(() => {
      this.#flushing = null;
      this.#plan();
    });
    return this.#flushing;
  }

  async #commit(): Promise<void> {
    const pieces = this.#gather.take(COMMIT_BYTES);
    if (pieces.length === 0) return;
    const chunks: Keep['chunks'][number][] = [];
    for (const piece of pieces) {
      const { stream, bytes, count, continues, open } = piece;
      const masked = this.#o.masker.mask(bytes);
      // What crosses to the writer takes the whole buffer along that it is a part of; a piece is one of its own.
      chunks.push({ stream, bytes: masked === bytes ? bytes : new Uint8Array(masked), offset: this.#cap.totals.lines, count, continues, open });
      this.#cap = add(this.#cap, { bytes: bytes.length, lines: count });
      this.#advance(piece);
    }
    const head = this.#cap.headPieces;
    const { state, pieces: gone } = trim(this.#cap);
    this.#cap = state;
    await this.#stored({ chunks, totals: state.totals, trim: gone === 0 ? null : { head, count: gone } });
  }

  async #stored(keep: Pick<Keep, 'chunks' | 'trim' | 'totals'>): Promise<void> {
    const [cursor, cap] = [this.#cursor, this.#cap];
    for (;;) {
      try {
        await this.#o.store(keep, cursor, cap);
        return;
      } catch (error) {
        const isPassing = error instanceof DomainError && (error.code === 'storage_full' || error.code === 'overloaded');
        if (!isPassing || this.#o.signal.aborted) throw error;
        await new Promise<void>((resolve) => {
          const cancel = this.#o.clock.after(RETRY_AFTER, resolve);
          this.#o.signal.addEventListener('abort', () => { cancel(); resolve(); }, { once: true });
        });
      }
    }
  }
}
