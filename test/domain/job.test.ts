// The questions that one row answers: is it ready, when does its clock ring next, what does a poller see.
import { expect, test } from 'vitest';
import { alarmAt, isParentAtWork, isReady, type Job, LOCAL_WORKER, STATUSES, stateOf } from '../../src/domain/job.ts';
import { job } from '../support/make.ts';

const NOW = 1_000;
const leased = { leaseUntil: 1_500, worker: 'w', claimedAt: 900 };

test.each<[Partial<Job>, boolean]>([
  [{ status: 'queued', dueAt: NOW }, true], [{ status: 'queued', dueAt: NOW + 1 }, false], [{ status: 'queued', dueAt: 0 }, true], [{ status: 'queued', dueAt: null }, false],
  [{ status: 'retry', dueAt: NOW }, true], [{ status: 'retry', dueAt: NOW + 1 }, false],
  [{ status: 'queued', dueAt: NOW, gate: 'parent' }, false], [{ status: 'queued', dueAt: NOW, gate: 'ancestor' }, false],
  [{ status: 'assigned', dueAt: NOW, ...leased }, false], [{ status: 'running', dueAt: NOW, ...leased }, false], [{ status: 'paused', dueAt: NOW }, false],
  [{ status: 'completed', dueAt: NOW }, false], [{ status: 'failed', dueAt: NOW }, false], [{ status: 'cancelled', dueAt: NOW }, false],
])('%j is ready: %s', (more, ready) => {
  expect(isReady(job(more), NOW)).toBe(ready);
});

test.each<[Partial<Job>, number | null, number | null]>([
  [{ dueAt: NOW }, null, null], [{ dueAt: NOW + 5 }, null, NOW + 5], [{ dueAt: null }, null, null],
  [{ dueAt: NOW + 5, gate: 'parent' }, null, NOW + 5],
  [{ dueAt: NOW + 5, expiresAt: NOW + 3 }, null, NOW + 3], [{ dueAt: NOW + 5, expiresAt: NOW + 9, deadlineAt: NOW + 2 }, null, NOW + 2],
  [{ dueAt: null, expiresAt: NOW - 3 }, null, NOW - 3], [{ status: 'retry', dueAt: NOW + 5, expiresAt: NOW + 9 }, null, NOW + 5],
  [{ status: 'paused', dueAt: NOW + 5, expiresAt: NOW + 3 }, null, null], [{ status: 'paused', deadlineAt: NOW + 7 }, null, NOW + 7],
  [{ status: 'running', ...leased }, null, 1_500], [{ status: 'running', ...leased, expiresAt: 1_100 }, null, 1_500],
  [{ status: 'running', ...leased }, 200, 1_100], [{ status: 'running', ...leased }, 900, 1_500], [{ status: 'assigned', ...leased, deadlineAt: 1_050 }, 200, 1_050],
  [{ status: 'running', ...leased, worker: LOCAL_WORKER }, null, null], [{ status: 'running', ...leased, worker: LOCAL_WORKER }, 200, 1_100],
  [{ status: 'running', ...leased, worker: LOCAL_WORKER, deadlineAt: 2_000 }, null, 2_000],
  [{ status: 'running' }, 200, null], [{ status: 'running', deadlineAt: NOW + 1 }, 200, NOW + 1],
  [{ status: 'completed', deadlineAt: NOW + 1, dueAt: NOW + 5, expiresAt: NOW + 2 }, 5, null], [{ status: 'failed', deadlineAt: 5 }, 5, null], [{ status: 'cancelled', deadlineAt: 5 }, 5, null],
])('%j with timeout %s rings at %s', (more, timeout, at) => {
  expect(alarmAt(job(more), NOW, timeout)).toBe(at);
});

test('a job that is neither ready nor over has an alarm that makes it so, or waits for someone', () => {
  for (const dueAt of [0, NOW, NOW + 1, 5_000]) {
    const one = job({ dueAt });
    expect(isReady(one, NOW) || alarmAt(one, NOW, null) === dueAt).toBe(true);
  }
});

test('every status has one state', () => {
  expect(STATUSES.map((status) => `${status} ${stateOf(status)}`)).toEqual([
    'queued PENDING', 'assigned PENDING', 'running PENDING', 'retry PENDING', 'paused PENDING', 'completed COMPLETE', 'failed FAIL', 'cancelled FAIL',
  ]);
});

test('a parent is at work while it runs without a lease', () => {
  expect(isParentAtWork(job({ status: 'running' }))).toBe(true);
  expect(isParentAtWork(job({ status: 'running', ...leased }))).toBe(false);
  expect(isParentAtWork(job({ status: 'paused' }))).toBe(false);
});
