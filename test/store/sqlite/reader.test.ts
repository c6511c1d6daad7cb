// Reads of several statements while the writer deletes: what is read is one picture, never a row without its parts.
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openReader } from '../../../src/store/sqlite/open.ts';
import { openStore } from '../../../src/store/sqlite/index.ts';
import { Reader } from '../../../src/store/sqlite/reader.ts';
import { FakeClock } from '../../support/clock.ts';
import { Bench, tempFolder } from '../../support/store.ts';

const folder = tempFolder();
afterEach(() => folder.remove());

describe('a tree that is deleted between two statements of one read', () => {
  let parentId = '';
  let reader: Reader;
  let close = (): void => {};

  beforeEach(async () => {
    const clock = new FakeClock();
    const path = folder.file('muster.db');
    const store = await openStore({ path, clock, policies: {}, writer: 'inline' });
    const job = { type: 'noop', input: '{"a":1}', spec: {} };
    parentId = (await new Bench(store, clock).submit({ type: 'batch', input: '{}', spec: {}, children: [job, job] })).id;
    await store.close();
    const db = openReader(path);
    const writer = new Database(path);
    reader = new Reader(db);
    // It prepares the statements of jobs when it first needs them: the second one that names a table comes between.
    const prepare = db.prepare.bind(db);
    let count = 0;
    db.prepare = ((sql: string) => {
      if (/ FROM /.test(sql) && (count += 1) === 2) writer.exec('DELETE FROM event; DELETE FROM input; UPDATE job SET parent_key = NULL, ordinal = NULL; DELETE FROM job');
      return prepare(sql);
    }) as typeof db.prepare;
    close = () => { db.close(); writer.close(); };
  });
  afterEach(() => close());

  const READS: Readonly<Record<string, (id: string) => number>> = {
    job: (id) => (reader.job(id) === null ? 0 : 1),
    jobs: () => reader.jobs({}, null, 10).items.length,
    children: (id) => reader.children(id, null, null, 10).items.length,
    events: (id) => reader.events({ jobId: id }, 0, 10, undefined).filter(({ rootId }) => rootId === id).length,
  };
  const EXPECTED: Readonly<Record<string, number>> = { job: 1, jobs: 3, children: 2, events: 3 };
  for (const [name, read] of Object.entries(READS)) {
    it(`is there in full to ${name}, and gone to the next`, () => {
      expect(read(parentId)).toBe(EXPECTED[name]);
      expect(read(parentId)).toBe(0);
    });
  }
});
