import { expect, test } from 'vitest';
import { type Claim, type Command, emptyAnswer } from '../../../src/domain/commands.ts';
import { EMPTY_SPEC, type Job, NO_CHILDREN } from '../../../src/domain/job.ts';
import type { Outcome } from '../../../src/domain/outcome.ts';
import { packReport, packTask, unpackReport, unpackTask } from '../../../src/store/sqlite/message.ts';
import type { Report, Task } from '../../../src/store/sqlite/writer.ts';
import { NO_COUNTS, type Run, type Schedule } from '../../../src/domain/schedule.ts';
import { START } from '../../support/clock.ts';
import { failure, job, plan } from '../../support/make.ts';

const claim = (more: Partial<Claim> = {}): Claim => ({
  id: 'job_1', type: 'noop', input: '{}', epoch: 1, attempt: 1, failures: 0, rootId: 'job_1', parentId: null, spec: EMPTY_SPEC, children: NO_CHILDREN,
  priority: 5, createdAt: START, claimedAt: START + 1, secret: null, kept: null, ending: null, ...more,
});
const ENDING = { status: 'cancelled', error: failure(), until: 14 } as const;
const RUN: Run = { scheduleId: 'sched_1', nominalAt: START, kind: 'cron', status: 'running', reason: null, jobId: 'job_1', untilAt: null, count: 1, at: START, endedAt: null };
const SCHEDULE: Schedule = {
  id: 'sched_1', client: null, type: 'noop', jobs: 1, status: 'active', note: null, revision: 1, nextAt: START, aimedAt: START, lastAt: null, counts: NO_COUNTS,
  open: 0, buffered: 0, failuresInRow: 0, createdAt: START, updatedAt: START, spec: {
    cron: '* * * * *', timezone: 'UTC', overlap: 'skip', catchUp: 'skip', window: 1, catchUpMax: 1, jitter: 0, startAt: null, endAt: null, blackouts: [], pauseAfter: null,
  },
};
/** Another value than any field has in a plain one. */
const OTHER: { readonly [K in keyof Job]: Job[K] } = {
  id: 'job_2', type: 'batch', parentId: 'job_0', rootId: 'job_0', ordinal: 3, depth: 2, spec: { ttl: 1, tags: ['a'] }, status: 'failed', gate: 'parent',
  priority: 9, dueAt: null, createdAt: START - 1, startedAt: 1, endedAt: 2, expiresAt: 3, deadlineAt: 4, attempt: 5, failures: 6, interruptions: 7, crashes: 8,
  attemptStartedAt: 9, claimedAt: 10, leaseUntil: 11, leaseEpoch: 12, worker: 'w', children: { ...NO_CHILDREN, total: 1 }, progress: 0.5, logBytes: 13, error: failure(), ending: ENDING,
};
const OTHER_CLAIM: Partial<Claim> = { epoch: 2, attempt: 3, failures: 4, rootId: 'job_0', parentId: 'job_0', spec: { width: 1 }, children: { ...NO_CHILDREN, open: 1 }, priority: 1, secret: '{}', kept: { attempt: 1, mark: '{}' }, ending: failure() };

const oneByOne = <T extends object>(fields: Partial<T>): Partial<T>[] => Object.entries(fields).map(([name, value]) => ({ [name]: value }) as Partial<T>);
const carried = (task: Task): Task => unpackTask(structuredClone(packTask(task)));
const reported = (report: Report): Report => unpackReport(structuredClone(packReport(report)));

test('a job and a claim arrive as they left, whichever field is not plain', () => {
  const jobs = [job(), job(OTHER), ...oneByOne(OTHER).map(job)];
  const claimed = [claim(), claim(OTHER_CLAIM), ...oneByOne(OTHER_CLAIM).map(claim)];
  const report: Report = { kind: 'done', full: true, lastSeq: 9, list: [...jobs.map((one, id) => ({ id, answer: { ...emptyAnswer(), jobs: [one] } })), { id: 99, answer: { ...emptyAnswer(), claimed, grant: null, seen: claimed.length } }] };
  expect(reported(report)).toEqual(report);
});

test('so does every other part of an answer, and a refusal', () => {
  const lost = { jobId: 'job_1', code: 'lease_lost', message: 'Gone.' } as const;
  const report: Report = { kind: 'done', full: false, lastSeq: 0, list: [
    { id: 1, answer: { jobs: [], replayed: ['job_1'], claimed: [], refused: [lost], revoked: [{ jobId: 'job_1', epoch: 2 }], stopping: [{ jobId: 'job_1', epoch: 3 }], seen: 7, grant: null, schedule: SCHEDULE, runs: [RUN], late: 3 } },
    { id: 2, refusal: { code: 'conflict', message: 'No.', details: { hint: 'Wait.' } } },
  ] };
  expect(reported(report)).toEqual(report);
});

const OUTCOMES: readonly Outcome[] = [
  { kind: 'done', result: null }, { kind: 'done', result: '{"kind":"fail"}' }, { kind: 'done', result: null, documents: [] },
  { kind: 'fail', error: failure(), result: null }, { kind: 'later', delay: 5 }, { kind: 'paused' }, { kind: 'interrupted', reason: 'Stopped.', lost: true },
];

test('commands arrive as they left: submissions of every kind, and all the others', () => {
  const commands: Command[] = [
    { kind: 'submit', jobs: [plan()] },
    { kind: 'submit', jobs: [plan({ priority: 1, dueAt: null, spec: { ttl: 5 }, children: [plan(), plan({ dueAt: START })] }), plan({ input: '[1]' })], parentId: 'job_0' },
    { kind: 'submit', jobs: [plan()], idempotency: { scope: 's', key: 'k', bodyHash: 'h' } },
    { kind: 'submit', jobs: [plan()], under: { permissionId: 1, signer: '0x1', operation: 'x' } },
    { kind: 'claim', worker: 'w', type: 'noop', limit: 3 },
    { kind: 'cancel', jobId: 'job_1', reason: undefined },
    { kind: 'finish', ended: OUTCOMES.map((outcome, i) => ({ jobId: `job_${i}`, epoch: i + 1, outcome })) },
  ];
  const task: Task = { kind: 'commands', list: commands.map((command, id) => ({ id, command, now: START + id })) };
  expect(carried(task)).toEqual(task);
});

test('what has no answer in it goes as it is', () => {
  expect(carried({ kind: 'shift', id: 1, by: 2 })).toEqual({ kind: 'shift', id: 1, by: 2 });
  expect(reported({ kind: 'failed', message: 'x' })).toEqual({ kind: 'failed', message: 'x' });
});
