// The checker of what stands beside jobs: a sound file passes, and each invariant, broken by hand in a copy, is named.
import Database from 'better-sqlite3';
import { copyFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Keep, OutputChunk } from '../../src/domain/commands.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import { FakeClock } from '../support/clock.ts';
import { plan, POLICIES } from '../support/make.ts';
import { MINUTE, Minutely } from '../support/schedules.ts';
import { Bench, tempFolder } from '../support/store.ts';
import { checkDatabase, openReadOnly, readPicture } from './check.ts';

const folder = tempFolder();
const good = folder.file('good.db');
let copies = 0;

const chunk = (offset: number, text: string): OutputChunk => ({ stream: 'stdout', offset, count: 1, bytes: Buffer.from(text) });
const keep = (more: Partial<Keep>): Keep => ({ chunks: [], trim: null, totals: { bytes: 0, lines: 0, droppedBytes: 0, droppedLines: 0 }, mark: '{}', facts: null, ...more });

beforeAll(async () => {
  const clock = new FakeClock();
  const store = await openStore({ path: good, clock, policies: POLICIES, writer: 'inline' });
  const bench = new Bench(store, clock);
  const { id: talker } = (await bench.submit(plan({ secret: '{"TOKEN":"x"}' })));
  const claim = (await bench.claim())[0]!;
  const put = (one: Keep) => bench.run({ kind: 'keep', jobId: talker, epoch: claim.epoch, keep: one });
  await put(keep({ chunks: [chunk(0, 'head\n'), chunk(1, 'lost\n')], totals: { bytes: 10, lines: 2, droppedBytes: 0, droppedLines: 0 } }));
  // The second piece goes for the third: as the cap has it.
  await put(keep({ chunks: [chunk(2, 'tail\n')], trim: { head: 1, count: 1 }, totals: { bytes: 15, lines: 3, droppedBytes: 5, droppedLines: 1 } }));
  await put(keep({ totals: { bytes: 15, lines: 3, droppedBytes: 5, droppedLines: 1 }, gap: '{"reason":"output_cap","bytes":5,"lineCount":1}' }));
  await bench.done(claim);

  const minutely = new Minutely(bench);
  const { id: schedule } = await minutely.add();
  for (let i = 0; i < 3; i++) await minutely.pass(schedule, MINUTE);
  const [first, second] = await bench.claim();
  await bench.done(first!);
  await bench.fail(second!);
  await store.close();
});
afterAll(() => folder.remove());

/** A copy of the file, changed, as the checker sees it. */
function check(change: string): string {
  const path = folder.file(`copy${(copies += 1)}.db`);
  copyFileSync(good, path);
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma('ignore_check_constraints = ON');
  if (change !== '') db.exec(change);
  db.close();
  const file = openReadOnly(path);
  try {
    return checkDatabase(file, readPicture(file)).join('\n');
  } finally {
    file.close();
  }
}

describe('a file', () => {
  it('that the store wrote is sound, and has what is looked for', () => {
    expect(check('')).toBe('');
    const file = openReadOnly(good);
    expect(file.prepare("SELECT (SELECT count(*) FROM output), (SELECT count(*) FROM kept), (SELECT count(*) FROM event WHERE type = 'job:gap'), (SELECT group_concat(status) FROM schedule_run)").raw().get()).toEqual([2, 1, 1, 'completed,failed,running']);
    file.close();
  });

  const first = '(SELECT min(nominal_at) FROM schedule_run)';
  const CASES: readonly [string, () => string, RegExp][] = [
    ['a piece of output is gone', () => 'DELETE FROM output WHERE seq = (SELECT max(seq) FROM output)', /I11: .* 15 bytes were printed and 5 dropped, and 5 are there/],
    ['a piece was dropped and is there', () => "UPDATE kept SET dropped_bytes = 10", /I11: .* 10 dropped, and 10 are there/],
    ['a piece stands at an event that speaks of another', () => "UPDATE output SET bytes = x'6162', sum = 0 WHERE seq = (SELECT max(seq) FROM output)", /I11: output \d+ stands at job:log/],
    ['a piece stands at no event of its job', () => 'UPDATE output SET seq = 1 WHERE seq = (SELECT max(seq) FROM output)', /I11: output 1 stands at/],
    ['a gap tells of too little', () => `UPDATE event SET data = '{"reason":"output_cap","bytes":4,"lineCount":1}', sum = 0 WHERE type = 'job:gap'`, /I11: .* its last gap says .*"bytes":4/],
    ['a gap tells of too much', () => `UPDATE event SET data = '{"reason":"output_cap","bytes":6,"lineCount":1}', sum = 0 WHERE type = 'job:gap'`, /I11: .* a gap tells of 6 bytes/],
    ['what was dropped is told by no gap', () => "UPDATE event SET type = 'job:log' WHERE type = 'job:gap'", /I11: .* its last gap says null/],
    ['an event tells of bytes that nobody printed', () => "UPDATE kept SET bytes = 12, dropped_bytes = 2", /I11: .* its events tell of 15 bytes/],
    ['nothing says how far output was read', () => 'DELETE FROM kept', /I11: 1 jobs have output/],
    ['a secret outlives its job', () => 'UPDATE secret SET job_key = 999', /I11: 1 rows of secret belong to no job/],
    ['printed bytes have a flipped bit', () => "UPDATE output SET bytes = x'6865616509' WHERE seq = (SELECT min(seq) FROM output)", /I13: 1 rows of output/],
    ['a secret has a flipped bit', () => "UPDATE secret SET body = '{}'", /I13: 1 rows of secret/],
    ['a template has a flipped bit', () => "UPDATE schedule_template SET body = '{}'", /I13: 1 rows of schedule_template/],
    ['an instant was served twice', () => `UPDATE job SET spec = json_set(spec, '$.schedule.at', ${first}) WHERE spec ->> '$.schedule.id' IS NOT NULL`, /I10: TWICE: schedule /],
    ['a job has no run', () => `UPDATE schedule_run SET job_id = 'job_other' WHERE nominal_at = ${first}`, /I10: .* no run names job/],
    ['a run names a job of another instant', () => `UPDATE schedule_run SET nominal_at = nominal_at + 1 WHERE nominal_at = ${first}`, /I10: .* which says it is of/],
    ['a run goes on and its job has ended', () => `UPDATE schedule_run SET status = 'running', ended_at = NULL WHERE nominal_at = ${first}`, /I10: .* is running, and job .* is completed/],
    ['a counter of a schedule is off', () => 'UPDATE schedule SET open = open - 1, completed = completed + 1', /I10: .* a recount gives/],
    ['a schedule says not what it makes', () => 'DELETE FROM schedule_template', /I10: .* nothing says what it makes/],
    ['the tally of schedules is off', () => "UPDATE schedule_count SET n = 7 WHERE name = 'schedules_active'", /I10: schedule_count says 7 are active/],
  ];
  for (const [what, change, sign] of CASES) it(`is found out when ${what}`, () => { expect(check(change())).toMatch(sign); });
});
