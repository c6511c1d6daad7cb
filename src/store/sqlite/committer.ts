// Group commit: what arrives while one fsync runs goes into the next transaction. One refusal hurts nobody else.
import type Database from 'better-sqlite3';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { Answer, Command } from '../../domain/commands.ts';
import { DomainError } from '../../domain/errors.ts';
import { Checkpoints } from './checkpoint.ts';
import type { Engine } from './engine.ts';
import { codeOf, isFatal, isFull, messageOf, NO_ROOM, removeFile, StorageFailure } from './failure.ts';
import type { Look } from './look.ts';

export interface Request {
  readonly command: Command;
  readonly now: number;
}
export type Reply = { readonly answer: Answer } | { readonly refusal: DomainError };

/** Bytes set aside so that running jobs can still record their end on a full disk: a thousand ends of 4 KiB. */
const RESERVE_BYTES = 4 * 1024 * 1024;
/** Refused on a full disk is what adds; what ends or frees goes through on the reserve. */
const ALLOWED_WHEN_FULL: ReadonlySet<Command['kind']> = new Set(['finish', 'renew', 'cancel', 'tick', 'remove', 'recover']);

export class Committer {
  /** The disk is full: reads and the ends of running jobs only. */
  full = false;
  readonly #db: Database.Database;
  readonly #engine: Engine;
  readonly #reserve: string | null;
  readonly #look: Look;
  readonly #first: Database.Statement;
  readonly #checkpoints: Checkpoints;

  /** @param reserve path of the reserve file, or null to do without one */
  constructor(db: Database.Database, engine: Engine, reserve: string | null, look: Look) {
    this.#db = db;
    this.#engine = engine;
    this.#look = look;
    this.#first = db.prepare('SELECT 1 FROM meta LIMIT 1').pluck();
    this.#checkpoints = new Checkpoints(db, look);
    this.#reserve = reserve;
    this.full = !this.#takeReserve();
  }

  /** One transaction for all of them. Returns only when it is durable. @throws StorageFailure */
  commit(requests: readonly Request[]): Reply[] {
    if (this.full) return requests.map((request) => this.#alone(request));
    try {
      return this.#together(requests, false);
    } catch (error) {
      this.#rollback(error);
      if (isFull(error)) {
        this.#becomeFull();
        return requests.map((request) => this.#alone(request));
      }
      return this.#isolated(requests); // something unforeseen: find the one that caused it
    }
  }

  /** Tries to leave degraded mode; call it about once a second while `full`. */
  probe(): void {
    if (this.full) this.full = !this.#takeReserve();
  }

  #isolated(requests: readonly Request[]): Reply[] {
    try {
      return this.#together(requests, true);
    } catch (error) {
      this.#rollback(error);
      if (!isFull(error)) throw new StorageFailure(`The store failed twice on one batch: ${messageOf(error)}`);
      this.#becomeFull();
      return requests.map((request) => this.#alone(request));
    }
  }

  #together(requests: readonly Request[], isolate: boolean): Reply[] {
    this.#db.exec('BEGIN IMMEDIATE');
    const replies = requests.map((request) => (isolate ? this.#inSavepoint(request) : this.#run(request)));
    this.#engine.beforeCommit();
    this.#db.exec('COMMIT');
    this.#afterCommit();
    return replies;
  }

  /** What is committed is not done again: whatever fails from here on, the next start has it. @throws StorageFailure */
  #afterCommit(): void {
    try {
      this.settle();
      this.#look.now();
      this.#checkpoints.afterCommit();
    } catch (error) {
      throw error instanceof StorageFailure ? error : new StorageFailure(messageOf(error));
    }
  }

  /**
   * Reads what was just committed. The first reader of a commit notes it in the -shm file; on a disk that froze meanwhile
   * that write hangs whoever makes it (measured: a read on the main thread, and all of HTTP with it, for as long as the
   * freeze). So this thread is that reader, before the look, which hangs on a frozen disk. About 6 µs a commit.
   */
  settle(): void { this.#first.get(); }

  #run({ command, now }: Request): Reply {
    try {
      return { answer: this.#engine.run(command, now) };
    } catch (error) {
      if (error instanceof DomainError && !this.#engine.dirty) return { refusal: error };
      throw error;
    }
  }

  #inSavepoint(request: Request): Reply {
    this.#db.exec('SAVEPOINT one');
    try {
      const answer = this.#engine.run(request.command, request.now);
      this.#engine.beforeCommit();
      this.#db.exec('RELEASE one');
      return { answer };
    } catch (error) {
      if (isFull(error) || isFatal(error)) throw error;
      this.#db.exec('ROLLBACK TO one; RELEASE one');
      this.#engine.rolledBack();
      if (error instanceof DomainError) return { refusal: error };
      return { refusal: new DomainError('unavailable', `The command ${request.command.kind} could not be carried out; nothing changed: ${messageOf(error)}`, { hint: 'This is a defect in Muster: please report it with this message.' }) };
    }
  }

  /** On a full disk every command stands alone, so that one that fits is not lost with one that does not. */
  #alone(request: Request): Reply {
    const refusal = new DomainError('storage_full', 'The disk that holds the database is full; new work is refused, running jobs may end.', { hint: 'Free space on it; the server goes on by itself within a second.' });
    if (!ALLOWED_WHEN_FULL.has(request.command.kind)) return { refusal };
    try {
      return this.#together([request], true)[0] ?? { refusal };
    } catch (error) {
      this.#rollback(error);
      if (!isFull(error)) throw new StorageFailure(messageOf(error));
      return { refusal };
    }
  }

  #rollback(error: unknown): void {
    if (error instanceof StorageFailure) throw error;
    if (isFatal(error)) throw new StorageFailure(messageOf(error));
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    this.#engine.rolledBack();
  }

  #becomeFull(): void {
    this.full = true;
    if (this.#reserve !== null) removeFile(this.#reserve);
  }

  #takeReserve(): boolean {
    if (this.#reserve === null) return true;
    try {
      const file = openSync(this.#reserve, 'w', 0o600);
      try {
        const block = Buffer.alloc(256 * 1024, 0x4d);
        for (let left = RESERVE_BYTES; left > 0; ) left -= writeSync(file, block, 0, Math.min(left, block.length));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      return true;
    } catch (error) {
      // Only want of room is a full disk; a disk that fails is not asked again.
      if (!NO_ROOM.has(codeOf(error))) throw error;
      removeFile(this.#reserve);
      return false;
    }
  }
}
