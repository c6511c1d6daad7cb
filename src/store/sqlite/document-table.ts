// document rows with their parts and secrets: the writer's statements and the reader's.
import type Database from 'better-sqlite3';
import type { DocumentChange, DocumentKind, DocumentRef, KnownDocument } from '../../domain/document.ts';
import type { DocumentFilter, DocumentPage, StoredDocument } from '../store.ts';
import { checksum, DamagedRow } from './log-table.ts';

const COLUMNS = 'key, kind, id, version, owner, subject, name, created_at, updated_at, body, sum';
export const DOCUMENT_SQL = {
  known: 'SELECT version, created_at AS createdAt FROM document WHERE kind = ? AND id = ? AND newest = 1',
  retire: 'UPDATE document SET newest = 0 WHERE kind = ? AND id = ? AND newest = 1',
  keysOf: 'SELECT key FROM document WHERE kind = ? AND id = ?',
  insert: 'INSERT INTO document (kind, id, version, newest, owner, subject, name, created_at, updated_at, body, sum) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)',
  insertPart: 'INSERT INTO document_part (document_key, part, body, sum) VALUES (?, ?, ?, ?)',
  dropParts: 'DELETE FROM document_part WHERE document_key = ?',
  drop: 'DELETE FROM document WHERE key = ?',
  setSecret: 'INSERT INTO document_secret (kind, id, body) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body',
  dropSecret: 'DELETE FROM document_secret WHERE kind = ? AND id = ?',
  newest: `SELECT ${COLUMNS} FROM document WHERE kind = ? AND id = ? AND newest = 1`,
  version: `SELECT ${COLUMNS} FROM document WHERE kind = ? AND id = ? AND version = ?`,
  versions: `SELECT ${COLUMNS} FROM document WHERE kind = ? AND id = ? AND version < ? ORDER BY version DESC LIMIT ?`,
  list: `SELECT ${COLUMNS} FROM document WHERE kind = ? AND newest = 1 AND key < ? ORDER BY key DESC LIMIT ?`,
  ofOwner: `SELECT ${COLUMNS} FROM document WHERE owner = ? AND kind = ? AND key > ? ORDER BY key LIMIT ?`,
  about: `SELECT ${COLUMNS} FROM document WHERE subject = ? AND kind = ? AND key < ? ORDER BY key DESC LIMIT ?`,
  part: 'SELECT p.body, p.sum FROM document d JOIN document_part p ON p.document_key = d.key WHERE d.kind = ? AND d.id = ? AND d.newest = 1 AND p.part = ?',
  secret: 'SELECT body FROM document_secret WHERE kind = ? AND id = ?',
} as const;

/** Bodies in one page, characters: as for pages of jobs. */
const PAGE_CHARS = 8 * 1_048_576;

class Statements {
  readonly #db: Database.Database;
  readonly #prepared = new Map<string, Database.Statement>();
  constructor(db: Database.Database) { this.#db = db; }
  get(sql: string): Database.Statement {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }
}

/** The writer's half. */
export class DocumentTable {
  readonly #sql: Statements;
  constructor(db: Database.Database) { this.#sql = new Statements(db); }

  known(ref: DocumentRef): KnownDocument | undefined {
    return this.#sql.get(DOCUMENT_SQL.known).get(ref.kind, ref.id) as KnownDocument | undefined;
  }

  apply(change: DocumentChange): void {
    if (change.kind === 'secret') {
      if (change.secret === null) this.#sql.get(DOCUMENT_SQL.dropSecret).run(change.of.kind, change.of.id);
      else this.#sql.get(DOCUMENT_SQL.setSecret).run(change.of.kind, change.of.id, change.secret);
      return;
    }
    if (change.kind === 'forget') {
      this.#drop(change.of);
      this.#sql.get(DOCUMENT_SQL.dropSecret).run(change.of.kind, change.of.id);
      return;
    }
    const { document: one, version, createdAt, at, history } = change;
    if (history) this.#sql.get(DOCUMENT_SQL.retire).run(one.kind, one.id);
    else this.#drop(one);
    const { lastInsertRowid } = this.#sql.get(DOCUMENT_SQL.insert).run(
      one.kind, one.id, version, one.owner ?? null, one.subject ?? null, one.name, createdAt, at, one.body, checksum(one.body),
    );
    for (const [part, body] of Object.entries(one.parts ?? {})) this.#sql.get(DOCUMENT_SQL.insertPart).run(lastInsertRowid, part, body, checksum(body));
  }

  #drop(ref: DocumentRef): void {
    for (const key of this.#sql.get(DOCUMENT_SQL.keysOf).pluck().all(ref.kind, ref.id) as number[]) {
      this.#sql.get(DOCUMENT_SQL.dropParts).run(key);
      this.#sql.get(DOCUMENT_SQL.drop).run(key);
    }
  }
}

type Row = [key: number, kind: DocumentKind, id: string, version: number, owner: string | null, subject: string | null, name: string, createdAt: number, updatedAt: number, body: string, sum: number];

/** The reader's half. */
export class DocumentReader {
  readonly #sql: Statements;
  constructor(db: Database.Database) { this.#sql = new Statements(db); }

  document(kind: DocumentKind, id: string, version?: number): StoredDocument | null {
    const row = version === undefined ? this.#sql.get(DOCUMENT_SQL.newest).raw(true).get(kind, id) : this.#sql.get(DOCUMENT_SQL.version).raw(true).get(kind, id, version);
    return row === undefined ? null : toDocument(row as Row);
  }

  documents(kind: DocumentKind, filter: DocumentFilter, after: number | null, limit: number): DocumentPage {
    const down = after ?? Number.MAX_SAFE_INTEGER;
    const rows = (filter.versionsOf !== undefined ? this.#sql.get(DOCUMENT_SQL.versions).raw(true).all(kind, filter.versionsOf, down, limit)
      : filter.owner !== undefined ? this.#sql.get(DOCUMENT_SQL.ofOwner).raw(true).all(filter.owner, kind, after ?? 0, limit)
      : filter.subject !== undefined ? this.#sql.get(DOCUMENT_SQL.about).raw(true).all(filter.subject, kind, down, limit)
      : this.#sql.get(DOCUMENT_SQL.list).raw(true).all(kind, down, limit)) as Row[];
    const items: StoredDocument[] = [];
    let left = PAGE_CHARS;
    for (const row of rows) {
      left -= row[9].length;
      if (left < 0 && items.length > 0) break;
      items.push(toDocument(row));
    }
    const last = rows[items.length - 1];
    const isCut = items.length < rows.length || rows.length === limit;
    return { items, next: !isCut || last === undefined ? null : filter.versionsOf !== undefined ? last[3] : last[0] };
  }

  part(kind: DocumentKind, id: string, part: string): string | null {
    const row = this.#sql.get(DOCUMENT_SQL.part).raw(true).get(kind, id, part) as [string, number] | undefined;
    if (row === undefined) return null;
    if (checksum(row[0]) !== row[1]) throw new DamagedRow(`${part} of ${kind} ${id}`);
    return row[0];
  }

  secret(kind: DocumentKind, id: string): string | null {
    return (this.#sql.get(DOCUMENT_SQL.secret).pluck().get(kind, id) as string | undefined) ?? null;
  }
}

function toDocument([, kind, id, version, owner, subject, name, createdAt, updatedAt, body, sum]: Row): StoredDocument {
  if (checksum(body) !== sum) throw new DamagedRow(`${kind} ${id}`);
  return { kind, id, version, owner, subject, name, createdAt, updatedAt, body };
}
