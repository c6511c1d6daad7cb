// job rows: statements and mapping. `ready` and `alarm_at` are derived here on every write, and only here.
import type Database from 'better-sqlite3';
import { alarmAt, EMPTY_SPEC, isReady, type Job, type JobSpec, type JobStatus, type Gate, NO_CHILDREN } from '../../domain/job.ts';
import { type Policies, policyOf, timeoutOf } from '../../domain/policy.ts';
import { parsed } from './log-table.ts';

const MUTABLE = `status, gate, ready, alarm_at, priority, due_at, started_at, ended_at, expires_at, deadline_at, attempt,
  failures, interruptions, crashes, attempt_started_at, claimed_at, lease_until, lease_epoch, worker, child_total,
  child_open, child_waiting, child_completed, child_failed, child_cancelled, progress, log_bytes, error, ending`;
const READY_COLUMN = 2;
const ALARM_COLUMN = 3;
const columns = MUTABLE.split(',').map((name) => name.trim());

// A new job sets what can differ; the rest are the schema's defaults (binding a value costs as much as storing it).
const INSERT = `INSERT INTO job (key, id, type, parent_key, root_key, ordinal, depth, spec, created_at, status, gate, ready, alarm_at, priority,
  due_at, expires_at, deadline_at, child_total, child_open, child_waiting) VALUES (${Array.from({ length: 20 }, () => '?').join(', ')})`;
// Only what changed is set, and rows that change alike are set together: a claim of 500 is one statement, not 500.
// (An UPDATE that names a column rewrites every index on it, changed or not; naming all 29 cost twice as much.)
// OR FAIL: whatever fails ends in the rollback of all, so SQLite need not keep a copy of each page for this statement alone.
const setting = (changed: readonly number[], more: readonly string[] = []): string => `UPDATE OR FAIL job SET ${[...changed.map((i) => `${columns[i]} = ?`), ...more].join(', ')}`;
// Neighbours, as jobs are that came together: without a subquery SQLite changes each row where it finds it. With a list it
// makes a table of the keys, then one of the rows found, and looks each up again: twice the price.
const updateRun = (changed: readonly number[]): string => `${setting(changed)} WHERE key BETWEEN ? AND ?`;
// Ends of one command stand in a row in the log, so the n-th job's final event is the first one's seq + n.
const endRun = (changed: readonly number[]): string => `${setting(changed, ['final_seq = key + ?'])} WHERE key BETWEEN ? AND ?`;
// Keys travel as one JSON list of numbers: binding 250 values, or pairs to be taken apart, cost a third more.
const updateList = (changed: readonly number[]): string => `${setting(changed)} WHERE key IN (SELECT value FROM json_each(?))`;
const endList = (changed: readonly number[]): string =>
  `${setting(changed, ['final_seq = v.seq'])} FROM (SELECT value AS key, ? + key AS seq FROM json_each(?)) AS v WHERE job.key = v.key`;
/** Neighbours in a run, on average, from which a statement for each run is cheaper than one with a list: a call costs as much as 4 rows. */
const RUN_MIN = 8;
const NEWEST = 'SELECT max(key) FROM job';
const UPDATE_SPEC = 'UPDATE job SET spec = ? WHERE key = ?';
export const JOB_COLUMNS = `key, id, type, parent_key, root_key, ordinal, depth, spec, created_at, ${MUTABLE}, final_seq`;

/** With it a question about statuses is a question to job_by_kind; the table has a row for every type there is. */
export const ANY_TYPE = 'type IN (SELECT DISTINCT type FROM job_count)';
const DUE = 'SELECT key FROM job WHERE alarm_at <= ? ORDER BY alarm_at LIMIT ?';
const LEASED = `SELECT key FROM job WHERE ${ANY_TYPE} AND status IN ('assigned','running') AND worker = ? ORDER BY key LIMIT ?`;

const READY = `SELECT ${JOB_COLUMNS.split(', ').map((name) => `j.${name.trim()}`).join(', ')}, i.body, i.sum
  FROM job j CROSS JOIN input i ON i.job_key = j.key WHERE j.ready = 1 AND j.type = ? ORDER BY j.priority DESC, j.key LIMIT ?`;

/** Statements the plan test reads: none may scan. */
export const HOT_JOB_SQL = {
  READY, DUE, LEASED, NEWEST, UPDATE_RUN: updateRun([0]), END_RUN: endRun([0]), UPDATE_LIST: updateList([0]), END_LIST: endList([0]), UPDATE_SPEC, byId: `SELECT ${JOB_COLUMNS} FROM job WHERE id = ?`, byKey: `SELECT ${JOB_COLUMNS} FROM job WHERE key = ?`,
};

/** The row as SQLite gives it in raw mode, in the order of JOB_COLUMNS. */
export type JobRow = (string | number | null)[];

/** A job with its place in the file. */
export interface Placed {
  readonly key: number;
  readonly parentKey: number | null;
  readonly rootKey: number;
  readonly finalSeq: number | null;
  readonly job: Job;
}

/** A job as it stands in the file, as it is to be, and the event that ended it. */
export interface JobUpdate {
  readonly before: Placed;
  readonly job: Job;
  readonly finalSeq: number | null;
}

export function toJob(row: JobRow, parentId: string | null, rootId: string): Job {
  const spec = row[7] as string | null;
  const total = row[28] as number;
  const error = row[36] as string | null;
  const ending = row[37] as string | null;
  return {
    id: row[1] as string, type: row[2] as string, parentId, rootId, ordinal: row[5] as number | null, depth: row[6] as number,
    spec: spec === null ? EMPTY_SPEC : parsed<JobSpec>(spec, `job ${String(row[1])}`), createdAt: row[8] as number,
    status: row[9] as JobStatus, gate: row[10] as Gate, priority: row[13] as number, dueAt: row[14] as number | null,
    startedAt: row[15] as number | null, endedAt: row[16] as number | null, expiresAt: row[17] as number | null,
    deadlineAt: row[18] as number | null, attempt: row[19] as number, failures: row[20] as number,
    interruptions: row[21] as number, crashes: row[22] as number, attemptStartedAt: row[23] as number | null,
    claimedAt: row[24] as number | null, leaseUntil: row[25] as number | null, leaseEpoch: row[26] as number,
    worker: row[27] as string | null,
    children: total === 0 ? NO_CHILDREN : {
      total, open: row[29] as number, waiting: row[30] as number, completed: row[31] as number, failed: row[32] as number, cancelled: row[33] as number,
    },
    progress: row[34] as number | null, logBytes: row[35] as number, error: error === null ? null : parsed(error, `the error of job ${String(row[1])}`),
    ending: ending === null ? null : parsed(ending, `the end of job ${String(row[1])}`),
  };
}

const specText = (spec: JobSpec): string | null => {
  for (const _ in spec) return JSON.stringify(spec);
  return null;
};

type Cell = string | number | null;

/** Rows that one statement writes. */
interface Group {
  /** Indices into `columns`. */
  readonly changed: readonly number[];
  readonly values: readonly Cell[];
  /** `finalSeq` changes too: it is that of the first key, the next key's is one more. */
  readonly ended: boolean;
  readonly finalSeq: number | null;
  readonly keys: number[];
}

/** ready and alarm_at also move with time alone, so they are always set. */
const isSet = (i: number, old: readonly Cell[], next: readonly Cell[]): boolean => next[i] !== old[i] || i === READY_COLUMN || i === ALARM_COLUMN;

function groupOf(old: readonly Cell[], next: readonly Cell[], ended: boolean, finalSeq: number | null): Group {
  const changed = columns.flatMap((_, i) => (isSet(i, old, next) ? [i] : []));
  return { changed, values: changed.map((i) => next[i] ?? null), ended, finalSeq, keys: [] };
}

/** Would this row's own group be this one? Neighbours nearly always say yes, and are spared making a name. */
function fits(group: Group, old: readonly Cell[], next: readonly Cell[], ended: boolean, finalSeq: number | null): boolean {
  if (group.ended !== ended || (ended && finalSeq !== (group.finalSeq ?? 0) + group.keys.length)) return false;
  let at = 0;
  for (let i = 0; i < next.length; i++) {
    if (!isSet(i, old, next)) continue;
    if (group.changed[at] !== i || group.values[at] !== next[i]) return false;
    at++;
  }
  return at === group.changed.length;
}

/** The keys as runs of neighbours; `at` is where in the list a run begins. */
function runsOf(keys: readonly number[]): { readonly at: number; readonly first: number; last: number }[] {
  const runs: { readonly at: number; readonly first: number; last: number }[] = [];
  for (const [at, key] of keys.entries()) {
    const run = runs.at(-1);
    if (run !== undefined && key === run.last + 1) run.last = key;
    else runs.push({ at, first: key, last: key });
  }
  return runs;
}

export class JobTable {
  readonly #insert; readonly #updateSpec; readonly #byId; readonly #byKey;
  readonly #ready; readonly #due; readonly #leased; readonly #insertTag; readonly #dropTags; readonly #setAside;
  readonly #db: Database.Database;
  readonly #policies: Policies;
  /** UPDATE statements by what they set; as many as there are kinds of transition (about thirty). */
  readonly #updates = new Map<string, Database.Statement>();
  #nextKey = 1;

  constructor(db: Database.Database, policies: Policies) {
    this.#db = db;
    this.#policies = policies;
    this.reload();
    this.#insert = db.prepare(INSERT);
    this.#updateSpec = db.prepare(UPDATE_SPEC);
    this.#byId = db.prepare(HOT_JOB_SQL.byId).raw(true);
    this.#byKey = db.prepare(HOT_JOB_SQL.byKey).raw(true);
    this.#ready = db.prepare(READY).raw(true);
    this.#due = db.prepare(DUE).pluck();
    this.#leased = db.prepare(LEASED).pluck();
    this.#insertTag = db.prepare('INSERT OR IGNORE INTO job_tag (tag, job_key) VALUES (?, ?)');
    this.#setAside = db.prepare('UPDATE job SET ready = 0, alarm_at = NULL, lease_until = NULL, worker = NULL WHERE key = ?');
    this.#dropTags = db.prepare('DELETE FROM job_tag WHERE job_key = ?');
  }

  rowById(id: string): JobRow | undefined { return this.#byId.get(id) as JobRow | undefined; }
  rowByKey(key: number): JobRow | undefined { return this.#byKey.get(key) as JobRow | undefined; }
  /** Ready jobs with their inputs and the inputs' checksums as the last two columns. */
  readyRows(type: string, limit: number): JobRow[] { return this.#ready.all(type, limit) as JobRow[]; }
  dueKeys(now: number, limit: number): number[] { return this.#due.all(now, limit) as number[]; }
  leasedKeys(worker: string, limit: number): number[] { return this.#leased.all(worker, limit) as number[]; }

  /** A row that cannot be read any more is in nobody's way then; whoever asks for it is told what it is. */
  setAside(key: number): void { this.#setAside.run(key); }

  /**
   * After a rollback, and at the start. Keys are given here so that a root knows its own before it is written, and none twice in
   * one process: readers remember which job a key stood for, also when that job was the newest and was deleted.
   */
  reload(): void { this.#nextKey = Math.max(this.#nextKey, Number(this.#db.prepare(NEWEST).pluck().get() ?? 0) + 1); }

  insert(job: Job, parent: Placed | null, now: number): Placed {
    const key = this.#nextKey++;
    const rootKey = parent?.rootKey ?? key;
    const c = job.children;
    this.#insert.run(
      key, job.id, job.type, parent?.key ?? null, rootKey, job.ordinal, job.depth, specText(job.spec), job.createdAt, job.status, job.gate,
      isReady(job, now) ? 1 : 0, alarmAt(job, now, null), job.priority, job.dueAt, job.expiresAt, job.deadlineAt, c.total, c.open, c.waiting,
    );
    this.#tag(key, job.spec.tags);
    return { key, parentKey: parent?.key ?? null, rootKey, finalSeq: null, job };
  }

  /** Writes jobs that are in the file; rows that change alike share a statement. */
  update(changes: Iterable<JobUpdate>, now: number): void {
    const groups: Group[] = [];
    const byName = new Map<string, Group>();
    let last: Group | undefined;
    for (const { before, job, finalSeq } of changes) {
      const old = this.#mutable(before.job, now);
      const next = this.#mutable(job, now);
      const ended = finalSeq !== before.finalSeq;
      if (last === undefined || !fits(last, old, next, ended, finalSeq)) {
        const group = groupOf(old, next, ended, finalSeq);
        const name = `${group.changed.join()}=${group.values.join('\u0000')}`;
        last = ended ? undefined : byName.get(name);
        if (last === undefined) {
          groups.push((last = group));
          if (!ended) byName.set(name, group);
        }
      }
      last.keys.push(before.key);
      if (job.spec !== before.job.spec) this.#setSpec(before.key, job.spec);
    }
    for (const group of groups) this.#writeGroup(group);
  }

  #writeGroup({ changed, values, ended, finalSeq, keys }: Group): void {
    const runs = runsOf(keys);
    if (runs.length > 1 && keys.length < runs.length * RUN_MIN) {
      const list = `[${keys.join()}]`;
      if (ended) this.#prepared(endList(changed)).run(...values, finalSeq, list);
      else this.#prepared(updateList(changed)).run(...values, list);
      return;
    }
    for (const { at, first, last } of runs) {
      if (ended) this.#prepared(endRun(changed)).run(...values, finalSeq === null ? null : finalSeq + at - first, first, last);
      else this.#prepared(updateRun(changed)).run(...values, first, last);
    }
  }

  #prepared(sql: string): Database.Statement {
    let statement = this.#updates.get(sql);
    if (statement === undefined) this.#updates.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  #setSpec(key: number, spec: JobSpec): void {
    this.#updateSpec.run(specText(spec), key);
    this.#dropTags.run(key);
    this.#tag(key, spec.tags);
  }

  #tag(key: number, tags: readonly string[] | undefined): void {
    if (tags !== undefined) for (const tag of tags) this.#insertTag.run(tag, key);
  }

  #mutable(job: Job, now: number): Cell[] {
    const c = job.children;
    const timeout = job.leaseUntil === null ? null : timeoutOf(job, policyOf(this.#policies, job.type));
    return [
      job.status, job.gate, isReady(job, now) ? 1 : 0, alarmAt(job, now, timeout), job.priority, job.dueAt, job.startedAt, job.endedAt,
      job.expiresAt, job.deadlineAt, job.attempt, job.failures, job.interruptions, job.crashes, job.attemptStartedAt,
      job.claimedAt, job.leaseUntil, job.leaseEpoch, job.worker, c.total, c.open, c.waiting, c.completed, c.failed,
      c.cancelled, job.progress, job.logBytes, job.error === null ? null : JSON.stringify(job.error),
      job.ending === null ? null : JSON.stringify(job.ending),
    ];
  }
}
