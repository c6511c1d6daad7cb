// Numbered plain SQL, forward only: each file is one transaction that claims its number; a newer schema is refused.
import type Database from 'better-sqlite3';
import { readdirSync, readFileSync } from 'node:fs';

/** "MSTR": tells our file from any other SQLite file. */
export const APPLICATION_ID = 0x4d535452;

/** `code` survives the way out of the writer's thread; the class does not. */
export class SchemaError extends Error {
  readonly code = 'MUSTER_SCHEMA';
}

const filesIn = (folder: URL): string[] => readdirSync(folder).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort();

/** Reads only. @throws SchemaError */
export function refuseForeign(db: Database.Database, folder: URL): number {
  const files = filesIn(folder);
  const version = db.pragma('user_version', { simple: true }) as number;
  const id = db.pragma('application_id', { simple: true }) as number;
  const empty = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
  if (id !== APPLICATION_ID && !(empty && id === 0)) throw new SchemaError('This SQLite file was not made by Muster. Point MUSTER_DB at another path.');
  if (version < 0 || (version === 0 && !empty)) {
    throw new SchemaError(`The database says that it has schema ${version}, which there never was: its header is damaged. Keep the file, and restore the newest backup beside it.`);
  }
  if (version > files.length) {
    throw new SchemaError(`The database has schema ${version}, this version of Muster knows ${files.length}. Start the newer version again, or restore a backup made before the upgrade.`);
  }
  return version;
}

export function migrate(db: Database.Database, folder: URL): void {
  const files = filesIn(folder);
  const version = refuseForeign(db, folder);
  for (const [index, name] of files.entries()) {
    if (index < version) continue;
    if (Number(name.slice(0, 4)) !== index + 1) throw new SchemaError(`Migration ${name} is out of order.`);
    const sql = readFileSync(new URL(name, folder), 'utf8');
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${index + 1}`);
      db.pragma(`application_id = ${APPLICATION_ID}`);
    }).immediate();
  }
}
