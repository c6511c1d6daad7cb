// The append-only tables beside job: events, inputs, attempts, idempotency keys.
import type Database from 'better-sqlite3';
import { crc32 } from 'node:zlib';
import type { Change, IdempotencyClaim, Snapshot } from '../../domain/commands.ts';
import { DomainError } from '../../domain/errors.ts';
import type { NewEvent } from '../../domain/event.ts';
import type { Placed } from './job-table.ts';

/** CRC-32 of a stored text; null counts as empty. Found again by the integrity check of every reader. */
export const checksum = (text: string | null): number => (text === null ? 0 : crc32(text));

/**
 * A row whose text is not what was stored. Only this row is refused: the structure was found sound at the start, and a
 * server that stopped for it would stop again at each read, with everything else in it out of reach.
 */
export class DamagedRow extends DomainError {
  constructor(what: string) {
    super('damaged', `The database file is damaged: ${what} is not what was stored.`);
  }
}

/** JSON of a column that has no checksum. @throws DamagedRow */
export function parsed<T>(text: string, what: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new DamagedRow(what);
  }
}

/** Events that wait for their INSERT; more would only hold memory. */
const UNWRITTEN_MAX = 1_000;
/** Events in one INSERT where they differ; binding their values is what costs. */
const BLOCK = 32;
/** From here on a run of events that say the same of one job after the other is cheaper as a list of keys. */
const RUN_MIN = 4;
// OR FAIL: see job-table.ts.
const insertEvents = (rows: number): string =>
  `INSERT OR FAIL INTO event (seq, job_key, root_key, at, type, data, sum) VALUES ${Array.from({ length: rows }, () => '(?, ?, ?, ?, ?, ?, ?)').join(', ')}`;
// 250 claims say the same of 250 jobs: per event a third of the cost of its own values. No root given: each is its own.
const INSERT_RUN = `INSERT OR FAIL INTO event (seq, job_key, root_key, at, type, data, sum)
  SELECT ? + key, value, coalesce(?, value), ?, ?, ?, ? FROM json_each(?)`;

interface Unwritten {
  readonly event: NewEvent;
  readonly key: number;
  /** null = the job itself. */
  readonly root: number | null;
  readonly sum: number;
}

const alike = (a: Unwritten, b: Unwritten | undefined): boolean =>
  b !== undefined && a.root === b.root && a.event.data === b.event.data && a.event.type === b.event.type && a.event.at === b.event.at;

export class LogTables {
  /** The newest seq given out, this transaction included. */
  lastSeq = 0;
  #lastData: string | null = null;
  #lastSum = 0;
  /** Their seqs end at lastSeq, without a gap. */
  #unwritten: Unwritten[] = [];
  readonly #event; readonly #events; readonly #run; readonly #input; readonly #attempt; readonly #remember; readonly #known; readonly #keepSeq;
  readonly #newest; readonly #kept;

  constructor(db: Database.Database) {
    this.#event = db.prepare(insertEvents(1));
    this.#events = db.prepare(insertEvents(BLOCK));
    this.#run = db.prepare(INSERT_RUN);
    this.#input = db.prepare('INSERT INTO input (job_key, body, sum) VALUES (?, ?, ?)');
    this.#attempt = db.prepare('INSERT OR IGNORE INTO attempt (job_key, number, outcome, started_at, ended_at, error, worker) VALUES (?, ?, ?, ?, ?, ?, ?)');
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

  /** Gives the event its seq; it is written by `flush`, many to a statement: before anything else gives seqs or reads events. */
  append(event: NewEvent, job: Placed): number {
    this.lastSeq += 1;
    if (event.data !== this.#lastData) { // neighbours often say the same: 250 claims, one text
      this.#lastData = event.data;
      this.#lastSum = checksum(event.data);
    }
    this.#unwritten.push({ event, key: job.key, root: job.rootKey === job.key ? null : job.rootKey, sum: this.#lastSum });
    if (this.#unwritten.length >= UNWRITTEN_MAX) this.flush();
    return this.lastSeq;
  }

  flush(): void {
    const list = this.#unwritten;
    if (list.length === 0) return;
    this.#unwritten = [];
    const first = this.lastSeq - list.length + 1;
    let loose = 0; // from here to `from` they have nothing in common
    for (let from = 0; from < list.length; ) {
      const head = list[from] as Unwritten;
      let to = from + 1;
      while (alike(head, list[to])) to++;
      if (to - from >= RUN_MIN) {
        this.#writeEach(list, loose, from, first);
        const { event, root, sum } = head;
        this.#run.run(first + from, root, event.at, event.type, event.data, sum, `[${list.slice(from, to).map((one) => one.key).join()}]`);
        loose = to;
      }
      from = to;
    }
    this.#writeEach(list, loose, list.length, first);
  }

  #writeEach(list: readonly Unwritten[], from: number, to: number, first: number): void {
    const cells = (start: number, end: number): (string | number | null)[] =>
      list.slice(start, end).flatMap(({ event, key, root, sum }, i) => [first + start + i, key, root ?? key, event.at, event.type, event.data, sum]);
    let at = from;
    for (; to - at >= BLOCK; at += BLOCK) this.#events.run(...cells(at, at + BLOCK));
    for (; at < to; at++) this.#event.run(...cells(at, at + 1));
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
