// Opening the file: pragmas set and read back, checked before it is trusted, one owner.
import Database from 'better-sqlite3';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { checkpoint } from './checkpoint.ts';
import { Look } from './look.ts';
import { migrate, refuseForeign } from './migrate.ts';

export const MIGRATIONS = new URL('../../../migrations/sqlite/', import.meta.url);

/**
 * Checked in full at the start; larger files on a backup. integrity_check, not quick_check: a flipped bit in an index hid
 * acknowledged jobs from every look-up and quick_check called it sound; 80 MB with 100,000 jobs take 220 ms instead of 130.
 */
const CHECK_BYTES_MAX = 256 * 1024 * 1024;
/** The write-ahead log is cut back to this after a checkpoint; WAL growth is bounded by short reads. */
const WAL_BYTES_KEPT = 16 * 1024 * 1024;
/**
 * Page cache of the writer, KiB. Small on purpose: the file's pages are in the system's cache anyway, and a large cache of
 * its own made every commit dearer (claim + complete at 1M queued ÷ 1k: 1.62 with 256 MiB, 1.13 with 64, 1.03 with 4).
 */
const WRITER_CACHE_KIB = 4 * 1024;
/** Of the reader: the upper levels of all indexes of a few million jobs. */
const READER_CACHE_KIB = 64 * 1024;

/** `code` survives the way out of the writer's thread; the class does not. */
export class DamagedFile extends Error {
  readonly code = 'MUSTER_DAMAGED';
}
export class AlreadyOwned extends Error {}

/** The writer's connection. Order: checked → open → pragmas read back → checkpoint → migrations. */
export function openWriter(path: string, synchronous: 'FULL' | 'OFF' | 'NORMAL' = 'FULL', look: Look = new Look(null)): Database.Database {
  if (path !== ':memory:') {
    undoFirstWrite(path);
    checkFile(path);
  }
  const db = new Database(path);
  try {
    set(db, 'journal_mode', 'WAL', path === ':memory:' ? 'memory' : 'wal');
    // better-sqlite3's WAL default is NORMAL, which loses acknowledged writes in a power cut.
    set(db, 'synchronous', synchronous, { OFF: 0, NORMAL: 1, FULL: 2 }[synchronous]);
    set(db, 'foreign_keys', 'ON', 1);
    set(db, 'trusted_schema', 'OFF', 0);
    set(db, 'busy_timeout', '5000', 5000);
    db.pragma(`journal_size_limit = ${WAL_BYTES_KEPT}`);
    set(db, 'wal_autocheckpoint', '0', 0); // checkpoint.ts moves the log
    db.pragma(`cache_size = -${WRITER_CACHE_KIB}`);
    db.pragma('temp_store = MEMORY');
    db.function('crc32', { deterministic: true }, (text: unknown) => (text === null ? 0 : crc32(String(text))));
    if (path !== ':memory:') checkpoint(db, look);
    migrate(db, MIGRATIONS);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** A read-only connection for the main thread. */
export function openReader(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  db.pragma('busy_timeout = 5000');
  db.pragma(`cache_size = -${READER_CACHE_KIB}`);
  db.pragma('trusted_schema = OFF');
  return db;
}

function set(db: Database.Database, name: string, value: string, expected: string | number): void {
  db.pragma(`${name} = ${value}`);
  const got = db.pragma(name, { simple: true });
  if (got !== expected) throw new Error(`SQLite did not take ${name} = ${value} (it says ${String(got)}): without it acknowledged jobs could be lost.`);
}

/** Bytes of a file whose first write, the switch to WAL, was cut off: one page at most. */
const FIRST_WRITE_BYTES = 4_096;

/** Killed there (seen, between that page and the removal of its journal), a file is empty again once a writer has looked at it; a reader only fails. */
function undoFirstWrite(path: string): void {
  if (!existsSync(`${path}-journal`) || statSync(path).size > FIRST_WRITE_BYTES) return;
  const db = new Database(path);
  try {
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
  } finally {
    db.close();
  }
}

/**
 * By a connection that cannot write: the writer's would, when it is closed, move the log into the damaged file and delete it,
 * or make a stranger's file ours.
 */
function checkFile(path: string): void {
  // SQLite would take it for a new one and delete the log, with all that was acknowledged since the last checkpoint.
  if (statSync(path).size === 0 && (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) throw new DamagedFile(`The database file ${path} is empty, but its write-ahead log is there. Keep both, and restore the newest backup beside them.`);
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    refuseForeign(db, MIGRATIONS);
    if (statSync(path).size > CHECK_BYTES_MAX) return;
    const found = db.pragma('integrity_check(1)', { simple: true });
    if (found !== 'ok') throw new DamagedFile(`The database file ${path} is damaged (${String(found)}). Keep it, and restore the newest backup beside it.`);
  } finally {
    db.close();
  }
}

/**
 * Makes the folder and file private to this user, whatever the umask.
 * Returns the file's own path: by a link to it two processes would each lock another side file and both own it.
 */
export function preparePath(path: string): string {
  if (path === ':memory:') return path;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  // A hard link is a name that no path resolves: each name would have a lock and a log of its own, and tear the one file.
  const { nlink } = statSync(path);
  if (nlink > 1) throw new AlreadyOwned(`The database file ${path} has another name (${nlink} hard links): by each of them a server could own it. Remove the other names, or give this server a copy.`);
  chmodSync(path, 0o600);
  return realpathSync(path);
}

/**
 * One process owns the file: an exclusive lock on a side file, held until the process ends however it ends.
 * @throws AlreadyOwned
 */
export function takeOwnership(path: string): () => void {
  if (path === ':memory:') return () => {};
  const lock = new Database(`${path}.lock`, { timeout: 0 });
  try {
    lock.pragma('locking_mode = EXCLUSIVE');
    lock.pragma('journal_mode = MEMORY'); // a lock writes nothing: it must be had on a full disk too
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!isBusy(error)) throw error;
    throw new AlreadyOwned(`Another process has ${path} open. One server owns a database; stop the other one, or set MUSTER_DB to another file.`);
  }
  return () => lock.close();
}

const isBusy = (error: unknown): boolean => error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
