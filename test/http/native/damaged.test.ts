// What a client sees of a job that the disk has changed: a sentence where it is asked for, everything else as it is.
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { httpBench } from '../../support/http.ts';
import { tempFolder } from '../../support/store.ts';

test('a list leaves out what the disk has changed and says so', async () => {
  const folder = tempFolder();
  const path = folder.file('m.db');
  const first = await httpBench({ path });
  const before = await first.submit({ type: 'noop', input: { result: 'sound' } });
  const batch = await first.submit({ type: 'batch', children: [{ type: 'noop', input: { result: 'needle' } }, { type: 'noop' }] });
  const children = (await first.get(`/api/jobs/${batch.id}/children`)).jobs.map(({ id }: { id: string }) => id);
  await first.close();
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('needle')]! ^= 1;
  writeFileSync(path, bytes);

  const bench = await httpBench({ path });
  try {
    const named = [{ id: children[0], detail: `The database file is damaged: the input of job ${children[0]} is not what was stored.` }];
    const of = ({ jobs, ...rest }: { jobs: { id: string }[] }) => ({ ids: jobs.map(({ id }) => id), ...rest });
    expect(of(await bench.get('/api/jobs'))).toEqual({ ids: [children[1], batch.id, before.id], nextCursor: null, damaged: named });
    expect(of(await bench.get(`/api/jobs/${batch.id}/children`))).toEqual({ ids: [children[1]], nextCursor: null, damaged: named });
    expect(of(await bench.get('/api/jobs?text=sound'))).toEqual({ ids: [before.id], nextCursor: null });
    const answer = await bench.inject({ method: 'GET', url: `/api/jobs/${children[0]}` });
    expect([answer.statusCode, answer.json()]).toMatchObject([500, { code: 'damaged', detail: named[0]!.detail, hint: expect.stringContaining('Restore the newest backup') }]);
    expect(bench.logged.filter((line) => line.includes('the database file is damaged: keep it')).length).toBe(3);
  } finally {
    await bench.close();
    folder.remove();
  }
});
