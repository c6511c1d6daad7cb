// Jobs, plans and policies for tests: the least that is valid, with what a test is about named by it.
import type { NewJob } from '../../src/domain/commands.ts';
import { EMPTY_SPEC, type Job, type JobError, type JobSpec, NO_CHILDREN } from '../../src/domain/job.ts';
import { DEFAULT_POLICY, type Policies } from '../../src/domain/policy.ts';
import { START } from './clock.ts';

/** noop and friends differ in one row each, so that a test can name the rule it is about. */
export const POLICIES: Policies = {
  batch: { ...DEFAULT_POLICY, maxAttempts: 1 },
  gentle: { ...DEFAULT_POLICY, gentle: true },
  noop: { ...DEFAULT_POLICY, maxAttempts: 3, backoff: { kind: 'fixed', base: 1_000, cap: 1_000, jitter: false } },
  once: { ...DEFAULT_POLICY, maxAttempts: 1 },
  timed: { ...DEFAULT_POLICY, timeout: 5_000 },
  brief: { ...DEFAULT_POLICY, ttl: 2_000 },
  orphanPaused: { ...DEFAULT_POLICY, onOrphan: 'pause' },
  orphanFailed: { ...DEFAULT_POLICY, onOrphan: 'fail' },
};

/** Not this process: its leases lapse. */
export const WORKER = 'elsewhere';

export function plan(more: Partial<NewJob> & { spec?: JobSpec } = {}): NewJob {
  return { type: 'noop', input: '{}', spec: EMPTY_SPEC, ...more };
}

export function batch(children: readonly NewJob[], spec: JobSpec = {}, more: Partial<NewJob> = {}): NewJob {
  return { type: 'batch', input: '{}', spec, children, ...more };
}

export const leaves = (count: number, more: Partial<NewJob> = {}): NewJob[] => Array.from({ length: count }, () => plan(more));

export const failure = (retryable = false, message = 'It broke.'): JobError => ({ code: 'handler_error', message, retryable });

export function job(more: Partial<Job> = {}): Job {
  return {
    id: 'job_1', type: 'noop', parentId: null, rootId: 'job_1', ordinal: null, depth: 0, spec: EMPTY_SPEC, status: 'queued', gate: 'open',
    priority: 5, dueAt: START, createdAt: START, startedAt: null, endedAt: null, expiresAt: null, deadlineAt: null, attempt: 0,
    failures: 0, interruptions: 0, crashes: 0, attemptStartedAt: null, claimedAt: null, leaseUntil: null, leaseEpoch: 0, worker: null,
    children: NO_CHILDREN, progress: null, logBytes: 0, error: null, ending: null, ...more,
  };
}
