// Reads of schedules and their runs: the same rules as reader.ts, on its connection.
import type Database from 'better-sqlite3';
import type { JobTemplate, Run, Schedule } from '../../domain/schedule.ts';
import type { Page, ScheduleFilter, ScheduleRecord } from '../store.ts';
import { checksum, DamagedRow } from './log-table.ts';
import { type Cell, HOT_SCHEDULE_SQL, RUN_COLUMNS, SCHEDULE_COLUMNS, type ScheduleRow, toRun, toSchedule } from './schedule-table.ts';

/** Characters of templates in one page, as for the inputs of jobs. */
const PAGE_CHARS = 8 * 1_048_576;

const DUE = `SELECT ${SCHEDULE_COLUMNS} FROM schedule WHERE due_at <= ? ORDER BY due_at LIMIT ?`;
const NEXT = 'SELECT min(due_at) FROM schedule WHERE due_at IS NOT NULL';
const RUNS = `SELECT ${RUN_COLUMNS} FROM schedule_run WHERE schedule_key = ? AND nominal_at < ? ORDER BY nominal_at DESC LIMIT ?`;
/** A walk over all of them: asked at the start, and when the clock was set back. */
const AHEAD = `SELECT ${SCHEDULE_COLUMNS} FROM schedule WHERE due_at IS NOT NULL AND aimed_at > ? LIMIT ?`;

export function scheduleListSql(filter: ScheduleFilter, byOffset: boolean): string {
  const where = [
    ...(filter.client === undefined ? [] : ['client = @client']),
    ...(filter.status === undefined ? [] : [`${filter.client === undefined ? '' : '+'}status = @status`]),
    ...(byOffset ? [] : ['key < @after']),
  ];
  return `SELECT ${SCHEDULE_COLUMNS} FROM schedule${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`} ORDER BY key DESC LIMIT @limit${byOffset ? ' OFFSET @offset' : ''}`;
}

export const HOT_SCHEDULE_READ_SQL = { DUE, NEXT, RUNS, byStatus: scheduleListSql({ status: 'active' }, false), byClient: scheduleListSql({ client: 'c', status: 'active' }, false) } as const;

export class ScheduleReader {
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(db: Database.Database) {
    this.#db = db;
  }

  schedule(id: string): ScheduleRecord | null {
    const row = this.#raw(HOT_SCHEDULE_SQL.scheduleById).get(id) as ScheduleRow | undefined;
    return row === undefined ? null : { schedule: toSchedule(row), template: this.#template(row).template };
  }

  schedules(filter: ScheduleFilter, from: { readonly after: number } | { readonly offset: number }, limit: number): Page<ScheduleRecord> {
    const rows = this.#raw(scheduleListSql(filter, 'offset' in from)).all({ ...filter, ...from, limit }) as ScheduleRow[];
    const items: ScheduleRecord[] = [];
    let left = PAGE_CHARS;
    for (const row of rows) {
      const { template, chars } = this.#template(row);
      if (items.length > 0 && (left -= chars) < 0) break;
      items.push({ schedule: toSchedule(row), template });
    }
    const isCut = items.length < rows.length || rows.length === limit;
    return { items, next: isCut ? (rows[items.length - 1]?.[0] as number | undefined) ?? null : null };
  }

  count(filter: ScheduleFilter): number {
    const where = [...(filter.client === undefined ? [] : ['client = @client']), ...(filter.status === undefined ? [] : ['status = @status'])];
    return (this.#raw(`SELECT count(*) FROM schedule${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`}`).get(filter) as [number])[0];
  }

  runs(scheduleId: string, before: number | null, limit: number): Page<Run> {
    const key = (this.#raw('SELECT key FROM schedule WHERE id = ?').get(scheduleId) as [number] | undefined)?.[0];
    if (key === undefined) return { items: [], next: null };
    const items = (this.#raw(RUNS).all(key, before ?? Number.MAX_SAFE_INTEGER, limit) as Cell[][]).map((row) => toRun(row, scheduleId));
    return { items, next: items.length === limit ? (items.at(-1)?.nominalAt ?? null) : null };
  }

  /** A row that cannot be read is left out: it must not stop the others. */
  due(now: number, limit: number): Schedule[] { return (this.#raw(DUE).all(now, limit) as ScheduleRow[]).flatMap(readable); }
  ahead(now: number, limit: number): Schedule[] { return (this.#raw(AHEAD).all(now, limit) as ScheduleRow[]).flatMap(readable); }
  next(): number | null { return (this.#raw(NEXT).get() as [number | null])[0]; }
  counts(): Map<string, number> { return new Map(this.#raw('SELECT name, n FROM schedule_count').all() as [string, number][]); }

  #template(row: ScheduleRow): { readonly template: JobTemplate | null; readonly chars: number } {
    const found = this.#raw(HOT_SCHEDULE_SQL.template).get(row[0]) as [body: string, sum: number] | undefined;
    const isSound = found !== undefined && checksum(found[0]) === found[1];
    return { template: isSound ? JSON.parse(found[0]) as JobTemplate : null, chars: found?.[0].length ?? 0 };
  }

  #raw(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql).raw(true)));
    return statement;
  }
}

function readable(row: ScheduleRow): Schedule[] {
  try {
    return [toSchedule(row)];
  } catch (error) {
    if (error instanceof DamagedRow) return [];
    throw error;
  }
}
