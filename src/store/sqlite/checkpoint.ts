// Moving the write-ahead log into the database. By us and not by SQLite inside a COMMIT: there it writes pages of the commit
// just synced, before anybody could look whether that sync held, and it keeps to itself that moving them failed.
import type Database from 'better-sqlite3';
import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs';
import { isFull } from './failure.ts';
import type { Look } from './look.ts';

/** Pages in the log from which it is moved: SQLite's own default, which keeps the pause short on a slow disk. */
const PAGES = 1_000;
/** Asking how long the log is takes 20 µs, so every so many commits; at most a few hundred pages each, below the 16 MiB kept. */
const ASK_EVERY = 4;

/** Moves all of it. A full disk leaves it where it is, which loses nothing; any other failure is thrown. */
export function checkpoint(db: Database.Database, look: Look): void {
  syncLog(db.name); // a process that was killed leaves pages in it that no sync was asked for
  look.now();
  orFull(() => db.pragma('wal_checkpoint(TRUNCATE)'));
  look.now();
}

function syncLog(path: string): void {
  if (!existsSync(`${path}-wal`)) return;
  const file = openSync(`${path}-wal`, 'r+'); // SQLite has no locks on the log that closing it would let go of
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function orFull(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

export class Checkpoints {
  readonly #look: Look;
  readonly #length: Database.Statement;
  readonly #move: Database.Statement;
  #commits = 0;

  constructor(db: Database.Database, look: Look) {
    this.#look = look;
    this.#length = db.prepare('PRAGMA wal_checkpoint(NOOP)').raw(true);
    this.#move = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').raw(true);
  }

  /**
   * After a commit that was looked at. Looks again when it has moved pages: from here on the next commit may write over the
   * log. @throws StorageFailure, or what SQLite says of a disk that failed
   */
  afterCommit(): void {
    this.#commits += 1;
    if (this.#commits < ASK_EVERY) return;
    this.#commits = 0;
    const [, pages] = this.#length.get() as [busy: number, pages: number, moved: number];
    if (pages < PAGES) return;
    orFull(() => { this.#move.get(); });
    this.#look.now();
  }
}
