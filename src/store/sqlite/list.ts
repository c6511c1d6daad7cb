// The list filter: the one place where SQL is put together. Fixed parts only; every value is bound.
import type Database from 'better-sqlite3';
import type { JobFilter } from '../store.ts';
import { JOB_COLUMNS } from './job-table.ts';

/** Rows a text search looks at for one page: about 20 ms. The page then says where to go on. */
const TEXT_SCAN_ROWS = 10_000;

export interface ListSql {
  readonly sql: string;
  readonly params: Record<string, string | number | null>;
  /** For a filter that looks at a bounded number of rows: where a short page left off, or null at the end. */
  readonly scans: ((db: Database.Database) => number | null) | null;
}

export function listSql(filter: JobFilter, parentKey: number | undefined, rootKey: number | undefined, after: number | null, limit: number): ListSql {
  const params: Record<string, string | number | null> = { after: after ?? Number.MAX_SAFE_INTEGER, limit };
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
    return { sql: `SELECT ${columns} FROM job j WHERE ${where.join(' AND ')} ORDER BY j.key DESC LIMIT @limit`, params, scans: null };
  }
  params.text = `%${text.replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
  params.scan = TEXT_SCAN_ROWS;
  const window = `SELECT j.* FROM job j WHERE ${where.join(' AND ')} ORDER BY j.key DESC LIMIT @scan`;
  const scanned = Object.fromEntries(Object.entries(params).filter(([name]) => name !== 'text' && name !== 'limit'));
  return {
    sql: `SELECT ${columns} FROM (${window}) j JOIN input i ON i.job_key = j.key
      WHERE j.id LIKE @text ESCAPE '\\' OR j.type LIKE @text ESCAPE '\\' OR i.body LIKE @text ESCAPE '\\' ORDER BY j.key DESC LIMIT @limit`,
    params,
    scans: (db) => {
      const row = db.prepare(`SELECT min(key), count(*) FROM (${window})`).raw(true).get(scanned) as [number | null, number];
      return row[1] === TEXT_SCAN_ROWS ? row[0] : null;
    },
  };
}
