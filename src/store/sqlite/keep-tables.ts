// Tables of work outside of this process: its output, where to go on with it, and its secrets.
import type Database from 'better-sqlite3';
import { crc32 } from 'node:zlib';
import type { Keep, Kept } from '../../domain/commands.ts';
import { checksum, DamagedRow } from './log-table.ts';

const TRIM = 'DELETE FROM output WHERE seq IN (SELECT seq FROM output WHERE job_key = ? ORDER BY seq LIMIT ? OFFSET ?)';
const NEWEST = 'SELECT attempt, mark FROM kept WHERE job_key = ? ORDER BY attempt DESC LIMIT 1';
export const HOT_KEEP_SQL = { TRIM, NEWEST };

export class KeepTables {
  readonly #output; readonly #trim; readonly #put; readonly #newest; readonly #addSecret; readonly #secret;

  constructor(db: Database.Database) {
    this.#output = db.prepare('INSERT INTO output (seq, job_key, bytes, sum) VALUES (?, ?, ?, ?)');
    this.#trim = db.prepare(TRIM);
    this.#put = db.prepare(`INSERT INTO kept (job_key, attempt, bytes, lines, dropped_bytes, dropped_lines, mark, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (job_key, attempt) DO UPDATE SET bytes = excluded.bytes, lines = excluded.lines, dropped_bytes = excluded.dropped_bytes,
      dropped_lines = excluded.dropped_lines, mark = excluded.mark, facts = coalesce(excluded.facts, facts)`);
    this.#newest = db.prepare(NEWEST);
    this.#addSecret = db.prepare('INSERT INTO secret (job_key, body, sum) VALUES (?, ?, ?)');
    this.#secret = db.prepare('SELECT body, sum FROM secret WHERE job_key = ?').raw(true);
  }

  addOutput(seq: number, key: number, bytes: Uint8Array): void { this.#output.run(seq, key, bytes, crc32(bytes)); }

  put(key: number, attempt: number, { trim, totals, mark, facts }: Keep): void {
    if (trim !== null) this.#trim.run(key, trim.count, trim.head);
    this.#put.run(key, attempt, totals.bytes, totals.lines, totals.droppedBytes, totals.droppedLines, mark, facts);
  }

  kept(key: number): Kept | null { return (this.#newest.get(key) as Kept | undefined) ?? null; }

  addSecret(key: number, body: string): void { this.#addSecret.run(key, body, checksum(body)); }

  secret(key: number): string | null {
    const row = this.#secret.get(key) as [string, number] | undefined;
    if (row === undefined) return null;
    if (checksum(row[0]) !== row[1]) throw new DamagedRow('the secrets of a job');
    return row[0];
  }
}
