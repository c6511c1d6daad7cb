// job rows: statements and mapping. `ready` and `alarm_at` are derived here on every write, and only here.
import type Database from 'better-sqlite3';
import { alarmAt, EMPTY_SPEC, isReady, type Job, type JobSpec, type JobStatus, type Gate, NO_CHILDREN } from '../../domain/job.ts';
import { type Policies, policyOf, timeoutOf } from '../../domain/policy.ts';

const MUTABLE = `status, gate, ready, alarm_at, priority, due_at, started_at, ended_at, expires_at, deadline_at, attempt,
  failures, interruptions, crashes, attempt_started_at, claimed_at, lease_until, lease_epoch, worker, child_total,
  child_open, child_waiting, child_completed, child_failed, child_cancelled, progress, log_bytes, error`;
const columns = MUTABLE.split(',').map((name) => name.trim());

const INSERT = `INSERT INTO job (id, type, parent_key, root_key, ordinal, depth, spec, created_at, ${MUTABLE})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ${columns.map(() => '?').join(', ')})`;
const ROOT_IS_SELF = 'UPDATE job SET root_key = key WHERE key = ?';
const UPDATE = `UPDATE job SET ${columns.map((name) => `${name} = ?`).join(', ')}, final_seq = ? WHERE key = ?`;
const UPDATE_SPEC = 'UPDATE job SET spec = ? WHERE key = ?';
export const JOB_COLUMNS = `key, id, type, parent_key, root_key, ordinal, depth, spec, created_at, ${MUTABLE}, final_seq`;
const READY = `SELECT key FROM job WHERE ready = 1 AND type = ? ORDER BY priority DESC, key LIMIT ?`;
const DUE = 'SELECT key FROM job WHERE alarm_at <= ? ORDER BY alarm_at LIMIT ?';
const LEASED = 'SELECT key FROM job WHERE worker = ? ORDER BY key LIMIT ?';

/** Statements the plan test reads: none may scan. */
export const HOT_JOB_SQL = {
  READY, DUE, LEASED, byId: `SELECT ${JOB_COLUMNS} FROM job WHERE id = ?`, byKey: `SELECT ${JOB_COLUMNS} FROM job WHERE key = ?`, UPDATE,
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

export function toJob(row: JobRow, parentId: string | null, rootId: string): Job {
  const spec = row[7] as string | null;
  const total = row[28] as number;
  const error = row[36] as string | null;
  return {
    id: row[1] as string, type: row[2] as string, parentId, rootId, ordinal: row[5] as number | null, depth: row[6] as number,
    spec: spec === null ? EMPTY_SPEC : (JSON.parse(spec) as JobSpec), createdAt: row[8] as number,
    status: row[9] as JobStatus, gate: row[10] as Gate, priority: row[13] as number, dueAt: row[14] as number | null,
    startedAt: row[15] as number | null, endedAt: row[16] as number | null, expiresAt: row[17] as number | null,
    deadlineAt: row[18] as number | null, attempt: row[19] as number, failures: row[20] as number,
    interruptions: row[21] as number, crashes: row[22] as number, attemptStartedAt: row[23] as number | null,
    claimedAt: row[24] as number | null, leaseUntil: row[25] as number | null, leaseEpoch: row[26] as number,
    worker: row[27] as string | null,
    children: total === 0 ? NO_CHILDREN : {
      total, open: row[29] as number, waiting: row[30] as number, completed: row[31] as number, failed: row[32] as number, cancelled: row[33] as number,
    },
    progress: row[34] as number | null, logBytes: row[35] as number, error: error === null ? null : JSON.parse(error),
  };
}

const specText = (spec: JobSpec): string | null => {
  for (const _ in spec) return JSON.stringify(spec);
  return null;
};

export class JobTable {
  readonly #insert; readonly #rootIsSelf; readonly #update; readonly #updateSpec; readonly #byId; readonly #byKey;
  readonly #ready; readonly #due; readonly #leased; readonly #insertTag; readonly #dropTags;
  readonly #policies: Policies;

  constructor(db: Database.Database, policies: Policies) {
    this.#policies = policies;
    this.#insert = db.prepare(INSERT);
    this.#rootIsSelf = db.prepare(ROOT_IS_SELF);
    this.#update = db.prepare(UPDATE);
    this.#updateSpec = db.prepare(UPDATE_SPEC);
    this.#byId = db.prepare(HOT_JOB_SQL.byId).raw(true);
    this.#byKey = db.prepare(HOT_JOB_SQL.byKey).raw(true);
    this.#ready = db.prepare(READY).pluck();
    this.#due = db.prepare(DUE).pluck();
    this.#leased = db.prepare(LEASED).pluck();
    this.#insertTag = db.prepare('INSERT OR IGNORE INTO job_tag (tag, job_key) VALUES (?, ?)');
    this.#dropTags = db.prepare('DELETE FROM job_tag WHERE job_key = ?');
  }

  rowById(id: string): JobRow | undefined { return this.#byId.get(id) as JobRow | undefined; }
  rowByKey(key: number): JobRow | undefined { return this.#byKey.get(key) as JobRow | undefined; }
  readyKeys(type: string, limit: number): number[] { return this.#ready.all(type, limit) as number[]; }
  dueKeys(now: number, limit: number): number[] { return this.#due.all(now, limit) as number[]; }
  leasedKeys(worker: string, limit: number): number[] { return this.#leased.all(worker, limit) as number[]; }

  insert(job: Job, parent: Placed | null, now: number): Placed {
    const { lastInsertRowid } = this.#insert.run(
      job.id, job.type, parent?.key ?? null, parent?.rootKey ?? 0, job.ordinal, job.depth, specText(job.spec), job.createdAt,
      ...this.#mutable(job, now),
    );
    const key = Number(lastInsertRowid);
    if (parent === null) this.#rootIsSelf.run(key);
    this.#tag(key, job.spec.tags);
    return { key, parentKey: parent?.key ?? null, rootKey: parent?.rootKey ?? key, finalSeq: null, job };
  }

  update(before: Placed, job: Job, finalSeq: number | null, now: number): Placed {
    this.#update.run(...this.#mutable(job, now), finalSeq, before.key);
    if (job.spec !== before.job.spec) {
      this.#updateSpec.run(specText(job.spec), before.key);
      this.#dropTags.run(before.key);
      this.#tag(before.key, job.spec.tags);
    }
    return { ...before, finalSeq, job };
  }

  #tag(key: number, tags: readonly string[] | undefined): void {
    if (tags !== undefined) for (const tag of tags) this.#insertTag.run(tag, key);
  }

  #mutable(job: Job, now: number): (string | number | null)[] {
    const c = job.children;
    const timeout = job.leaseUntil === null ? null : timeoutOf(job, policyOf(this.#policies, job.type));
    return [
      job.status, job.gate, isReady(job, now) ? 1 : 0, alarmAt(job, now, timeout), job.priority, job.dueAt, job.startedAt, job.endedAt,
      job.expiresAt, job.deadlineAt, job.attempt, job.failures, job.interruptions, job.crashes, job.attemptStartedAt,
      job.claimedAt, job.leaseUntil, job.leaseEpoch, job.worker, c.total, c.open, c.waiting, c.completed, c.failed,
      c.cancelled, job.progress, job.logBytes, job.error === null ? null : JSON.stringify(job.error),
    ];
  }
}
