// What SQLite does for the hot statements and the list filter: no scan of a table that grows.
import type Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newJobId } from '../../../src/store/sqlite/ids.ts';
import { openCore } from '../../../src/store/sqlite/core.ts';
import { HOT_KEEP_SQL } from '../../../src/store/sqlite/keep-tables.ts';
import { HOT_OUTPUT_SQL } from '../../../src/store/sqlite/output.ts';
import { HOT_GRANT_SQL } from '../../../src/store/sqlite/grant-table.ts';
import { HOT_JOB_SQL } from '../../../src/store/sqlite/job-table.ts';
import { listSql } from '../../../src/store/sqlite/list.ts';
import { childrenSql, HOT_READ_SQL } from '../../../src/store/sqlite/reader.ts';
import { HOT_SCHEDULE_READ_SQL } from '../../../src/store/sqlite/schedule-reader.ts';
import { HOT_SCHEDULE_SQL } from '../../../src/store/sqlite/schedule-table.ts';
import { HOT_SET_SQL } from '../../../src/store/sqlite/sets.ts';
import type { JobFilter } from '../../../src/store/store.ts';
import { START } from '../../support/clock.ts';
import { batch, leaves, POLICIES } from '../../support/make.ts';

let core: ReturnType<typeof openCore>;
let db: Database.Database;

beforeAll(() => {
  core = openCore(':memory:', POLICIES, 'FULL', { newId: newJobId });
  core.committer.commit([{ command: { kind: 'submit', jobs: [batch(leaves(5)), ...leaves(5)] }, now: START }]);
  db = core.db;
});
afterAll(() => core.close());

/** Something for each of a statement's parameters. */
function paramsOf(sql: string): unknown[] {
  const names = [...new Set([...sql.matchAll(/@(\w+)/g)].map((match) => match[1]!))];
  return names.length > 0 ? [Object.fromEntries(names.map((name) => [name, 1]))] : Array.from({ length: sql.split('?').length - 1 }, () => 1);
}
function planOf(sql: string): string[] {
  return (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...paramsOf(sql)) as { detail: string }[]).map((row) => row.detail);
}

/** The steps of SQLite's virtual machine: a `Next` is a loop. */
const program = (sql: string): string[] => (db.prepare(`EXPLAIN ${sql}`).all(...paramsOf(sql)) as { opcode: string }[]).map((row) => row.opcode);

/** A scan of job, event, input, attempt or a key, under any of their aliases. Lists in parameters and what a query made itself may be scanned. */
const scans = (plan: readonly string[]): string[] => plan.filter((step) => /^SCAN (job|event|input|attempt|job_tag|idempotency|schedule\w*|[jecip])\b/.test(step));

test.each(Object.entries({ ...HOT_JOB_SQL, ...HOT_READ_SQL, ...HOT_SET_SQL, ...HOT_KEEP_SQL, ...HOT_OUTPUT_SQL, ...HOT_SCHEDULE_SQL, ...HOT_SCHEDULE_READ_SQL, ...HOT_GRANT_SQL }))('%s scans nothing', (_, sql) => {
  const plan = planOf(sql);
  expect(plan.length).toBeGreaterThan(0);
  expect(scans(plan)).toEqual([]);
});

test('the claim, the sweep and the next alarm read their own index, in its order', () => {
  expect(planOf(HOT_JOB_SQL.READY).join()).toMatch(/job_next_ready/);
  expect(planOf(HOT_JOB_SQL.READY).join()).not.toMatch(/TEMP B-TREE/);
  for (const sql of [HOT_JOB_SQL.DUE, HOT_READ_SQL.alarm]) expect(planOf(sql).join()).toMatch(/job_next_alarm/);
  expect(planOf(HOT_SET_SQL.ADMIT).join()).toMatch(/job_next_child/);
  expect(planOf(HOT_SET_SQL.UNGATE).join()).toMatch(/job_gated/);
  expect(planOf(HOT_READ_SQL.eventsOfTree).join()).toMatch(/event_of_tree/);
  expect(planOf(HOT_READ_SQL.eventsOfChild).join()).toMatch(/event_of_child/);
  expect(planOf(HOT_READ_SQL.eventsAbove)).toContainEqual(expect.stringMatching(/event_of_tree \(root_key=\? AND seq>/));
  expect(sorts(planOf(HOT_READ_SQL.eventsAbove))).toEqual([]);
});

/** A sort of what was found: SQLite leaves each run of an index early where every run is in the page's order. */
const sorts = (plan: readonly string[]): string[] => plan.filter((step) => /TEMP B-TREE/.test(step));

describe('the list', () => {
  test.each<[JobFilter, RegExp, few?: boolean]>([
    [{}, /INTEGER PRIMARY KEY/], [{ text: 'x' }, /INTEGER PRIMARY KEY/],
    [{ status: ['failed'] }, /job_by_kind/], [{ status: ['failed', 'queued'] }, /job_by_kind/], [{ type: 't' }, /job_by_kind/], [{ type: 't', status: ['failed'] }, /job_by_kind/], [{ status: ['failed'], text: 'x' }, /job_by_kind/],
    [{ parentId: 'p' }, /job_children/], [{ parentId: 'p', status: ['failed'], type: 't', tag: 't', rootId: 'r' }, /job_children/], [{ parentId: 'p', text: 'x' }, /job_children/],
    [{ rootId: 'r' }, /job_of_tree/], [{ rootId: 'r', status: ['failed'], type: 't', tag: 't' }, /job_of_tree/], [{ rootId: 'r', text: 'x' }, /job_of_tree/],
    [{ tag: 't' }, /t USING PRIMARY KEY \(tag=/], [{ tag: 't', status: ['failed'], type: 't' }, /t USING PRIMARY KEY \(tag=/], [{ tag: 't', text: 'x' }, /t USING PRIMARY KEY \(tag=/],
    [{ parentId: 'p', status: ['failed'] }, /job_by_kind/, true], [{ rootId: 'r', status: ['failed'] }, /job_by_kind/, true], [{ tag: 't', status: ['failed'] }, /job_by_kind/, true],
  ])('by %j reads %s in its order', (filter, index, few = false) => {
    const { sql } = listSql(filter, filter.parentId === undefined ? undefined : 1, filter.rootId === undefined ? undefined : 1, null, 50, few);
    const plan = planOf(sql);
    expect(scans(plan)).toEqual([]);
    expect(plan.join()).toMatch(index);
    expect(plan.join()).toMatch(/SEARCH [jt] USING (?!INTEGER PRIMARY KEY \(rowid=\?\))/); // what leads is a range, not one row after the other
    if (!index.source.includes('kind')) expect(sorts(plan)).toEqual([]);
    else expect(plan.join()).toMatch(/job_by_kind \(type=\? AND status=\? AND key[<>]/);
  });

  test('children by status are led by the parent, or by the status where few have it', () => {
    expect(planOf(childrenSql(null, false))[0]).toMatch(/job_children \(parent_key=\? AND ordinal>/);
    expect(planOf(childrenSql(['failed'], false))[0]).toMatch(/job_children \(parent_key=\? AND ordinal>/);
    expect(planOf(childrenSql(['failed'], true))[0]).toMatch(/job_by_kind \(type=\? AND status=/);
  });
});

test('what a dead process left is found by status, what a delete removes by its tree', () => {
  expect(planOf(HOT_JOB_SQL.LEASED)[0]).toMatch(/job_by_kind \(type=\? AND status=\?\)/);
  expect(planOf(HOT_SET_SQL['REMOVE events' as keyof typeof HOT_SET_SQL])[0]).toMatch(/event_of_tree/);
});

test('what is due of schedules is read off its own index, an instant off the key of its run', () => {
  for (const sql of [HOT_SCHEDULE_READ_SQL.DUE, HOT_SCHEDULE_READ_SQL.NEXT]) expect(planOf(sql).join()).toMatch(/schedule_next_due/);
  expect(planOf(HOT_SCHEDULE_READ_SQL.RUNS).join()).toMatch(/PRIMARY KEY \(schedule_key=\? AND nominal_at</);
  expect(planOf(HOT_SCHEDULE_SQL.nextBuffered).join()).toMatch(/schedule_run_buffered/);
  expect(planOf(HOT_SCHEDULE_SQL.openJobs).join()).toMatch(/schedule_run_open/);
  expect(planOf(HOT_SCHEDULE_READ_SQL.byStatus).join()).toMatch(/schedule_by_status/);
  expect(planOf(HOT_SCHEDULE_READ_SQL.byClient).join()).toMatch(/schedule_by_client/);
  for (const sql of Object.values({ ...HOT_SCHEDULE_SQL, ...HOT_SCHEDULE_READ_SQL, ...HOT_GRANT_SQL })) expect(sorts(planOf(sql))).toEqual([]);
});

test('the newest key and cursor are read off the end of their table', () => {
  for (const sql of [HOT_JOB_SQL.NEWEST, HOT_READ_SQL.lastSeq]) expect(program(sql)).not.toContain('Next');
});

test('neighbours are changed where they are found, without a table of their keys', () => {
  for (const sql of [HOT_JOB_SQL.UPDATE_RUN, HOT_JOB_SQL.END_RUN]) expect(program(sql)).not.toContain('OpenEphemeral');
});

test('this test sees a scan', () => {
  expect(scans(planOf('DELETE FROM event WHERE job_key IN (SELECT key FROM temp.cut)'))).toHaveLength(1);
  expect(sorts(planOf('SELECT id FROM job WHERE parent_key = 1 ORDER BY key'))).toHaveLength(1);
  expect(program('SELECT min(at) FROM event')).toContain('Next');
  expect(program(HOT_JOB_SQL.UPDATE_LIST)).toContain('OpenEphemeral');
  expect(scans(planOf("SELECT id FROM job WHERE worker = 'x' AND log_bytes > 5"))).toHaveLength(1);
  expect(scans(planOf('SELECT e.seq FROM event e WHERE e.at > 5'))).toHaveLength(1);
  expect(scans(planOf('SELECT id FROM schedule WHERE aimed_at > 5'))).toHaveLength(1);
});
