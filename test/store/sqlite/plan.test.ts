// What SQLite does for the hot statements and the list filter: no scan of a table that grows.
import type Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newJobId } from '../../../src/store/sqlite/ids.ts';
import { openCore } from '../../../src/store/sqlite/core.ts';
import { HOT_JOB_SQL } from '../../../src/store/sqlite/job-table.ts';
import { listSql } from '../../../src/store/sqlite/list.ts';
import { HOT_READ_SQL } from '../../../src/store/sqlite/reader.ts';
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

function planOf(sql: string): string[] {
  const names = [...new Set([...sql.matchAll(/@(\w+)/g)].map((match) => match[1]!))];
  const params = names.length > 0 ? [Object.fromEntries(names.map((name) => [name, 1]))] : Array.from({ length: sql.split('?').length - 1 }, () => 1);
  return (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...params) as { detail: string }[]).map((row) => row.detail);
}

/** A scan of job, event, input, attempt or a key, under any of their aliases. Lists in parameters and what a query made itself may be scanned. */
const scans = (plan: readonly string[]): string[] => plan.filter((step) => /^SCAN (job|event|input|attempt|job_tag|idempotency|[jecip])\b/.test(step));

test.each(Object.entries({ ...HOT_JOB_SQL, ...HOT_READ_SQL, ...HOT_SET_SQL }))('%s scans nothing', (_, sql) => {
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
});

describe('the list', () => {
  test.each<[JobFilter, RegExp]>([
    [{}, /INTEGER PRIMARY KEY/], [{ status: ['failed'] }, /job_by_status/], [{ type: 't' }, /job_by_type/], [{ parentId: 'p' }, /job_children/], [{ rootId: 'r' }, /job_of_tree/],
    [{ tag: 't' }, /job_tag/], [{ status: ['failed'], rootId: 'r' }, /job_of_tree|job_by_status/], [{ status: ['failed'], text: 'x' }, /job_by_status/],
  ])('by %j uses an index', (filter, index) => {
    const { sql } = listSql(filter, filter.parentId === undefined ? undefined : 1, filter.rootId === undefined ? undefined : 1, null, 50);
    const plan = planOf(sql);
    expect(scans(plan)).toEqual([]);
    expect(plan.join()).toMatch(index);
  });
});

test('this test sees a scan', () => {
  expect(scans(planOf("SELECT id FROM job WHERE worker = 'x' AND log_bytes > 5"))).toHaveLength(1);
  expect(scans(planOf('SELECT e.seq FROM event e WHERE e.at > 5'))).toHaveLength(1);
});
