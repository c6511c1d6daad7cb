// Reads: a read-only connection, short statements, pages, no iterator across an await.
import type Database from 'better-sqlite3';
import type { OutputTotals } from '../../domain/commands.ts';
import type { EventType } from '../../domain/event.ts';
import type { Grant } from '../../domain/grant.ts';
import type { JobStatus } from '../../domain/job.ts';
import type { Job } from '../../domain/job.ts';
import { readJson } from '../../domain/read-json.ts';
import type { AttemptRecord, ChildResult, EventScope, JobFilter, JobPage, JobRecord, Page, StoredEvent } from '../store.ts';
import { ANY_TYPE, JOB_COLUMNS, type JobRow, type Placed, toJob } from './job-table.ts';
import { checksum, DamagedRow, parsed } from './log-table.ts';
import { FEW, listSql } from './list.ts';
import { HOT_OUTPUT_SQL, isOutput, outputOf, pageOf, type LogRow } from './output.ts';
import { GrantTable } from './grant-table.ts';

const EVENT = 'e.seq, j.id, e.type, e.at, e.data, e.sum, e.root_key';
export const HOT_READ_SQL = {
  job: `SELECT ${JOB_COLUMNS} FROM job WHERE id = ?`,
  byKey: `SELECT ${JOB_COLUMNS} FROM job WHERE key = ?`,
  idOf: 'SELECT id FROM job WHERE key = ?',
  input: 'SELECT body, sum FROM input WHERE job_key = ?',
  final: 'SELECT data, sum, job_key FROM event WHERE seq = ?',
  attempts: 'SELECT number, outcome, started_at AS startedAt, ended_at AS endedAt, error, worker FROM attempt WHERE job_key = ? ORDER BY number DESC LIMIT 100',
  events: `SELECT ${EVENT} FROM event e JOIN job j ON j.key = e.job_key WHERE e.seq > ? ORDER BY e.seq LIMIT ?`,
  eventsOfTree: `SELECT ${EVENT} FROM event e JOIN job j ON j.key = e.job_key WHERE e.root_key = ? AND e.seq > ? ORDER BY e.seq LIMIT ?`,
  eventsOfChild: `SELECT ${EVENT} FROM event e JOIN job j ON j.key = e.job_key WHERE e.job_key = ? AND e.job_key <> e.root_key AND e.seq > ? ORDER BY e.seq LIMIT ?`,
  eventsBelow: `WITH RECURSIVE sub(key) AS (SELECT ? UNION ALL SELECT c.key FROM sub JOIN job c ON c.parent_key = sub.key)
    SELECT ${EVENT} FROM sub CROSS JOIN event e ON e.job_key = sub.key AND e.job_key <> e.root_key JOIN job j ON j.key = e.job_key
    WHERE e.seq > ? ORDER BY e.seq LIMIT ?`,
  // The same for a batch of many: through its tree's log, asking each event for its ancestors. The other way finds and
  // sorts everything below for each page: 300 to 700 ms with 100,000 children, this 2 ms.
  eventsAbove: `SELECT ${EVENT} FROM event e JOIN job j ON j.key = e.job_key WHERE e.root_key = ? AND EXISTS (
    WITH RECURSIVE up(key) AS (SELECT e.job_key UNION ALL SELECT p.parent_key FROM up CROSS JOIN job p ON p.key = up.key WHERE p.parent_key IS NOT NULL)
    SELECT 1 FROM up WHERE key = ?) AND e.seq > ? ORDER BY e.seq LIMIT ?`,
  keyOf: 'SELECT key FROM job WHERE id = ?',
  lastSeq: 'SELECT max(seq) FROM event',
  ready: 'SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM job WHERE ready = 1 AND type = value)',
  alarm: 'SELECT min(alarm_at) FROM job WHERE alarm_at IS NOT NULL',
  childResults: `SELECT j.id, j.type, j.ordinal, j.status, j.error, e.data, e.sum, j.final_seq IS NULL OR e.job_key = j.key FROM job j LEFT JOIN event e ON e.seq = j.final_seq
    WHERE j.parent_key = ? AND j.ordinal > ? ORDER BY j.ordinal LIMIT 200`,
} as const;

/** Inputs and results in one page, characters: 200 jobs of 1 MiB each would hold the process up for a second. */
const PAGE_CHARS = 8 * 1_048_576;

const NO_JOBS: JobPage = { items: [], damaged: [], next: null };

/** Up to here a page of a batch's events is found from below in 10 ms; its share of its tree's log may be small. */
const MANY_CHILDREN = 2_000;

type EventRow = [seq: number, id: string, type: EventType, at: number, data: string | null, sum: number, rootKey: number];

export class Reader {
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  readonly #grants: GrantTable;
  /** Root ids by key, for event rows; a root's id never changes. Bounded, oldest out. */
  readonly #rootIds = new Map<number, string>();
  /** One picture for several statements: without it a tree deleted between two of them looks like a damaged file. */
  readonly #together: <T>(work: () => T) => T;
  /**
   * The last event that is shown. SQLite shows a commit before anybody could look whether its sync held; an event that is
   * lost after all gives its number to another, which a stream that had the first would never get (seen).
   */
  #shown = Number.MAX_SAFE_INTEGER;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#grants = new GrantTable(db);
    this.#together = db.transaction((work: () => unknown) => work()) as <T>(work: () => T) => T;
  }

  showUpTo(seq: number): void { this.#shown = seq; }

  job(id: string): JobRecord | null { return this.#together(() => this.#job(id)); }
  lineage(id: string): Job[] { return this.#together(() => this.#lineage(id)); }
  jobs(filter: JobFilter, after: number | null, limit: number): JobPage { return this.#together(() => this.#jobs(filter, after, limit)); }
  children(parentId: string, status: readonly JobStatus[] | null, after: number | null, limit: number): JobPage {
    return this.#together(() => this.#children(parentId, status, after, limit));
  }
  childResults(parentId: string, maxBytes: number): { results: ChildResult[]; truncated: boolean } { return this.#together(() => this.#childResults(parentId, maxBytes)); }
  events(scope: EventScope, after: number, limit: number, types: readonly EventType[] | undefined): StoredEvent[] {
    return this.#together(() => this.#eventsOf(scope, after, limit, types));
  }

  #job(id: string): JobRecord | null {
    const placed = this.#placed(this.#raw(HOT_READ_SQL.job).get(id) as JobRow | undefined);
    return placed === null ? null : this.#record(placed);
  }

  #lineage(id: string): Job[] {
    const jobs: Job[] = [];
    let placed = this.#placed(this.#raw(HOT_READ_SQL.job).get(id) as JobRow | undefined);
    while (placed !== null) {
      jobs.push(placed.job);
      placed = placed.parentKey === null ? null : this.#placed(this.#raw(HOT_READ_SQL.byKey).get(placed.parentKey) as JobRow | undefined);
    }
    return jobs;
  }

  #jobs(filter: JobFilter, after: number | null, limit: number): JobPage {
    const keyOf = (id: string | undefined): number | null | undefined => (id === undefined ? undefined : this.#key(id));
    const parent = keyOf(filter.parentId);
    const root = keyOf(filter.rootId);
    if (parent === null || root === null) return NO_JOBS;
    const { sql, params, share } = listSql(filter, parent, root, after, limit, this.#areFew(filter.status, filter.type));
    const searched = share?.(this.#db) ?? null;
    const rows = this.#raw(sql).all(searched === null ? params : { ...params, from: searched.from }) as JobRow[];
    const { last, isCut, ...page } = this.#records(rows, limit);
    return { ...page, next: isCut ? (last?.[0] as number | undefined) ?? null : (searched?.next ?? null) };
  }

  #children(parentId: string, status: readonly JobStatus[] | null, after: number | null, limit: number): JobPage {
    const parent = this.#key(parentId);
    if (parent === null) return NO_JOBS;
    const rows = this.#raw(childrenSql(status, this.#areFew(status ?? undefined))).all(parent, after ?? -1, ...(status ?? []), limit) as JobRow[];
    const { last, isCut, ...page } = this.#records(rows, limit);
    return { ...page, next: isCut ? (last?.[5] as number | null | undefined) ?? null : null };
  }

  /** Are there few jobs of these statuses, anywhere? */
  #areFew(status: readonly JobStatus[] | undefined, type?: string): boolean {
    if (status === undefined) return false;
    const sum = this.counts().reduce((n, row) => (status.includes(row.status) && (type === undefined || row.type === type) ? n + row.count : n), 0);
    return sum <= FEW;
  }

  #childResults(parentId: string, maxBytes: number): { results: ChildResult[]; truncated: boolean } {
    const parent = this.#key(parentId);
    const results: ChildResult[] = [];
    let left = maxBytes;
    for (let after = -1; parent !== null; ) {
      let count = 0;
      // One by one: 200 results of 1 MiB would be read to use one of them.
      const rows = this.#raw(HOT_READ_SQL.childResults).iterate(parent, after) as IterableIterator<[string, string, number, JobStatus, string | null, string | null, number | null, number | null]>;
      for (const [id, type, ordinal, status, error, data, sum, isIts] of rows) {
        if (isIts !== 1) throw new DamagedRow(`the result of job ${id}`);
        count += 1;
        left -= (data?.length ?? 0) + 64;
        if (left < 0) return { results, truncated: true };
        results.push({ id, type, ordinal, status, error: error === null ? null : parsed(error, `the error of job ${id}`), result: resultOf(data, sum ?? 0, id) });
        after = ordinal;
      }
      if (count < 200) break;
    }
    return { results, truncated: false };
  }

  #eventsOf(scope: EventScope, after: number, limit: number, types: readonly EventType[] | undefined): StoredEvent[] {
    const bound = [after, ...(types ?? []), limit];
    const sql = (text: string): string => (types === undefined ? text : text.replace(' ORDER BY', ` AND e.type IN (${types.map(() => '?').join(', ')}) ORDER BY`));
    if (scope === 'all') return this.#events(sql(HOT_READ_SQL.events), bound);
    const row = this.#raw(HOT_READ_SQL.job).get(scope.jobId) as JobRow | undefined;
    if (row === undefined) return [];
    const [key, parent, children] = [row[0], row[3], row[28]] as [number, number | null, number];
    if (parent === null) return this.#events(sql(HOT_READ_SQL.eventsOfTree), [key, ...bound]);
    if (children > MANY_CHILDREN) return this.#events(sql(HOT_READ_SQL.eventsAbove), [row[4] as number, key, ...bound]);
    return this.#events(sql(children === 0 ? HOT_READ_SQL.eventsOfChild : HOT_READ_SQL.eventsBelow), [key, ...bound]);
  }

  /** Each job's own events are found by its tree, or by itself below one. */
  logs(id: string, from: { after: number } | { before: number }, limit: number): { events: StoredEvent[]; more: boolean } {
    return this.#together(() => {
      const row = this.#raw(HOT_READ_SQL.job).get(id) as JobRow | undefined;
      if (row === undefined) return { events: [], more: false };
      const [key, parent, root] = [row[0], row[3], row[4]] as [number, number | null, number];
      const isBack = 'before' in from;
      const sql = HOT_OUTPUT_SQL[parent === null ? (isBack ? 'rootBefore' : 'rootAfter') : isBack ? 'childBefore' : 'childAfter'];
      const rows = this.#raw(sql).iterate(key, isBack ? from.before : from.after, limit + 1) as IterableIterator<LogRow>;
      return pageOf(rows, id, this.#rootId(root), limit, isBack, (seq) => this.#output(seq), this.#shown);
    });
  }
  printed(id: string): OutputTotals | null { return (this.#prepare(HOT_OUTPUT_SQL.totals).raw(false).get(id) as OutputTotals | undefined) ?? null; }
  #output(seq: number): Uint8Array | null { return outputOf(this.#raw(HOT_OUTPUT_SQL.bytes).get(seq) as [Uint8Array, number] | undefined, seq); }

  grant(id: number): Grant | null { return this.#grants.get(id); }
  grants(grantee: string | null, after: number | null, limit: number): Page<Grant> { return this.#grants.list(grantee, after, limit); }
  lastSeq(): number { return Math.min(this.#shown, Math.max(this.#number(HOT_READ_SQL.lastSeq), this.#number("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last_seq'"))); }
  newestAt(): number | null { return (this.#raw('SELECT at FROM event ORDER BY seq DESC LIMIT 1').get() as [number] | undefined)?.[0] ?? null; }
  instance(): string { return (this.#raw("SELECT value FROM meta WHERE name = 'instance'").get() as [string] | undefined)?.[0] ?? ''; }
  floorSeq(): number { return this.#number("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'floor_seq'"); }
  readyTypes(types: readonly string[]): string[] { return (this.#raw(HOT_READ_SQL.ready).all(JSON.stringify(types)) as [string][]).map(([type]) => type); }
  nextAlarm(): number | null { return (this.#raw(HOT_READ_SQL.alarm).get() as [number | null])[0]; }
  counts(): { type: string; status: JobStatus; count: number }[] {
    return this.#prepare('SELECT type, status, n AS count FROM job_count').all() as { type: string; status: JobStatus; count: number }[];
  }

  #number(sql: string): number { return Number((this.#raw(sql).get() as [number | null] | undefined)?.[0] ?? 0); }

  #events(sql: string, params: (number | string)[]): StoredEvent[] {
    return (this.#raw(sql).all(params) as EventRow[]).filter(([seq]) => seq <= this.#shown).map(([seq, jobId, type, at, data, sum, rootKey]) => {
      if (checksum(data) !== sum) throw new DamagedRow(`event ${seq}`);
      const event = { seq, jobId, rootId: this.#rootId(rootKey), type, at, data };
      return isOutput(type, data) ? { ...event, bytes: this.#output(seq) } : event;
    });
  }

  #rootId(key: number): string {
    let id = this.#rootIds.get(key);
    if (id === undefined) {
      id = (this.#raw(HOT_READ_SQL.idOf).get(key) as [string] | undefined)?.[0] ?? '';
      if (this.#rootIds.size >= 10_000) this.#rootIds.delete(this.#rootIds.keys().next().value ?? 0);
      this.#rootIds.set(key, id);
    }
    return id;
  }

  /** As many of the rows as a page holds, at least one; the last of them, and whether there may be more after it. */
  #records(rows: readonly JobRow[], limit: number): Omit<JobPage, 'next'> & { last: JobRow | undefined; isCut: boolean } {
    const items: JobRecord[] = [];
    const damaged: { id: string; what: string }[] = [];
    let left = PAGE_CHARS;
    for (const [i, row] of rows.entries()) {
      try {
        const record = this.#record(this.#place(row));
        left -= record.input.length + (record.result?.length ?? 0);
        if (left < 0 && items.length > 0) return { items, damaged, last: rows[i - 1], isCut: true };
        items.push(record);
      } catch (error) {
        if (!(error instanceof DamagedRow)) throw error;
        damaged.push({ id: String(row[1]), what: error.message });
      }
    }
    return { items, damaged, last: rows.at(-1), isCut: rows.length === limit };
  }

  #record(placed: Placed): JobRecord {
    const input = this.#raw(HOT_READ_SQL.input).get(placed.key) as [string, number] | undefined;
    if (input === undefined || checksum(input[0]) !== input[1]) throw new DamagedRow(`the input of job ${placed.job.id}`);
    const final = placed.finalSeq === null ? undefined : (this.#raw(HOT_READ_SQL.final).get(placed.finalSeq) as [string | null, number, number] | undefined);
    if (placed.finalSeq !== null && final?.[2] !== placed.key) throw new DamagedRow(`the result of job ${placed.job.id}`);
    const attempts = placed.job.attempt === 0 ? [] : (this.#prepare(HOT_READ_SQL.attempts).all(placed.key) as (AttemptRecord & { error: string | null })[]).reverse();
    return {
      job: placed.job, input: input[0], finalSeq: placed.finalSeq,
      result: final === undefined ? null : resultOf(final[0], final[1], placed.job.id),
      facts: placed.job.attempt === 0 ? [] : (this.#prepare(HOT_OUTPUT_SQL.facts).raw(false).all(placed.key) as JobRecord['facts']),
      attempts: attempts.map((attempt) => ({ ...attempt, error: attempt.error === null ? null : parsed(attempt.error, `an attempt of job ${placed.job.id}`) })),
    };
  }

  #key(id: string): number | null { return (this.#raw(HOT_READ_SQL.keyOf).get(id) as [number] | undefined)?.[0] ?? null; }
  #placed(row: JobRow | undefined): Placed | null { return row === undefined ? null : this.#place(row); }
  #place(row: JobRow): Placed {
    const parentKey = row[3] as number | null;
    const idOf = (key: number): string => {
      const [id] = (this.#raw(HOT_READ_SQL.idOf).get(key) as [string] | undefined) ?? [];
      if (id === undefined) throw new DamagedRow(`the parent of job ${String(row[1])}`);
      return id;
    };
    const rootId = row[4] === row[0] ? (row[1] as string) : this.#rootId(row[4] as number);
    return {
      key: row[0] as number, parentKey, rootKey: row[4] as number, finalSeq: row[38] as number | null,
      job: toJob(row, parentKey === null ? null : idOf(parentKey), rootId),
    };
  }

  #prepare(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }
  #raw(sql: string): Database.Statement { return this.#prepare(sql).raw(true); }
}

/** Where few jobs have the statuses at all, these lead; else the children do. */
export function childrenSql(status: readonly JobStatus[] | null, few: boolean): string {
  const words = (status ?? []).map(() => '?').join(', ');
  if (status !== null && few) return `SELECT ${JOB_COLUMNS} FROM job WHERE +parent_key = ? AND ordinal > ? AND status IN (${words}) AND ${ANY_TYPE} ORDER BY ordinal LIMIT ?`;
  return `SELECT ${JOB_COLUMNS} FROM job WHERE parent_key = ? AND ordinal > ? ${status === null ? '' : `AND +status IN (${words})`} ORDER BY ordinal LIMIT ?`;
}

/** The handler's answer out of the final event's data. */
function resultOf(data: string | null, sum: number, id: string): string | null {
  if (data === null) return null;
  if (checksum(data) !== sum) throw new DamagedRow(`the result of job ${id}`);
  const { result } = readJson(data) as { result?: unknown };
  return result === undefined ? null : JSON.stringify(result);
}
