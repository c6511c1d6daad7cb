// The look behind each sync: nothing is answered, moved or written over before it, and a disk that fails it ends the store.
// The disk that lies is test/fault/mount-faults.test.ts; here it is a look that fails when it is told to.
import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { Checkpoints } from '../../../src/store/sqlite/checkpoint.ts';
import { type Core, openCore } from '../../../src/store/sqlite/core.ts';
import { removeFile, StorageFailure } from '../../../src/store/sqlite/failure.ts';
import { openStore } from '../../../src/store/sqlite/index.ts';
import { Look } from '../../../src/store/sqlite/look.ts';
import { preparePath } from '../../../src/store/sqlite/open.ts';
import { FakeClock, START } from '../../support/clock.ts';
import { leaves, POLICIES } from '../../support/make.ts';
import { tempFolder } from '../../support/store.ts';

const PAGE = 4_096;
const folder = tempFolder();
let core: Core | null = null;
afterEach(() => {
  vi.restoreAllMocks();
  core?.db.close();
  core = null;
});
afterAll(() => folder.remove());

const open = (name: string): Core => (core = openCore(preparePath(folder.file(name)), POLICIES, 'FULL'));
const submit = ({ committer }: Core, count: number) => committer.commit([{ command: { kind: 'submit', jobs: leaves(count, { input: JSON.stringify('x'.repeat(2_000)) }) }, now: START }]);
const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const fail = (): never => { throw new StorageFailure('told to'); };

it('a commit whose look fails is not answered', () => {
  const store = open('answer.db');
  submit(store, 1);
  vi.spyOn(Look.prototype, 'now').mockImplementation(fail);
  expect(() => submit(store, 1)).toThrow(StorageFailure);
});

it('nothing of the log is moved into the database before the commit was looked at, however long it is', () => {
  const store = open('move.db');
  const before = hash(store.db.name);
  const seen: string[] = [];
  vi.spyOn(Look.prototype, 'now').mockImplementation(() => { seen.push(hash(store.db.name)); });
  for (let i = 0; i < 4; i++) submit(store, 1_000);
  expect(statSync(`${store.db.name}-wal`).size).toBeGreaterThan(1_000 * PAGE);
  // One look for each commit, with the database as it was; the fifth is behind the move.
  expect(seen.slice(0, 4)).toEqual([before, before, before, before]);
  expect(seen).toHaveLength(5);
  expect(seen[4]).not.toBe(before);
});

it('when the look behind a move fails, the log still holds all of it', () => {
  const store = open('kept.db');
  const after = vi.spyOn(Checkpoints.prototype, 'afterCommit').mockImplementation(() => {});
  submit(store, 2_000);
  after.mockRestore();
  const log = hash(`${store.db.name}-wal`);
  vi.spyOn(Look.prototype, 'now').mockImplementation(fail);
  const checkpoints = new Checkpoints(store.db, new Look(null));
  for (let i = 0; i < 3; i++) checkpoints.afterCommit(); // it asks every fourth time
  expect(() => checkpoints.afterCommit()).toThrow(StorageFailure);
  expect(hash(`${store.db.name}-wal`)).toBe(log);
});

it('the log stays bounded, and a look leaves no file behind', () => {
  const store = open('bounded.db');
  for (let i = 0; i < 100; i++) submit(store, 100);
  expect(statSync(store.db.name).size).toBeGreaterThan(4_000 * PAGE);
  expect(statSync(`${store.db.name}-wal`).size).toBeLessThan(4_000 * PAGE);
  expect(readdirSync(folder.path).filter((name) => name.includes('look'))).toEqual([]);
});

it('a look on a sound disk passes, and one that cannot write fails with the reason', () => {
  const look = new Look(folder.file('sound.db'));
  for (let i = 0; i < 3_000; i++) look.now(); // beyond its longest
  look.close();
  expect(() => { new Look(`${folder.path}/nowhere/m.db`).now(); }).toThrow(StorageFailure);
});

it('a file that cannot be removed says why, as the system calls it', () => {
  removeFile(folder.file('never-was'));
  expect(() => removeFile(folder.path)).toThrow(expect.objectContaining({ code: expect.stringMatching(/^(EISDIR|EPERM)$/) }));
});

it('an event is shown once its commit was looked at and answered, not when SQLite shows it', async () => {
  const held: (() => void)[] = [];
  const store = await openStore({
    path: folder.file('shown.db'), clock: new FakeClock(), policies: POLICIES, writer: 'inline',
    carry: (message, deliver) => { if (message.kind === 'done') held.push(deliver); else deliver(); },
  });
  const answer = store.execute({ kind: 'submit', jobs: leaves(1) });
  await vi.waitFor(() => expect(held).toHaveLength(1));
  expect((await store.jobs({}, null, 10)).items).toHaveLength(1);
  expect(await store.events('all', 0, 10)).toEqual([]);
  expect(await store.lastSeq()).toBe(0);
  held[0]?.();
  await answer;
  expect((await store.events('all', 0, 10)).map(({ seq }) => seq)).toEqual([await store.lastSeq()]);
  await store.close();
});

it.each([['an error of the disk', 'SQLITE_IOERR_WRITE'], ['want of room', 'SQLITE_FULL'], ['anything else', 'SQLITE_BUSY']])('%s behind a commit ends the store: nothing is answered, and nothing is done a second time', (_what, code) => {
  const store = open(`behind-${code}.db`);
  submit(store, 1);
  const behind = vi.spyOn(Checkpoints.prototype, 'afterCommit').mockImplementation(() => { throw new Database.SqliteError('told to', code); });
  expect(() => submit(store, 1)).toThrow(StorageFailure);
  expect(behind).toHaveBeenCalledTimes(1);
  expect(store.db.prepare('SELECT count(*) FROM job').pluck().get()).toBe(2); // the next start has it
});
