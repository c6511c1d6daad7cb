// The list filter: the one place where SQL is put together. Fixed parts only; every value is bound.
// One filter leads, so that rows come newest first out of an index and a page is a page's worth of work however deep the
// file: parent, else tree, else tag, else type and status. The others only look at what it finds (a `+` keeps their
// indexes out of it: SQLite knows no counts, and took "failed, anywhere" for rarer than "in this tree").
import type Database from 'better-sqlite3';
import { STATUSES } from '../../domain/job.ts';
import type { JobFilter } from '../store.ts';
import { ANY_TYPE, JOB_COLUMNS } from './job-table.ts';

/** Characters of an input that are searched: what tells jobs apart stands at its beginning. */
const TEXT_CHARS = 4_096;
/**
 * What a text search looks at for one page, so that it takes about 20 ms: the page then says where to go on. Rows bound
 * the comparing (5 µs for 4,096 characters, 40 at worst); bytes bound the reading, as SQLite reads an input as a whole.
 */
const TEXT_SCAN_ROWS = 1_000;
const TEXT_SCAN_BYTES = 16 * 1_048_576;

const COLUMNS = JOB_COLUMNS.split(',').map((name) => `j.${name.trim()}`).join(', ');
const WITH_INPUT = ' CROSS JOIN input i ON i.job_key = j.key';

type Params = Record<string, string | number | null>;

export interface ListSql {
  readonly sql: string;
  readonly params: Params;
  /** For a text search: the lowest key of this page's share (bind it as @from), and where to go on or null at the end. */
  readonly share: ((db: Database.Database) => { readonly from: number; readonly next: number | null }) | null;
}

/** What leads: FROM, conditions, order; a tree is led twice, since its root is not in the index of what is below it. */
interface Lead {
  readonly from: string;
  readonly where: readonly string[];
  /** Of a text search's share. */
  readonly downTo: string;
  readonly order: string;
  readonly and?: { readonly where: readonly string[] };
}

// Of one parent's children, a higher ordinal is a higher key.
const ordinalOf = (key: string, otherwise: number): string => `coalesce((SELECT ordinal FROM job WHERE key = ${key} AND parent_key = @parent), ${otherwise})`;
const BY_PARENT: Lead = {
  from: 'job j', where: ['j.parent_key = @parent', `j.ordinal <= ${ordinalOf('@after', Number.MAX_SAFE_INTEGER)}`, '+j.key < @after'],
  downTo: `j.ordinal >= ${ordinalOf('@from', 0)}`, order: 'j.ordinal',
};
const BY_TREE: Lead = { from: 'job j', where: ['j.root_key = @root', 'j.parent_key IS NOT NULL', 'j.key < @after'], downTo: 'j.key >= @from', order: '1', and: { where: ['j.key = @root', '+j.key < @after'] } };
const BY_TAG: Lead = { from: 'job_tag t CROSS JOIN job j ON j.key = t.job_key', where: ['t.tag = @tag', 't.job_key < @after'], downTo: 't.job_key >= @from', order: 't.job_key' };
const BY_KEY: Lead = { from: 'job j', where: ['j.key < @after'], downTo: 'j.key >= @from', order: 'j.key' };
// One index answers both: what is not asked for is every value there is. Each pair is a run of the index in order, and
// SQLite leaves a run as soon as it has nothing newer than the page.
const ANY_STATUS = `j.status IN (${STATUSES.map((status) => `'${status}'`).join(', ')})`;

/**
 * Jobs of the statuses asked for, in the whole file, up to which these lead and not the tree: "what failed in this tree"
 * then is no walk over its 100,000 that did not (32 ms).
 */
export const FEW = 1_000;

/** @param few at most FEW jobs have the type and statuses asked for */
export function listSql(filter: JobFilter, parentKey: number | undefined, rootKey: number | undefined, after: number | null, limit: number, few = false): ListSql {
  const params: Params = { after: after ?? Number.MAX_SAFE_INTEGER };
  const { status, type, tag, text } = filter;
  const lead = few && status !== undefined ? BY_KEY : parentKey !== undefined ? BY_PARENT : rootKey !== undefined ? BY_TREE : tag !== undefined ? BY_TAG : BY_KEY;
  const plus = lead === BY_KEY ? '' : '+';
  const where: string[] = [];
  if (status !== undefined) {
    where.push(`${plus}j.status IN (${status.map((word, i) => { params[`status${i}`] = word; return `@status${i}`; }).join(', ')})`);
    if (type === undefined && lead === BY_KEY) where.push(`j.${ANY_TYPE}`);
  }
  if (type !== undefined) {
    where.push(`${plus}j.type = @type`);
    params.type = type;
    if (status === undefined && lead === BY_KEY) where.push(ANY_STATUS);
  }
  if (parentKey !== undefined) params.parent = parentKey;
  if (parentKey !== undefined && lead !== BY_PARENT) where.push('+j.parent_key = @parent');
  if (rootKey !== undefined) params.root = rootKey;
  if (rootKey !== undefined && lead !== BY_TREE) where.push('+j.root_key = @root');
  if (tag !== undefined) params.tag = tag;
  if (tag !== undefined && lead !== BY_TAG) where.push('EXISTS (SELECT 1 FROM job_tag t WHERE t.tag = @tag AND t.job_key = j.key)');

  const select = (columns: string, join: string, more: readonly string[], max: string): string => {
    const part = (conditions: readonly string[]): string => `SELECT ${columns} FROM ${lead.from}${join} WHERE ${[...conditions, ...where, ...more].join(' AND ')}`;
    return `${part(lead.where)}${lead.and === undefined ? '' : ` UNION ALL ${part(lead.and.where)}`} ORDER BY ${lead.order} DESC LIMIT ${max}`;
  };
  if (text === undefined) return { sql: select(COLUMNS, '', [], '@limit'), params: { ...params, limit }, share: null };
  // Not LIKE: its cost is the product of both lengths, seconds for a text made for it.
  const found = `(instr(lower(j.id), lower(@text)) > 0 OR instr(lower(j.type), lower(@text)) > 0 OR instr(lower(substr(i.body, 1, ${TEXT_CHARS})), lower(@text)) > 0)`;
  const window = select('j.key, octet_length(i.body)', WITH_INPUT, [], String(TEXT_SCAN_ROWS));
  return {
    sql: select(COLUMNS, WITH_INPUT, [lead.downTo, found], '@limit'),
    params: { ...params, limit, text, from: 0 },
    share: (db) => {
      const rows = db.prepare(window).raw(true).all(params) as [key: number, bytes: number][];
      let left = TEXT_SCAN_BYTES;
      const cut = rows.findIndex(([, bytes]) => (left -= bytes) <= 0);
      const last = rows[cut < 0 ? rows.length - 1 : cut]?.[0] ?? 0;
      return { from: last, next: cut >= 0 || rows.length === TEXT_SCAN_ROWS ? last : null };
    },
  };
}
