// The list filter: the one place where SQL is put together. Fixed parts only; every value is bound.
import type Database from 'better-sqlite3';
import type { JobFilter } from '../store.ts';
import { JOB_COLUMNS } from './job-table.ts';

/** Characters of an input that are searched: what tells jobs apart stands at its beginning. */
const TEXT_CHARS = 4_096;
/**
 * What a text search looks at for one page, so that it takes about 20 ms: the page then says where to go on. Rows bound
 * the comparing (5 µs for 4,096 characters, 40 at worst); bytes bound the reading, as SQLite reads an input as a whole.
 */
const TEXT_SCAN_ROWS = 1_000;
const TEXT_SCAN_BYTES = 16 * 1_048_576;

type Params = Record<string, string | number | null>;

export interface ListSql {
  readonly sql: string;
  readonly params: Params;
  /** For a text search: the lowest key of this page's share (bind it as @from), and where to go on or null at the end. */
  readonly share: ((db: Database.Database) => { readonly from: number; readonly next: number | null }) | null;
}

export function listSql(filter: JobFilter, parentKey: number | undefined, rootKey: number | undefined, after: number | null, limit: number): ListSql {
  const params: Params = { after: after ?? Number.MAX_SAFE_INTEGER, limit };
  const where = ['j.key < @after'];
  const { status, type, tag, text } = filter;
  if (status !== undefined) {
    where.push(`j.status IN (${status.map((word, i) => { params[`status${i}`] = word; return `@status${i}`; }).join(', ')})`);
  }
  if (type !== undefined) { where.push('j.type = @type'); params.type = type; }
  if (parentKey !== undefined) { where.push('j.parent_key = @parent'); params.parent = parentKey; }
  if (rootKey !== undefined) { where.push('(j.key = @root OR (j.root_key = @root AND j.parent_key IS NOT NULL))'); params.root = rootKey; }
  if (tag !== undefined) { where.push('j.key IN (SELECT job_key FROM job_tag WHERE tag = @tag AND job_key < @after)'); params.tag = tag; }
  const columns = JOB_COLUMNS.split(',').map((name) => `j.${name.trim()}`).join(', ');
  if (text === undefined) {
    return { sql: `SELECT ${columns} FROM job j WHERE ${where.join(' AND ')} ORDER BY j.key DESC LIMIT @limit`, params, share: null };
  }
  // Not LIKE: its cost is the product of both lengths, seconds for a text made for it.
  const window = `SELECT j.key, octet_length(i.body) FROM job j CROSS JOIN input i ON i.job_key = j.key WHERE ${where.join(' AND ')} ORDER BY j.key DESC LIMIT ${TEXT_SCAN_ROWS}`;
  const { limit: _limit, ...bounds } = params;
  return {
    sql: `SELECT ${columns} FROM job j CROSS JOIN input i ON i.job_key = j.key WHERE j.key >= @from AND ${where.join(' AND ')}
      AND (instr(lower(j.id), lower(@text)) > 0 OR instr(lower(j.type), lower(@text)) > 0 OR instr(lower(substr(i.body, 1, ${TEXT_CHARS})), lower(@text)) > 0)
      ORDER BY j.key DESC LIMIT @limit`,
    params: { ...params, text, from: 0 },
    share: (db) => {
      const rows = db.prepare(window).raw(true).all(bounds) as [key: number, bytes: number][];
      let left = TEXT_SCAN_BYTES;
      const cut = rows.findIndex(([, bytes]) => (left -= bytes) <= 0);
      const last = rows[cut < 0 ? rows.length - 1 : cut]?.[0] ?? 0;
      return { from: last, next: cut >= 0 || rows.length === TEXT_SCAN_ROWS ? last : null };
    },
  };
}
