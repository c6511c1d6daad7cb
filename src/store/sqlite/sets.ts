// Set changes: what one statement can write for many rows. The rule is in the domain; here is only its reach.
import type Database from 'better-sqlite3';
import type { JobError } from '../../domain/job.ts';
import type { LeaseRef } from '../../domain/commands.ts';
import type { Tally } from './tally.ts';

// As domain/job.ts has it for a gate that opens. The alarm too: a wall clock that was set back has due times ahead that were past
// when the row was written.
const LOOK = `ready = (due_at IS NOT NULL AND due_at <= @now AND status IN ('queued','retry')),
    alarm_at = iif(due_at > @now AND status IN ('queued','retry'), min(coalesce(alarm_at, due_at), due_at), alarm_at)`;

// Everything open below the parent. Children of a cancelled job that lets its children go (onParentCancel "abandon") are not in it.
const COLLECT = (unstarted: boolean): string => `
  WITH RECURSIVE doomed(key) AS (
    SELECT key FROM job WHERE parent_key = @parent AND ended_at IS NULL
      ${unstarted ? "AND started_at IS NULL" : ''}
    UNION ALL
    SELECT c.key FROM doomed d JOIN job p ON p.key = d.key JOIN job c ON c.parent_key = p.key
    WHERE c.ended_at IS NULL AND coalesce(json_extract(p.spec, '$.onParentCancel'), 'cancel') = 'cancel'
  )
  INSERT INTO temp.cut (key, seq)
  SELECT j.key, @seq + row_number() OVER (ORDER BY j.depth DESC, j.key) FROM doomed CROSS JOIN job j USING (key)`;

const CUT_EVENTS = `
  INSERT INTO event (seq, job_key, root_key, at, type, data, sum)
  SELECT seq, key, root_key, @now, 'job:error', data, crc32(data) FROM (
    SELECT cut.seq, job.key, job.root_key,
      '{"status":"cancelled","state":"FAIL","attempt":' || job.attempt || ',"error":' || @error || '}' AS data
    FROM temp.cut CROSS JOIN job USING (key)) ORDER BY seq`;
const LET_GO = `
  UPDATE job SET gate = 'open', ${LOOK}
  WHERE ended_at IS NULL AND gate <> 'open' AND key NOT IN (SELECT key FROM temp.cut)
    AND parent_key IN (SELECT key FROM temp.cut)`;
// A cancelled batch's open children are cancelled with it, unless it let them go.
const CUT_JOBS = `
  UPDATE job SET status = 'cancelled', ended_at = @now, ready = 0, gate = 'open', alarm_at = NULL, lease_until = NULL, worker = NULL,
    ending = NULL, error = @error, final_seq = (SELECT seq FROM temp.cut WHERE cut.key = job.key),
    child_cancelled = child_cancelled + iif(coalesce(json_extract(spec, '$.onParentCancel'), 'cancel') = 'cancel', child_open, 0),
    child_open = iif(coalesce(json_extract(spec, '$.onParentCancel'), 'cancel') = 'cancel', 0, child_open),
    child_waiting = 0
  WHERE key IN (SELECT key FROM temp.cut)`;
const CUT_PARENT = `
  UPDATE job SET child_open = child_open - @n, child_cancelled = child_cancelled + @n, child_waiting = child_waiting - @waiting WHERE key = @parent`;
// The plus and CROSS JOIN keep SQLite from starting at all the failed jobs there ever were: 31 s became 12 ms.
const REOPEN = `
  WITH RECURSIVE again(key) AS (
    SELECT key FROM job WHERE parent_key = @parent AND +status IN ('failed','cancelled')
    UNION ALL
    SELECT c.key FROM again a CROSS JOIN job c ON c.parent_key = a.key WHERE +c.status IN ('failed','cancelled')
  )
  INSERT INTO temp.cut (key, seq)
  SELECT j.key, @seq + row_number() OVER (ORDER BY j.depth, j.key) FROM again CROSS JOIN job j USING (key)`;
const REOPEN_ATTEMPTS = `
  INSERT OR IGNORE INTO attempt (job_key, number, outcome, started_at, ended_at, error, worker)
  SELECT key, attempt, iif(status = 'cancelled', 'cancelled', 'failed'), attempt_started_at, max(ended_at, attempt_started_at), error, NULL
  FROM job WHERE key IN (SELECT key FROM temp.cut) AND attempt_started_at IS NOT NULL`;
const REOPEN_JOBS = `
  UPDATE job SET status = 'queued', gate = 'parent', due_at = @now, ended_at = NULL, started_at = NULL, attempt_started_at = NULL, error = NULL,
    failures = 0, interruptions = 0, crashes = 0, progress = NULL, final_seq = NULL,
    expires_at = @now + json_extract(spec, '$.ttl'), deadline_at = @now + json_extract(spec, '$.deadline'),
    child_open = child_open + child_failed + child_cancelled, child_waiting = child_failed + child_cancelled, child_failed = 0, child_cancelled = 0,
    alarm_at = min(coalesce(@now + json_extract(spec, '$.ttl'), @now + json_extract(spec, '$.deadline')),
                   coalesce(@now + json_extract(spec, '$.deadline'), @now + json_extract(spec, '$.ttl')))
  WHERE key IN (SELECT key FROM temp.cut)`;
const REOPEN_EVENTS = `
  INSERT INTO event (seq, job_key, root_key, at, type, data, sum)
  SELECT seq, key, root_key, @now, 'job:status', data, crc32(data) FROM (
    SELECT cut.seq, job.key, job.root_key, '{"status":"queued","state":"PENDING","attempt":' || job.attempt || ',"reason":"retry"}' AS data
    FROM temp.cut CROSS JOIN job USING (key)) ORDER BY seq`;
const REOPEN_PARENT = `
  UPDATE job SET child_open = child_open + child_failed + child_cancelled, child_waiting = child_waiting + child_failed + child_cancelled,
    child_failed = 0, child_cancelled = 0 WHERE key = @parent`;
const ADMIT = `
  UPDATE job SET gate = 'open', ${LOOK}
  WHERE key IN (SELECT key FROM job WHERE parent_key = @parent AND gate = 'parent' ORDER BY ordinal LIMIT @count)`;
const UNGATE = `
  UPDATE job SET gate = 'open', ${LOOK}
  WHERE root_key = @root AND gate = 'ancestor'`;
const UNGATE_AROUND = UNGATE.replace('@root', '(SELECT root_key FROM job WHERE key = @parent)');
const TREE = `WITH RECURSIVE tree(key) AS (SELECT @root UNION ALL SELECT c.key FROM tree CROSS JOIN job c ON c.parent_key = tree.key)
  INSERT INTO temp.cut (key, seq) SELECT key, 0 FROM tree`;
// Only roots are removed, and every event names its root. By job_key this read the whole log: that index is for children only.
const REMOVE = {
  events: 'DELETE FROM event WHERE root_key = @root',
  output: 'DELETE FROM output WHERE job_key IN (SELECT key FROM temp.cut)',
  kept: 'DELETE FROM kept WHERE job_key IN (SELECT key FROM temp.cut)',
  secrets: 'DELETE FROM secret WHERE job_key IN (SELECT key FROM temp.cut)',
  attempts: 'DELETE FROM attempt WHERE job_key IN (SELECT key FROM temp.cut)',
  inputs: 'DELETE FROM input WHERE job_key IN (SELECT key FROM temp.cut)',
  tags: 'DELETE FROM job_tag WHERE job_key IN (SELECT key FROM temp.cut)',
  unlink: 'UPDATE job SET parent_key = NULL, ordinal = NULL WHERE key IN (SELECT key FROM temp.cut)',
  jobs: 'DELETE FROM job WHERE key IN (SELECT key FROM temp.cut)',
};
// CROSS JOIN keeps the order written: SQLite would rather read every job there is and look each up among the few that are cut.
const TREE_OPEN = `WITH RECURSIVE tree(key) AS (SELECT ? UNION ALL SELECT c.key FROM tree CROSS JOIN job c ON c.parent_key = tree.key)
  SELECT EXISTS (SELECT 1 FROM tree CROSS JOIN job USING (key) WHERE ended_at IS NULL)`;
const CUT_FACTS = `SELECT count(*) AS events, count(*) FILTER (WHERE parent_key = ?) AS direct,
  count(*) FILTER (WHERE parent_key = ? AND gate = 'parent') AS waiting FROM temp.cut CROSS JOIN job USING (key)`;
const CUT_REVOKED = 'SELECT id AS jobId, lease_epoch AS epoch FROM temp.cut CROSS JOIN job USING (key) WHERE lease_until IS NOT NULL';
const CUT_CALLBACKS = "SELECT id FROM temp.cut CROSS JOIN job USING (key) WHERE json_extract(spec, '$.callback') IS NOT NULL";
const MOVED = 'SELECT type, status, count(*) AS n FROM temp.cut CROSS JOIN job USING (key) GROUP BY type, status';

export const HOT_SET_SQL = {
  ADMIT, UNGATE, UNGATE_AROUND, LET_GO, TREE, TREE_OPEN, MOVED, COLLECT_ALL: COLLECT(false), COLLECT_UNSTARTED: COLLECT(true), CUT_FACTS, CUT_REVOKED, CUT_CALLBACKS,
  CUT_EVENTS, CUT_JOBS, CUT_PARENT, REOPEN, REOPEN_ATTEMPTS, REOPEN_JOBS, REOPEN_EVENTS, REOPEN_PARENT,
  ...Object.fromEntries(Object.entries(REMOVE).map(([name, sql]) => [`REMOVE ${name}`, sql])),
};

/** What a set change did, for the answer and for follow-ups. */
export interface SetEffect {
  readonly events: number;
  readonly revoked: readonly LeaseRef[];
  /** Ended jobs that have a callback to make. */
  readonly callbacks: readonly string[];
}

export class Sets {
  readonly #db: Database.Database;
  readonly #tally: Tally;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(db: Database.Database, tally: Tally) {
    this.#db = db;
    this.#tally = tally;
    db.exec('CREATE TEMP TABLE IF NOT EXISTS cut (key INTEGER PRIMARY KEY, seq INTEGER NOT NULL)');
  }

  admit(parent: number, count: number, now: number): void {
    this.#run(ADMIT, { parent, now, count: Number.isFinite(count) ? count : -1 });
  }

  ungate(root: number, now: number): void {
    this.#run(UNGATE, { root, now });
  }

  cut(parent: number, scope: 'all' | 'unstarted', error: JobError, seq: number, now: number): SetEffect {
    this.#clear();
    this.#run(COLLECT(scope === 'unstarted'), { parent, seq });
    const facts = this.#prepare(CUT_FACTS).get(parent, parent) as { events: number; direct: number; waiting: number };
    if (facts.events === 0) return { events: 0, revoked: [], callbacks: [] };
    const revoked = this.#prepare(CUT_REVOKED).all() as LeaseRef[];
    const callbacks = this.#prepare(CUT_CALLBACKS).pluck().all() as string[];
    const text = JSON.stringify(error);
    this.#moved('cancelled');
    this.#run(CUT_EVENTS, { now, error: text });
    this.#run(LET_GO, { now });
    this.#run(CUT_JOBS, { now, error: text });
    // What was let go, at any depth, no longer waits for a pause above the cut; what still must is put aside again by its next claim.
    this.#run(UNGATE_AROUND, { parent, now });
    this.#run(CUT_PARENT, { parent, n: facts.direct, waiting: facts.waiting });
    return { events: facts.events, revoked, callbacks };
  }

  reopen(parent: number, seq: number, now: number): SetEffect {
    this.#clear();
    const events = this.#run(REOPEN, { parent, seq });
    this.#run(REOPEN_ATTEMPTS, {});
    this.#moved('queued');
    this.#run(REOPEN_JOBS, { now });
    this.#run(REOPEN_EVENTS, { now });
    this.#run(REOPEN_PARENT, { parent });
    return { events, revoked: [], callbacks: [] };
  }

  remove(root: number): void {
    this.#clear();
    this.#run(TREE, { root });
    this.#moved(null);
    this.#run(REMOVE.events, { root });
    for (const sql of [REMOVE.output, REMOVE.kept, REMOVE.secrets, REMOVE.attempts, REMOVE.inputs, REMOVE.tags, REMOVE.unlink, REMOVE.jobs]) this.#run(sql, {});
  }

  treeOpen(root: number): boolean {
    return this.#prepare(TREE_OPEN).pluck().get(root) === 1;
  }

  #moved(to: string | null): void {
    const rows = this.#prepare(MOVED).all() as { type: string; status: string; n: number }[];
    for (const { type, status, n } of rows) this.#tally.move(type, status, to, n);
  }

  #clear(): void { this.#run('DELETE FROM temp.cut', {}); }

  #prepare(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  #run(sql: string, params: object): number { return this.#prepare(sql).run(params).changes; }
}
