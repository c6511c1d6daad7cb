// How many jobs of each type are in each status: kept in the transaction, so that no reader ever counts rows.
import type Database from 'better-sqlite3';

export class Tally {
  readonly #upsert;
  readonly #pending = new Map<string, { type: string; status: string; n: number }>();

  constructor(db: Database.Database) {
    this.#upsert = db.prepare('INSERT INTO job_count (type, status, n) VALUES (?, ?, ?) ON CONFLICT (type, status) DO UPDATE SET n = n + excluded.n');
  }

  move(type: string, from: string | null, to: string | null, n = 1): void {
    if (from === to) return;
    if (from !== null) this.#add(type, from, -n);
    if (to !== null) this.#add(type, to, n);
  }

  /** Writes what moved; once per transaction. */
  flush(): void {
    for (const { type, status, n } of this.#pending.values()) if (n !== 0) this.#upsert.run(type, status, n);
    this.#pending.clear();
  }

  /** The transaction was rolled back. */
  forget(): void { this.#pending.clear(); }

  #add(type: string, status: string, n: number): void {
    const name = `${type} ${status}`;
    const entry = this.#pending.get(name);
    if (entry === undefined) this.#pending.set(name, { type, status, n });
    else entry.n += n;
  }
}
