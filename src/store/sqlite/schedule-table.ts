// schedule, schedule_template, schedule_run: statements and mapping, for the writer. `due_at` is derived here on every write.
import type Database from 'better-sqlite3';
import { dueAt, type JobTemplate, type Run, type Schedule, type ScheduleCounts, type ScheduleSpec } from '../../domain/schedule.ts';
import { checksum, parsed } from './log-table.ts';

const MUTABLE = [
  'client', 'spec', 'type', 'jobs', 'status', 'note', 'revision', 'next_at', 'due_at', 'aimed_at', 'last_at', 'fired', 'skipped', 'missed', 'dropped',
  'completed', 'failed', 'cancelled', 'open', 'buffered', 'failures_in_row', 'updated_at',
] as const;
export const SCHEDULE_COLUMNS = `key, id, created_at, ${MUTABLE.join(', ')}`;
export const RUN_COLUMNS = 'nominal_at, kind, status, reason, job_id, until_at, count, at, ended_at';

// Named indexes: without figures SQLite took the primary key, and a walk over a year of runs, for as good.
export const HOT_SCHEDULE_SQL = {
  scheduleById: `SELECT ${SCHEDULE_COLUMNS} FROM schedule WHERE id = ?`,
  template: 'SELECT body, sum FROM schedule_template WHERE schedule_key = ?',
  run: `SELECT ${RUN_COLUMNS} FROM schedule_run WHERE schedule_key = ? AND nominal_at = ?`,
  served: "SELECT count(*) FROM schedule_run WHERE schedule_key = ? AND nominal_at >= ? AND nominal_at < ? AND kind <> 'trigger' AND until_at IS NULL",
  nextBuffered: `SELECT ${RUN_COLUMNS} FROM schedule_run INDEXED BY schedule_run_buffered WHERE schedule_key = ? AND status = 'buffered' ORDER BY nominal_at LIMIT 1`,
  openJobs: "SELECT job_id FROM schedule_run INDEXED BY schedule_run_open WHERE schedule_key = ? AND status = 'running' ORDER BY nominal_at",
  updateSchedule: `UPDATE schedule SET ${MUTABLE.map((name) => `${name} = ?`).join(', ')} WHERE key = ?`,
  updateRun: `UPDATE schedule_run SET ${RUN_COLUMNS.split(', ').slice(1).map((name) => `${name} = ?`).join(', ')} WHERE schedule_key = ? AND nominal_at = ?`,
} as const;

export type Cell = string | number | null;
export type ScheduleRow = Cell[];

export interface PlacedSchedule {
  readonly key: number;
  readonly schedule: Schedule;
}

export function toSchedule(row: ScheduleRow): Schedule {
  const [, id, createdAt, client, spec, type, jobs, status, note, revision, nextAt, , aimedAt, lastAt, fired, skipped, missed, dropped, completed, failed, cancelled, open, buffered, failuresInRow, updatedAt] = row;
  const counts = { fired, skipped, missed, dropped, completed, failed, cancelled } as ScheduleCounts;
  return {
    id, createdAt, client, type, jobs, status, note, revision, nextAt, aimedAt, lastAt, counts, open, buffered, failuresInRow, updatedAt,
    spec: parsed<ScheduleSpec>(spec as string, `schedule ${String(id)}`),
  } as Schedule;
}

export function toRun(row: Cell[], scheduleId: string): Run {
  const [nominalAt, kind, status, reason, jobId, untilAt, count, at, endedAt] = row;
  return { scheduleId, nominalAt, kind, status, reason, jobId, untilAt, count, at, endedAt } as Run;
}

const mutable = (s: Schedule): Cell[] => [
  s.client, JSON.stringify(s.spec), s.type, s.jobs, s.status, s.note, s.revision, s.nextAt, dueAt(s), s.aimedAt, s.lastAt, s.counts.fired, s.counts.skipped, s.counts.missed, s.counts.dropped,
  s.counts.completed, s.counts.failed, s.counts.cancelled, s.open, s.buffered, s.failuresInRow, s.updatedAt,
];
const runCells = (run: Run): Cell[] => [run.kind, run.status, run.reason, run.jobId, run.untilAt, run.count, run.at, run.endedAt];

/** What is counted over all of them: what happened, and how many there are of each status. */
const COUNTED = ['fired', 'skipped', 'missed', 'dropped', 'completed', 'failed', 'cancelled'] as const;

/** Runs are counted as completed; schedules that are, apart from them. */
const placeOf = (status: Schedule['status']): string => `schedules_${status}`;

export class ScheduleTables {
  readonly #byId; readonly #template; readonly #run; readonly #served; readonly #nextBuffered; readonly #openJobs; readonly #insert; readonly #update; readonly #putTemplate; readonly #insertRun; readonly #updateRun;
  readonly #count; readonly #remove;
  /** What moved in this transaction and is not written yet. */
  readonly #counts = new Map<string, number>();

  constructor(db: Database.Database) {
    this.#byId = db.prepare(HOT_SCHEDULE_SQL.scheduleById).raw(true);
    this.#template = db.prepare(HOT_SCHEDULE_SQL.template).raw(true);
    this.#run = db.prepare(HOT_SCHEDULE_SQL.run).raw(true);
    this.#served = db.prepare(HOT_SCHEDULE_SQL.served).pluck();
    this.#nextBuffered = db.prepare(HOT_SCHEDULE_SQL.nextBuffered).raw(true);
    this.#openJobs = db.prepare(HOT_SCHEDULE_SQL.openJobs).pluck();
    this.#insert = db.prepare(`INSERT INTO schedule (id, created_at, ${MUTABLE.join(', ')}) VALUES (?, ?, ${MUTABLE.map(() => '?').join(', ')})`);
    this.#update = db.prepare(HOT_SCHEDULE_SQL.updateSchedule);
    this.#putTemplate = db.prepare('INSERT INTO schedule_template (schedule_key, body, sum) VALUES (?, ?, ?) ON CONFLICT (schedule_key) DO UPDATE SET body = excluded.body, sum = excluded.sum');
    this.#insertRun = db.prepare(`INSERT INTO schedule_run (schedule_key, ${RUN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#updateRun = db.prepare(HOT_SCHEDULE_SQL.updateRun);
    this.#count = db.prepare('INSERT INTO schedule_count (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n');
    this.#remove = ['schedule_run WHERE schedule_key', 'schedule_template WHERE schedule_key', 'schedule WHERE key'].map((rows) => db.prepare(`DELETE FROM ${rows} = ?`));
  }

  schedule(id: string): PlacedSchedule | undefined {
    const row = this.#byId.get(id) as ScheduleRow | undefined;
    return row === undefined ? undefined : { key: row[0] as number, schedule: toSchedule(row) };
  }

  /** null: the disk changed it. */
  template(key: number): JobTemplate | null {
    const row = this.#template.get(key) as [body: string, sum: number] | undefined;
    return row === undefined || checksum(row[0]) !== row[1] ? null : JSON.parse(row[0]) as JobTemplate;
  }

  run(key: number, scheduleId: string, nominalAt: number): Run | undefined { return asRun(this.#run.get(key, nominalAt), scheduleId); }
  served(key: number, from: number, to: number): number { return this.#served.get(key, from, to) as number; }
  nextBuffered(key: number, scheduleId: string): Run | undefined { return asRun(this.#nextBuffered.get(key), scheduleId); }
  openJobs(key: number): string[] { return this.#openJobs.all(key) as string[]; }

  add(schedule: Schedule, template: JobTemplate): PlacedSchedule {
    const key = Number(this.#insert.run(schedule.id, schedule.createdAt, ...mutable(schedule)).lastInsertRowid);
    this.#write(key, template);
    this.#move(null, schedule);
    return { key, schedule };
  }

  put(before: PlacedSchedule, schedule: Schedule, template: JobTemplate | undefined): PlacedSchedule {
    this.#update.run(...mutable(schedule), before.key);
    if (template !== undefined) this.#write(before.key, template);
    this.#move(before.schedule, schedule);
    return { key: before.key, schedule };
  }

  addRun(key: number, run: Run): void { this.#insertRun.run(key, run.nominalAt, ...runCells(run)); }
  putRun(key: number, run: Run): void { this.#updateRun.run(...runCells(run), key, run.nominalAt); }

  remove({ key, schedule }: PlacedSchedule): void {
    for (const statement of this.#remove) statement.run(key);
    this.#bump(placeOf(schedule.status), -1);
  }

  /** Writes what was counted; once per transaction. */
  flush(): void {
    for (const [name, n] of this.#counts) if (n !== 0) this.#count.run(name, n);
    this.#counts.clear();
  }

  /** The transaction was rolled back. */
  forget(): void { this.#counts.clear(); }

  #write(key: number, template: JobTemplate): void {
    const body = JSON.stringify(template);
    this.#putTemplate.run(key, body, checksum(body));
  }

  #move(before: Schedule | null, after: Schedule): void {
    for (const name of COUNTED) this.#bump(name, after.counts[name] - (before?.counts[name] ?? 0));
    if (before?.status === after.status) return;
    if (before !== null) this.#bump(placeOf(before.status), -1);
    this.#bump(placeOf(after.status), 1);
  }

  #bump(name: string, n: number): void {
    if (n !== 0) this.#counts.set(name, (this.#counts.get(name) ?? 0) + n);
  }
}

const asRun = (row: unknown, scheduleId: string): Run | undefined => (row === undefined ? undefined : toRun(row as Cell[], scheduleId));
