// Rows that change alike are written together: by range where they are neighbours, by a list where they are not. Whichever
// it is, each job has its own final event.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Answer, Command } from '../../../src/domain/commands.ts';
import { openCore } from '../../../src/store/sqlite/core.ts';
import { newJobId } from '../../../src/store/sqlite/ids.ts';
import { START } from '../../support/clock.ts';
import { POLICIES } from '../../support/make.ts';

let core: ReturnType<typeof openCore>;
beforeEach(() => { core = openCore(':memory:', POLICIES, 'FULL', { newId: newJobId }); });
afterEach(() => core.close());

function run(command: Command): Answer {
  const [reply] = core.committer.commit([{ command, now: START }]);
  if (reply === undefined || !('answer' in reply)) throw new Error('refused');
  return reply.answer;
}

const times = (count: number, type: string): string[] => Array.from({ length: count }, () => type);

test.each([
  ['one run', times(20, 'noop')],
  ['two runs', [...times(10, 'noop'), 'other', ...times(10, 'noop')]],
  ['runs of many lengths', [...times(30, 'noop'), 'other', 'noop', 'other', ...times(12, 'noop')]],
  ['no two neighbours', Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 'noop' : 'other'))],
])('%s of ends: each job points at its own', (_, types) => {
  run({ kind: 'submit', jobs: types.map((type) => ({ type, input: '{}', spec: {} })) });
  const { claimed } = run({ kind: 'claim', worker: 'w', type: 'noop', limit: 100 });
  expect(claimed).toHaveLength(types.filter((type) => type === 'noop').length);
  run({ kind: 'finish', ended: claimed.map(({ id, epoch }) => ({ jobId: id, epoch, outcome: { kind: 'done', result: `"${id}"` } })) });

  const rows = core.db.prepare(`SELECT j.id, j.type, j.status, e.data ->> '$.result' AS result FROM job j LEFT JOIN event e ON e.seq = j.final_seq ORDER BY j.key`).all();
  expect(rows).toEqual(types.map((type, i) => {
    const { id } = rows[i] as { id: string };
    return type === 'noop' ? { id, type, status: 'completed', result: id } : { id, type, status: 'queued', result: null };
  }));
});
