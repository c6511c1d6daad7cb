// The file itself: what is read back, refused, owned, and what happens when it fails under the store. Damaged rows: damaged-rows.test.ts.
import Database from 'better-sqlite3';
import { cpSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AlreadyOwned, openStore, type SqliteStore } from '../../../src/store/sqlite/index.ts';
import { APPLICATION_ID, migrate, SchemaError } from '../../../src/store/sqlite/migrate.ts';
import { FakeClock } from '../../support/clock.ts';
import { plan, POLICIES } from '../../support/make.ts';
import { Bench, tempFolder } from '../../support/store.ts';
import { child } from './child.ts';

let folder: ReturnType<typeof tempFolder>;
let path: string;
let clock: FakeClock;
const stores: SqliteStore[] = [];
beforeEach(() => {
  folder = tempFolder();
  path = folder.file('m.db');
  clock = new FakeClock();
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

async function open(writer: 'thread' | 'inline' = 'thread'): Promise<SqliteStore> {
  const store = await openStore({ path, clock, policies: POLICIES, writer });
  stores.push(store);
  return store;
}
const bench = async (writer: 'thread' | 'inline' = 'thread'): Promise<Bench> => new Bench(await open(writer), clock);

test.each(['thread', 'inline'] as const)('writes are synced in full, and SQLite says so itself (%s)', async (writer) => {
  expect((await open(writer)).facts).toEqual({ synchronous: 2, journal: 'wal' });
});

test('what was acknowledged is there after the store was closed, and the file is nobody else\'s to read', async () => {
  const first = await bench();
  const { id } = await first.submit(plan({ input: '{"kept":true}' }));
  await first.store.close();
  const again = await bench();
  expect(await again.record(id)).toMatchObject({ input: '{"kept":true}', job: { status: 'queued' } });
  expect(await again.store.lastSeq()).toBe(1);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

describe('refused at the start', () => {
  const write = (sql: string): void => { const db = new Database(path); db.exec(sql); db.close(); };

  test.each(['thread', 'inline'] as const)('a schema from the future, with the way back (%s)', async (writer) => {
    await (await open()).close();
    const known = new Database(path, { readonly: true });
    const version = Number(known.pragma('user_version', { simple: true }));
    known.close();
    write('PRAGMA user_version = 999');
    await expect(open(writer)).rejects.toThrow(/schema 999/);
    write(`PRAGMA user_version = ${version}`);
    expect((await open(writer)).health()).toBe('ok'); // the refusal let go of the file
  });

  test.each(['PRAGMA application_id = 1234', 'CREATE TABLE notes (text TEXT)'])('a SQLite file that is not Muster\'s: %s', async (sql) => {
    write(sql);
    await expect(open()).rejects.toThrow(/not made by Muster/);
    const db = new Database(path, { readonly: true });
    expect(db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'job'").pluck().get()).toBe(0);
    db.close();
  });

  test('what is no SQLite file at all, which stays as it is', async () => {
    writeFileSync(path, 'Dear diary, '.repeat(1_000));
    const before = readFileSync(path);
    await expect(open()).rejects.toThrow();
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('a file and its log stay as they are, whoever they belong to', async () => {
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    db.exec('PRAGMA application_id = 1234; CREATE TABLE notes (text TEXT)');
    const copies = ['', '-wal'].map((end) => readFileSync(`${path}${end}`));
    db.close();
    for (const [i, end] of ['', '-wal'].entries()) writeFileSync(`${path}${end}`, copies[i]!);
    await expect(open()).rejects.toThrow(/not made by Muster/);
    for (const [i, end] of ['', '-wal'].entries()) expect(readFileSync(`${path}${end}`).equals(copies[i]!)).toBe(true);
  });

  test('a file whose structure is damaged', async () => {
    const first = await bench();
    for (let i = 0; i < 200; i++) await first.submit(plan({ input: JSON.stringify('x'.repeat(500)) }));
    await first.store.close();
    const bytes = readFileSync(path);
    bytes.fill(0x5a, 4_096 * 8, 4_096 * 20);
    writeFileSync(path, bytes);
    await expect(open()).rejects.toThrow(/damaged|malformed/);
  });
});

describe('one owner', () => {
  test('a second store of this process is refused, and the file is free after close', async () => {
    const first = await open();
    await expect(open()).rejects.toBeInstanceOf(AlreadyOwned);
    await first.close();
    await open();
  });

  test('a file with two names (a hard link) is refused by each, for each has a lock of its own', async () => {
    const first = await open();
    const own = path;
    path = folder.file('other-name.db');
    linkSync(own, path);
    await expect(open()).rejects.toThrow(/another name/);
    await first.close();
    rmSync(own);
    await open();
  });

  test('another process is refused while one lives, and a killed one leaves nothing in the way', async () => {
    const other = child(`
      import { openStore } from 'SRC/store/sqlite/index.ts';
      import { systemClock } from 'SRC/runtime/system-clock.ts';
      const store = await openStore({ path: ${JSON.stringify(path)}, clock: systemClock, policies: {} });
      const { jobs } = await store.execute({ kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: {} }] });
      console.log(jobs[0].id);
      setInterval(() => {}, 1000);`);
    const id = await other.line();
    await expect(open()).rejects.toBeInstanceOf(AlreadyOwned);
    other.process.kill('SIGKILL');
    expect((await other.ended).signal).toBe('SIGKILL');
    const b = await bench();
    expect(await b.status(id!)).toBe('queued');
  });
});

describe('migrations', () => {
  function folderOf(files: Record<string, string>): URL {
    mkdirSync(folder.file('sql'), { recursive: true });
    for (const [name, sql] of Object.entries(files)) writeFileSync(folder.file(`sql/${name}`), sql);
    return pathToFileURL(`${folder.file('sql')}/`);
  }
  const stateOf = (): unknown[] => {
    const db = new Database(path);
    const state = [db.pragma('user_version', { simple: true }), db.pragma('application_id', { simple: true }), ...db.prepare('SELECT name FROM sqlite_schema ORDER BY name').pluck().all()];
    db.close();
    return state;
  };
  const FILES = { '0001_one.sql': 'CREATE TABLE one (a); CREATE TABLE uno (a);', '0002_two.sql': 'CREATE TABLE two (a); CREATE TABLE due (a);' };

  test('each is one transaction: one that fails half way leaves the one before it', () => {
    const sql = folderOf({ ...FILES, '0002_two.sql': 'CREATE TABLE two (a); INSERT INTO nowhere VALUES (1);' });
    const db = new Database(path);
    expect(() => migrate(db, sql)).toThrow(/nowhere/);
    db.close();
    expect(stateOf()).toEqual([1, APPLICATION_ID, 'one', 'uno']);
    folderOf(FILES);
    const again = new Database(path);
    migrate(again, sql);
    again.close();
    expect(stateOf()).toEqual([2, APPLICATION_ID, 'due', 'one', 'two', 'uno']);
  });

  test.each([1, 2, 3, 4])('a kill at statement %i of two migrations leaves old or new, never between', async (at) => {
    let count = 0;
    const deadly = (sql: string): string => sql.replace(/;/g, () => `; SELECT step(${++count});`);
    const sql = folderOf({ '0001_one.sql': deadly(FILES['0001_one.sql']), '0002_two.sql': deadly(FILES['0002_two.sql']) });
    const killed = child(`
      import { createRequire } from 'node:module';
      import { migrate } from 'SRC/store/sqlite/migrate.ts';
      const Database = createRequire('SRC/')('better-sqlite3');
      const db = new Database(${JSON.stringify(path)});
      db.pragma('journal_mode = WAL');
      db.function('step', (n) => { if (n === ${at}) process.kill(process.pid, 'SIGKILL'); return n; });
      migrate(db, new URL(${JSON.stringify(sql.href)}));
      console.log('done');`);
    const { signal, errors } = await killed.ended;
    expect(errors).toBe('');
    expect(signal).toBe('SIGKILL');
    expect(stateOf()).toEqual(at <= 2 ? [0, 0] : [1, APPLICATION_ID, 'one', 'uno']);
  });

  test.each([0, -1, -1_920_073_984])('a file of ours that says it has schema %i is damaged, and is not migrated', async (version) => {
    await bench();
    for (const store of stores.splice(0)) await store.close();
    const file = new Database(path);
    file.pragma(`user_version = ${version}`);
    file.close();
    await expect(open()).rejects.toThrow(/there never was: its header is damaged/);
  });

  test('files out of order are refused', () => {
    const sql = folderOf({ '0001_one.sql': 'SELECT 1', '0003_three.sql': 'SELECT 1' });
    const db = new Database(path);
    expect(() => migrate(db, sql)).toThrow(SchemaError);
    db.close();
  });
});

test.each(['thread', 'inline'] as const)('an I/O error stops the store for good; what it acknowledged is there after the next start (%s)', async (writer) => {
  // Files of this process may not grow beyond 4.6 MB: the reserve fits, a write-ahead log of large inputs does not.
  const failing = child(`
    import { openStore } from 'SRC/store/sqlite/index.ts';
    import { systemClock } from 'SRC/runtime/system-clock.ts';
    const store = await openStore({ path: ${JSON.stringify(path)}, clock: systemClock, policies: {}, writer: '${writer}' });
    let failures = 0;
    store.onFailure(() => { failures += 1; });
    const submit = (size) => store.execute({ kind: 'submit', jobs: [{ type: 'noop', input: JSON.stringify('x'.repeat(size)), spec: {} }] }).then((a) => a.jobs[0].id, (e) => e.code);
    const acked = [await submit(10)];
    const together = await Promise.all(Array.from({ length: 8 }, () => submit(1e6)));
    const after = await submit(10);
    console.log(JSON.stringify({ acked, together, after, failures, health: store.health() }));
    await store.close();
    process.exit(0);`, 'ulimit -f 9200;');
  const line = await failing.line();
  const { errors } = await failing.ended;
  expect(errors).toBe('');
  expect(JSON.parse(line!)).toMatchObject({ together: Array.from({ length: 8 }, () => 'unavailable'), after: 'unavailable', failures: 1, health: 'failed' });
  const b = await bench();
  expect((await b.store.jobs({}, null, 10)).items.map((item) => item.job.id)).toEqual(JSON.parse(line!).acked);
});

test('not one more transaction is written once one has failed, whatever was under way', async () => {
  const failing = child(`
    import { openStore } from 'SRC/store/sqlite/index.ts';
    import { systemClock } from 'SRC/runtime/system-clock.ts';
    const store = await openStore({ path: ${JSON.stringify(path)}, clock: systemClock, policies: {}, writerModule: new URL(${JSON.stringify(new URL('./failing-writer.ts', import.meta.url).href)}) });
    const submit = () => store.execute({ kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: {} }] }).then(() => 'stored', (e) => e.code);
    const answers = [await submit()];
    const under = [submit()];
    for (let i = 0; i < 20; i++) { // messages of their own, while the disk is busy failing
      await new Promise((resolve) => { setTimeout(resolve, 5); });
      under.push(submit());
    }
    answers.push(...await Promise.all(under));
    console.log(JSON.stringify(answers)); // the process ends when its writer's thread has`);
  expect(JSON.parse((await failing.line())!)).toEqual(['stored', ...Array.from({ length: 21 }, () => 'unavailable')]);
  expect((await failing.ended).errors).toBe('');
  const file = new Database(path, { readonly: true });
  expect(file.prepare('SELECT count(*) FROM job').pluck().get()).toBe(1);
  file.close();
});

test('a copy of the file beside its write-ahead log, taken from a live store, opens whole', async () => {
  const b = await bench();
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) ids.unshift((await b.submit(plan())).id);
  for (const end of ['', '-wal']) cpSync(`${path}${end}`, folder.file(`copy.db${end}`));
  path = folder.file('copy.db');
  const copy = await bench();
  expect((await copy.store.jobs({}, null, 100)).items.map((item) => item.job.id)).toEqual(ids);
});
