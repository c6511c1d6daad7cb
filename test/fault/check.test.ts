// The checker itself: a sound history passes, and each invariant, broken by hand in a copy of the file, is named.
import Database from 'better-sqlite3';
import { copyFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/sqlite/index.ts';
import { FakeClock } from '../support/clock.ts';
import { batch, leaves, plan, POLICIES, WORKER } from '../support/make.ts';
import { parseBlock } from '../support/sse.ts';
import { Bench, tempFolder } from '../support/store.ts';
import { checkDatabase, openReadOnly, readPicture } from './check.ts';
import { checkOutside, checkRest, checkStreams, explainsHole, type Outside } from './check-ledger.ts';
import { Ledger } from './ledger.ts';
import { noCounts, Reader } from './readers.ts';
import { createRng } from './rng.ts';

const folder = tempFolder();
const good = folder.file('good.db');
/** Public ids by what they are. */
const ids: Record<string, string> = {};
let copies = 0;

beforeAll(async () => {
  const clock = new FakeClock();
  const store = await openStore({ path: good, clock, policies: POLICIES, writer: 'inline' });
  const bench = new Bench(store, clock);
  ids['single'] = (await bench.submit(plan({ spec: { tags: ['t1'] } }))).id;
  await bench.done((await bench.claim())[0]!);
  ids['doomed'] = (await bench.submit(plan())).id;
  await bench.done((await bench.claim())[0]!);
  ids['retried'] = (await bench.submit(plan())).id;
  await bench.fail((await bench.claim())[0]!, true);
  await bench.pass(2_000);
  await bench.claim();
  await bench.run({ kind: 'recover', worker: WORKER, limit: 10 }); // the server died
  await bench.fail((await bench.claim())[0]!);
  await bench.run({ kind: 'retry', jobId: ids['retried'] });
  await bench.done((await bench.claim())[0]!);
  ids['tree'] = (await bench.submit(batch(leaves(4), { width: 2 }))).id;
  await bench.open();
  for (const claim of await bench.claim()) await bench.done(claim);
  const [third] = await bench.claim();
  await bench.fail(third!);
  ids['cut'] = (await bench.submit(batch(leaves(3), { onChildFailure: 'fail_fast' }))).id;
  await bench.open();
  await bench.fail((await bench.claim('noop', 4)).at(-1)!);
  ids['delayed'] = (await bench.submit(plan({ dueAt: clock.now() + 60_000, spec: { deadline: 90_000 } }))).id;
  ids['paused'] = (await bench.submit(batch(leaves(2)))).id;
  await bench.open();
  await bench.run({ kind: 'pause', jobId: ids['paused'] });
  await bench.claim();
  await store.close();
});
afterAll(() => folder.remove());

/** A copy of the file, changed, as the checker sees it. */
function broken<T>(change: string, look: (file: ReturnType<typeof openReadOnly>) => T): T {
  const path = folder.file(`copy${(copies += 1)}.db`);
  copyFileSync(good, path);
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma('ignore_check_constraints = ON');
  if (change !== '') db.exec(change);
  db.close();
  const file = openReadOnly(path);
  try {
    return look(file);
  } finally {
    file.close();
  }
}
const check = (change: string): string => broken(change, (file) => checkDatabase(file, readPicture(file))).join('\n');
const key = (name: string): string => `(SELECT key FROM job WHERE id = '${ids[name]}')`;
const lastEvent = (name: string): string => `(SELECT max(seq) FROM event WHERE job_key = ${key(name)})`;

describe('a file', () => {
  it('that the store wrote is sound', () => {
    expect(check('')).toBe('');
  });

  const CASES: readonly [string, () => string, RegExp][] = [
    ['an event in the middle is missing', () => `DELETE FROM event WHERE seq = 2`, /I2: event 2 is not there/],
    ['the newest event is missing', () => `INSERT INTO meta VALUES ('last_seq', (SELECT max(seq) FROM event)); DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)`, /I2: /],
    ['an event belongs to nobody', () => `UPDATE event SET job_key = 999, root_key = 999 WHERE seq = 1`, /I2: event 1 belongs to no job/],
    ['a job stands elsewhere than its last event says', () => `UPDATE job SET status = 'cancelled' WHERE id = '${ids['single']}'`, /I3: .* its last event says completed/],
    ['a job skips a step', () => `UPDATE event SET data = replace(data, '"running"', '"retry"'), sum = 0 WHERE job_key = ${key('single')}`, /I3: .* queued → retry/],
    ['a job has two ends', () => `INSERT INTO event SELECT (SELECT max(seq) FROM event) + 1, job_key, root_key, at, type, data, sum FROM event WHERE seq = ${lastEvent('single')}`, /I4: .* after its end completed/],
    ['the row names another end', () => `UPDATE job SET final_seq = 1 WHERE id = '${ids['single']}'`, /I4: .* the row names 1/],
    ['a counter is off by one', () => `UPDATE job SET child_completed = 1, child_open = child_open + 1 WHERE id = '${ids['tree']}'`, /I5: .* a recount gives/],
    ['a parent ended before its children', () => `UPDATE job SET status = 'completed', ended_at = 1 WHERE id = '${ids['tree']}'`, /I5: .* it ended before 1 of its children/],
    ['a parent with nothing open goes on', () => `UPDATE job SET status = 'running', ended_at = NULL WHERE id = '${ids['cut']}'`, /I5: .* nothing of it is open/],
    ['the next child is not let in', () => `UPDATE job SET child_waiting = 1 WHERE id = '${ids['tree']}'; UPDATE job SET gate = 'parent', ready = 0 WHERE parent_key = ${key('tree')} AND ended_at IS NULL`, /I5: .* nobody lets the next one in/],
    ['more are let in than the width', () => `UPDATE job SET spec = '{"width":1}' WHERE id = '${ids['paused']}'`, /I5: .* its width is 1/],
    ['a tally is off', () => `UPDATE job_count SET n = n + 1 WHERE type = 'noop'`, /I5: job_count/],
    ['nobody wakes a delayed job', () => `UPDATE job SET alarm_at = NULL WHERE id = '${ids['delayed']}'`, /I7: .* not ready/],
    ['an alarm comes after the deadline', () => `UPDATE job SET due_at = 1, ready = 1, alarm_at = deadline_at + 1 WHERE id = '${ids['delayed']}'`, /I7: .* its deadline is/],
    ['a job was put aside and no ancestor is paused', () => `UPDATE job SET status = 'running' WHERE id = '${ids['paused']}'`, /I7: .* there is none/],
    ['a kill burned a retry', () => `UPDATE job SET failures = failures + 1 WHERE id = '${ids['retried']}'`, /I8: .* a kill must burn no retry/],
    ['an attempt is not on record', () => `DELETE FROM attempt WHERE job_key = ${key('retried')} AND number = 2`, /I8: .* ended attempts are on record/],
    ['an attempt was not told', () => `UPDATE job SET attempt = attempt + 1 WHERE id = '${ids['single']}'`, /I8: .* events tell of 1 attempts, the row of 2/],
    ['a lease was given in secret', () => `UPDATE job SET lease_epoch = lease_epoch + 1 WHERE id = '${ids['single']}'`, /I9: .* the epoch is 2/],
    ['a payload has a flipped bit', () => `UPDATE input SET body = '{ }' WHERE job_key = ${key('single')}`, /I13: 1 rows of input/],
    ['an input is gone', () => `DELETE FROM input WHERE job_key = ${key('single')}`, /I13: 1 jobs have no input/],
    ['a tag points at nothing', () => `PRAGMA foreign_keys = OFF; INSERT INTO job_tag VALUES ('x', 999)`, /I14: foreign_key_check/],
  ];
  for (const [what, change, sign] of CASES) it(`is found out when ${what}`, () => { expect(check(change())).toMatch(sign); });

  it('with a hole is sound when the hole was heard and its job deleted, and only then', () => {
    const [seqs, text] = broken('', (file) => {
      const own = file.prepare(`SELECT seq FROM event WHERE job_key = ${key('doomed')} ORDER BY seq`).pluck().all() as number[];
      return [own, own.join()] as const;
    });
    const change = ['event', 'input', 'attempt'].map((table) => `DELETE FROM ${table} WHERE job_key = ${key('doomed')}`).join(';')
      + `; DELETE FROM job WHERE id = '${ids['doomed']}'; UPDATE job_count SET n = n - 1 WHERE type = 'noop' AND status = 'completed'`;
    const outside = world();
    expect(broken(change, (file) => checkDatabase(file, readPicture(file), explainsHole(outside)))).toHaveLength(seqs.length);
    for (const seq of seqs) hear(outside.firehose, seq, ids['doomed']!);
    expect(broken(change, (file) => checkDatabase(file, readPicture(file), explainsHole(outside))), text).toHaveLength(seqs.length);
    outside.ledger.deed('delete', ids['doomed']!, { members: [ids['doomed']!] });
    expect(broken(change, (file) => checkDatabase(file, readPicture(file), explainsHole(outside)))).toEqual([]);
  });
});

function world(): Outside & { readers: Reader[] } {
  return {
    ledger: new Ledger(folder.file('ledger.ndjson')), participant: { seen: new Map(), callbacks: new Map() }, downtime: [], readers: [],
    firehose: new Reader('/api/stream?after=0', { counts: noCounts(), rng: createRng(1), cutAfter: null }),
  };
}
function hear(reader: Reader, seq: number, jobId: string, type = 'job:status', status = 'queued'): void {
  reader.take(parseBlock(`id: ${seq}\ndata: ${JSON.stringify({ type, jobId, timestamp: '', data: { status } })}`)!);
}
/** Everything as it was, but for what `spoil` leaves out or changes. */
function listened(spoil: (event: { seq: number; id: string; type: string; status: string }, hearIt: () => void) => void, path = '/api/stream?after=0'): string {
  return broken('', (file) => {
    const reader = new Reader(path, { counts: noCounts(), rng: createRng(1), cutAfter: null });
    const { firehose, readers } = world();
    const events = file.prepare("SELECT seq, job.id AS id, event.type AS type, coalesce(data ->> '$.status', '') AS status FROM event JOIN job ON key = job_key ORDER BY seq").all() as { seq: number; id: string; type: string; status: string }[];
    for (const event of events) spoil(event, () => hear(reader, event.seq, event.id, event.type, event.status));
    return checkStreams(readPicture(file), path.includes('/jobs/') ? { firehose, readers: [reader] } : { firehose: reader, readers }).join('\n');
  });
}

describe('a stream', () => {
  it('that gave everything once is whole', () => {
    expect(listened((_event, hearIt) => hearIt())).toBe('');
  });
  it('with a hole is found out', () => {
    expect(listened(({ seq }, hearIt) => { if (seq !== 5) hearIt(); })).toMatch(/HOLE: stream .* never gave 5/);
  });
  it('of one job with a hole in what is below it is found out', () => {
    const path = `/api/jobs/${ids['tree']}/stream`;
    const family = new Set(broken('', (file) => file.prepare(`SELECT id FROM job WHERE root_key = ${key('tree')}`).pluck().all() as string[]));
    let left = 3;
    expect(listened(({ id }, hearIt) => { if (family.has(id)) hearIt(); }, path)).toBe('');
    expect(listened(({ id }, hearIt) => { if (family.has(id) && (left -= 1) !== 0) hearIt(); }, path)).toMatch(/HOLE/);
  });
  it('that repeats itself is found out', () => {
    expect(listened(({ seq }, hearIt) => { hearIt(); if (seq === 5) hearIt(); })).toMatch(/gave 5 after 5: a repeat/);
  });
  it('that goes back below a cursor it served is found out', () => {
    let late = (): void => {};
    expect(listened(({ seq }, hearIt) => { if (seq === 5) late = hearIt; else hearIt(); if (seq === 6) late(); })).toMatch(/gave 5 after 6: below a cursor already served/);
  });
  it('that tells of what was never committed is found out', () => {
    const reader = new Reader('/api/stream', { counts: noCounts(), rng: createRng(1), cutAfter: null });
    hear(reader, 100_000, ids['single']!);
    expect(broken('', (file) => checkStreams(readPicture(file), { firehose: world().firehose, readers: [reader] })).join()).toMatch(/gave 100000 .* never committed/);
  });
  it('that says another status than the log is found out', () => {
    const reader = new Reader('/api/stream', { counts: noCounts(), rng: createRng(1), cutAfter: null });
    hear(reader, 1, ids['single']!, 'job:status', 'running');
    expect(broken('', (file) => checkStreams(readPicture(file), { firehose: world().firehose, readers: [reader] })).join()).toMatch(/gave 1 with status running/);
  });
});

describe('the ledger', () => {
  const against = (fill: (ledger: Ledger) => void, change = ''): string => {
    const outside = world();
    fill(outside.ledger);
    return broken(change, (file) => checkOutside(file, readPicture(file), outside)).join('\n');
  };
  const submission = (token: string, size = 1) => ({ token, size, key: `key-${token}`, call: { path: '/api/jobs', body: {} }, tries: 0, ids: null, refused: false });

  it('agrees with a job that was acknowledged and is there', () => {
    expect(against((ledger) => { const sent = submission('t1'); ledger.submit(sent); ledger.submitted(sent, [ids['single']!]); })).toBe('');
  });
  it('agrees with a job that was not acknowledged and is not there', () => {
    expect(against((ledger) => ledger.submit(submission('t99')))).toBe('');
  });
  it('finds an acknowledged job that is lost', () => {
    expect(against((ledger) => { const sent = submission('t99'); ledger.submit(sent); ledger.submitted(sent, ['job_none']); })).toMatch(/I1: LOST: t99/);
  });
  it('finds one key that stands for two jobs', () => {
    expect(against((ledger) => ledger.submit(submission('t1')), `INSERT INTO job_tag VALUES ('t1', ${key('delayed')})`)).toMatch(/I1: t1 .* is there 2 times/);
  });
  it('finds half of a submission', () => {
    expect(against((ledger) => ledger.submit(submission('t1', 2)))).toMatch(/all or nothing/);
  });
  it('finds an acknowledged verb that is lost', () => {
    expect(against((ledger) => ledger.done(ledger.deed('pause', ids['single']!), 200))).toMatch(/LOST: 1 times pause/);
  });
  it('finds a verb that was carried out more often than it was asked', () => {
    expect(against((ledger) => ledger.done(ledger.deed('retry', ids['retried']!), 409))).toMatch(/start or retry .* was asked 0 times, its events tell of 1/);
  });
  it('finds a deletion that was acknowledged and undone', () => {
    expect(against((ledger) => ledger.done(ledger.deed('delete', ids['single']!, { members: [ids['single']!] }), 204))).toMatch(/is there after the deletion/);
  });
  it('finds what is stuck at rest', () => {
    expect(broken('', (file) => checkRest(readPicture(file), world())).join('\n')).toMatch(/STUCK: job .* is queued/);
  });
});
