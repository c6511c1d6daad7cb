import { expect, test } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { explain, type Facts } from '../../src/orchestrator/explain.ts';
import { START } from '../support/clock.ts';
import { job } from '../support/make.ts';

const AT_WORK = { status: 'running', startedAt: START } as const;
const open = (n: number, waiting = 0) => ({ total: n, open: n, waiting, completed: 0, failed: 0, cancelled: 0 });
const parent = (more: Partial<Job> = {}) => job({ id: 'job_2', type: 'batch', children: open(3, 1), ...AT_WORK, ...more });
const child = (more: Partial<Job> = {}) => job({ parentId: 'job_2', rootId: 'job_2', ordinal: 0, depth: 1, ...more });
const facts = (lineage: Facts['lineage'], more: Partial<Facts> = {}): Facts => ({ lineage, capacity: [{ type: 'noop', limit: 2, running: 0 }], health: 'ok', now: START, ...more });
const codes = (lineage: Facts['lineage'], more: Partial<Facts> = {}): string[] => explain(facts(lineage, more)).reasons.map((reason) => reason.code);
const FULL = { capacity: [{ type: 'noop', limit: 2, running: 2 }] };

test.each<[string, Facts['lineage'], string[], Partial<Facts>?]>([
  ['next in turn', [job()], []],
  ['running', [job({ status: 'running', leaseUntil: START + 1, worker: 'local' })], []],
  ['held', [job({ dueAt: null })], ['held']],
  ['delayed', [job({ dueAt: START + 1 })], ['delayed']],
  ['asked again later', [job({ dueAt: START + 1, attemptStartedAt: START })], ['delayed']],
  ['backing off', [job({ status: 'retry', dueAt: START + 1, attempt: 1 })], ['retry_backoff']],
  ['paused', [job({ status: 'paused' })], ['paused']],
  ['at the limit of its type', [job()], ['type_at_limit'], FULL],
  ['delayed and at the limit: only what counts now', [job({ dueAt: START + 1 })], ['delayed'], FULL],
  ['on a full disk', [job()], ['storage_full'], { health: 'full' }],
  ['a batch at work', [parent()], ['waiting_for_children']],
  ['a batch that may grow', [parent({ children: open(0), spec: { sealed: false } })], ['waiting_for_children']],
  ['not let in yet', [child({ gate: 'parent' }), parent({ spec: { width: 2 } })], ['width_full']],
  ['in a held batch', [child({ gate: 'parent' }), parent({ status: 'queued', startedAt: null, dueAt: null })], ['held']],
  ['in a delayed batch', [child({ gate: 'parent' }), parent({ status: 'queued', startedAt: null, dueAt: START + 9 })], ['delayed']],
  ['in a paused batch', [child({ gate: 'ancestor' }), parent({ status: 'paused' })], ['ancestor_paused']],
  ['paused in a paused batch', [child({ status: 'paused' }), parent({ status: 'paused' })], ['paused', 'ancestor_paused']],
  ['in a batch that waits in a held batch', [child({ gate: 'parent' }), parent({ status: 'queued', gate: 'parent', startedAt: null }), job({ id: 'job_3', type: 'batch', dueAt: null })], ['held']],
  ['in a batch that does not fit in its own', [child({ gate: 'parent' }), parent({ status: 'queued', gate: 'parent', startedAt: null }), parent({ id: 'job_3', spec: { width: 1 } })], ['width_full']],
  ['below a batch that ended below a paused one', [child(), parent({ status: 'failed', endedAt: START }), parent({ id: 'job_3', status: 'paused' })], []],
])('%s', (_name, lineage, expected, more) => {
  expect(codes(lineage, more)).toEqual(expected);
  const answer = explain(facts(lineage, more));
  expect(answer.runnable).toBe(expected.length === 0);
  for (const reason of answer.reasons) expect([reason.message.length > 10, reason.unblock.length > 10]).toEqual([true, true]);
});

test.each(['completed', 'failed', 'cancelled'] as const)('what is %s is not going to run, and needs no reason', (status) => {
  expect(explain(facts([job({ status, endedAt: START })]))).toEqual({ jobId: 'job_1', status, runnable: false, reasons: [] });
});

test('the way out names the job that has to be asked', () => {
  expect(explain(facts([child({ gate: 'ancestor' }), parent(), parent({ id: 'job_9', status: 'paused' })])).reasons[0]?.unblock).toBe('POST /api/jobs/job_9/resume');
});
