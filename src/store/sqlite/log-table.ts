// The append-only tables beside job: events, inputs, attempts, idempotency keys.
import type Database from 'better-sqlite3';
import { crc32 } from 'node:zlib';
import type { Change, IdempotencyClaim, Snapshot } from '../../domain/commands.ts';
import type { NewEvent } from '../../domain/event.ts';
import type { Placed } from './job-table.ts';

/** CRC-32 of a stored text; null counts as empty. Found again by the integrity check of every reader. */
export const checksum = (text: string | null): number => (text === null ? 0 : crc32(text));

/** A row whose text no longer matches its checksum: the file is damaged and nothing may be built on it. */
export class DamagedRow extends Error {
  readonly code = 'SQLITE_CORRUPT_ROW';
  constructor(what: string) {
    super(`The database file is damaged: the checksum of ${what} does not match. Restore the newest backup; do not delete the damaged file.`);
  }
}

/** @throws DamagedRow when the text is not what was stored */
export function checked(text: string, sum: number, what: string): string {
  if (checksum(text) !== sum) throw new DamagedRow(what);
  return text;
}

/** Events in one INSERT: per row a third of the cost of one each; more gains little. */
const BLOCK = 32;
const EVENT_COLUMNS = 7;
const insertEvents = (rows: number): string =>
  `INSERT INTO event (seq, job_key, root_key, at, type, data, sum) VALUES ${Array.from({ length: rows }, () => '(?, ?, ?, ?, ?, ?, ?)').join(', ')}`;

export class LogTables {
  /** The newest seq given out, this transaction included. */
  lastSeq = 0;
  #lastData: string | null = null;
  #lastSum = 0;
  #unwritten: (string | number | null)[] = [];
  readonly #event; readonly #events; readonly #input; readonly #attempt; readonly #remember; readonly #known; readonly #keepSeq;
  readonly #newest; readonly #kept;

  constructor(db: Database.Database) {
    this.#event = db.prepare(insertEvents(1));
    this.#events = db.prepare(insertEvents(BLOCK));
    this.#input = db.prepare('INSERT INTO input (job_key, body, sum) VALUES (?, ?, ?)');
    this.#attempt = db.prepare('INSERT OR REPLACE INTO attempt (job_key, number, outcome, started_at, ended_at, error, worker) VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#remember = db.prepare('INSERT INTO idempotency (scope, key, body_hash, job_ids, created_at) VALUES (?, ?, ?, ?, ?)');
    this.#known = db.prepare('SELECT body_hash AS bodyHash, job_ids AS jobIds FROM idempotency WHERE scope = ? AND key = ?');
    this.#keepSeq = db.prepare("INSERT INTO meta (name, value) VALUES ('last_seq', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    this.#newest = db.prepare('SELECT max(seq) FROM event').pluck();
    this.#kept = db.prepare("SELECT value FROM meta WHERE name = 'last_seq'").pluck();
    this.reload();
  }

  /** After a rollback, and at the start: what is on disk. Deletions leave the newest seq in meta, so none is used twice. */
  reload(): void {
    this.#unwritten = [];
    this.lastSeq = Math.max(Number(this.#newest.get() ?? 0), Number(this.#kept.get() ?? 0));
  }

  keepLastSeq(): void { this.#keepSeq.run(String(this.lastSeq)); }

  /** Gives the event its seq; it is written by `flush`, many to a statement. */
  append(event: NewEvent, job: Placed): number {
    this.lastSeq += 1;
    if (event.data !== this.#lastData) { // neighbours often say the same: 250 claims, one text
      this.#lastData = event.data;
      this.#lastSum = checksum(event.data);
    }
    this.#unwritten.push(this.lastSeq, job.key, job.rootKey, event.at, event.type, event.data, this.#lastSum);
    return this.lastSeq;
  }

  flush(): void {
    const values = this.#unwritten;
    let from = 0;
    for (; values.length - from >= BLOCK * EVENT_COLUMNS; from += BLOCK * EVENT_COLUMNS) this.#events.run(...values.slice(from, from + BLOCK * EVENT_COLUMNS));
    for (; from < values.length; from += EVENT_COLUMNS) this.#event.run(...values.slice(from, from + EVENT_COLUMNS));
    this.#unwritten = [];
  }

  addInput(key: number, body: string): void { this.#input.run(key, body, checksum(body)); }

  addAttempt(key: number, change: Extract<Change, { kind: 'attempt' }>): void {
    this.#attempt.run(
      key, change.number, change.outcome, change.startedAt, Math.max(change.startedAt, change.endedAt),
      change.error === null ? null : JSON.stringify(change.error), change.worker,
    );
  }

  remember(claim: IdempotencyClaim, jobIds: readonly string[], now: number): void {
    this.#remember.run(claim.scope, claim.key, claim.bodyHash, JSON.stringify(jobIds), now);
  }

  known(scope: string, key: string): Snapshot['known'] {
    const row = this.#known.get(scope, key) as { bodyHash: string; jobIds: string } | undefined;
    return row === undefined ? null : { bodyHash: row.bodyHash, jobIds: JSON.parse(row.jobIds) };
  }
}
