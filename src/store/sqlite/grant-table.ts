// Grants: one row each, by permission id. Read by the writer for its decisions and by the reader for everybody else.
import type Database from 'better-sqlite3';
import type { Grant, JsonObject, Template } from '../../domain/grant.ts';
import type { Page } from '../store.ts';
import { checksum, DamagedRow, parsed } from './log-table.ts';

const COLUMNS = 'id, grantor, grantee, operation, parameters, template, expires_at, created_at, revoked_at, sum';
export const HOT_GRANT_SQL = {
  grant: `SELECT ${COLUMNS} FROM access_grant WHERE id = ?`,
  grants: `SELECT ${COLUMNS} FROM access_grant WHERE id < ? ORDER BY id DESC LIMIT ?`,
  grantsOf: `SELECT ${COLUMNS} FROM access_grant WHERE grantee = ? AND id < ? ORDER BY id DESC LIMIT ?`,
  free: 'SELECT coalesce(max(id), 0) + 1 FROM access_grant',
} as const;
// Of a grant that is there only the revocation can be new.
const PUT = `INSERT INTO access_grant (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at`;

type Row = [id: number, grantor: string, grantee: string, operation: string, parameters: string, template: string, expiresAt: number | null, createdAt: number, revokedAt: number | null, sum: number];

function toGrant([id, grantor, grantee, operation, parameters, template, expiresAt, createdAt, revokedAt, sum]: Row): Grant {
  if (checksum(parameters + template) !== sum) throw new DamagedRow(`permission ${id}`);
  return {
    id, grantor, grantee, operation, expiresAt, createdAt, revokedAt,
    parameters: parsed<JsonObject>(parameters, `permission ${id}`), template: parsed<Template>(template, `permission ${id}`),
  };
}

export class GrantTable {
  readonly #get; readonly #list; readonly #listOf; readonly #free; readonly #put;

  constructor(db: Database.Database) {
    this.#get = db.prepare(HOT_GRANT_SQL.grant).raw();
    this.#list = db.prepare(HOT_GRANT_SQL.grants).raw();
    this.#listOf = db.prepare(HOT_GRANT_SQL.grantsOf).raw();
    this.#free = db.prepare(HOT_GRANT_SQL.free).pluck();
    this.#put = db.readonly ? null : db.prepare(PUT);
  }

  get(id: number): Grant | null {
    const row = this.#get.get(id) as Row | undefined;
    return row === undefined ? null : toGrant(row);
  }

  list(grantee: string | null, after: number | null, limit: number): Page<Grant> {
    const from = after ?? Number.MAX_SAFE_INTEGER;
    const rows = (grantee === null ? this.#list.all(from, limit) : this.#listOf.all(grantee, from, limit)) as Row[];
    return { items: rows.map(toGrant), next: rows.length === limit ? (rows.at(-1)?.[0] ?? null) : null };
  }

  free(): number { return this.#free.get() as number; }

  put(grant: Grant): void {
    const [parameters, template] = [JSON.stringify(grant.parameters), JSON.stringify(grant.template)];
    this.#put?.run(grant.id, grant.grantor, grant.grantee, grant.operation, parameters, template, grant.expiresAt, grant.createdAt, grant.revokedAt, checksum(parameters + template));
  }
}
