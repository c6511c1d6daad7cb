// The disk under one run's database: full, failing or slow when it is told so. Stands at better-sqlite3's `exec`, where
// the store begins and commits; the file itself is real, in memory where the machine has /dev/shm, and is never synced:
// what a power cut leaves is not simulated here (test/fault does that on a real file system).
import Database from 'better-sqlite3';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Committer } from '../../src/store/sqlite/committer.ts';

/** sound; full: no room but the store's own reserve; failing: the next COMMIT fails (before or after it is written), and the process must stop. */
export type DiskState = 'sound' | 'full' | 'failing' | 'failing_late';

const disks = new Map<string, Disk>();
const { exec } = Database.prototype;
const { probe } = Committer.prototype;

export class Disk {
  readonly path: string;
  state: DiskState = 'sound';
  /** ms of one sync. */
  syncTime: () => number = () => 2;
  readonly #folder: string;
  /** The connection that writes; a crash leaves it to us to close. */
  #writer: Database.Database | null = null;

  constructor() {
    this.#folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'muster-sim-'));
    this.path = join(this.#folder, 'sim.db');
    if (disks.size === 0) {
      Database.prototype.exec = watched;
      Committer.prototype.probe = probeLater;
    }
    disks.set(this.path, this);
  }

  run(db: Database.Database, sql: string): Database.Database {
    if (sql === 'BEGIN IMMEDIATE') {
      this.#writer = db;
      // Until the store gives back what it set aside, so that running jobs can record their ends.
      if (this.state === 'full' && existsSync(`${this.path}.reserve`)) throw new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
    }
    if (sql === 'COMMIT' && this.state === 'failing') throw new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_WRITE');
    const done = exec.call(db, sql) as Database.Database;
    if (sql === 'COMMIT' && this.state === 'failing_late') throw new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC');
    return done;
  }

  /** What the system does for a process that died. */
  letGo(): void {
    const db = this.#writer;
    this.#writer = null;
    if (db?.open === true) db.close();
  }

  remove(): void {
    this.letGo();
    disks.delete(this.path);
    if (disks.size === 0) {
      Database.prototype.exec = exec;
      Committer.prototype.probe = probe;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function watched(this: Database.Database, sql: string): Database.Database {
  const disk = disks.get(this.name);
  return disk === undefined ? exec.call(this, sql) as Database.Database : disk.run(this, sql);
}

/** Nothing can be set aside again while the disk is full. */
function probeLater(this: Committer): void {
  for (const { state } of disks.values()) if (state === 'full') return;
  probe.call(this);
}
