// Every status × every command, for a single job and for a batch, from one table: what it comes to, or the refusal.
import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/domain/commands.ts';
import { DomainError } from '../../src/domain/errors.ts';
import { isFinal, type Job, type JobError, type JobStatus, STATUSES } from '../../src/domain/job.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { START } from '../support/clock.ts';
import { job as make, plan } from '../support/make.ts';
import { decideOn } from './decide.ts';

const EPOCH = 3;
const retryable: JobError = { code: 'network', message: 'No.', retryable: true };
const finish = (outcome: Outcome, epoch = EPOCH): Command => ({ kind: 'finish', ended: [{ jobId: 'job_1', epoch, outcome }] });
const tick: Command = { kind: 'tick', limit: 10, spareLeases: false };

/** A command, and what it needs to find in the job. */
interface Ask { readonly command: Command; readonly with?: (job: Job) => Partial<Job> }
const past = START - 1;

const ASKS: Record<string, Ask> = {
  start: { command: { kind: 'start', jobId: 'job_1' } },
  pause: { command: { kind: 'pause', jobId: 'job_1' } },
  resume: { command: { kind: 'resume', jobId: 'job_1' } },
  retry: { command: { kind: 'retry', jobId: 'job_1' } },
  cancel: { command: { kind: 'cancel', jobId: 'job_1' } },
  edit: { command: { kind: 'edit', jobId: 'job_1', patch: { priority: 9, timeout: 5 } } },
  'edit tags': { command: { kind: 'edit', jobId: 'job_1', patch: { tags: ['x'] } } },
  seal: { command: { kind: 'edit', jobId: 'job_1', patch: { sealed: true } } },
  remove: { command: { kind: 'remove', jobId: 'job_1' } },
  'add child': { command: { kind: 'submit', jobs: [plan()], parentId: 'job_1' } },
  claim: { command: { kind: 'claim', worker: 'local', type: 'noop', limit: 5 } },
  done: { command: finish({ kind: 'done', result: '1' }) },
  fail: { command: finish({ kind: 'fail', error: { ...retryable, retryable: false } }) },
  'fail, retryable': { command: finish({ kind: 'fail', error: retryable }) },
  'fail, last attempt': { command: finish({ kind: 'fail', error: retryable }), with: () => ({ failures: 9 }) },
  later: { command: finish({ kind: 'later', delay: 5 }) },
  spawn: { command: finish({ kind: 'spawn', children: [plan()] }) },
  'spawn of none': { command: finish({ kind: 'spawn', children: [] }) },
  paused: { command: finish({ kind: 'paused' }) },
  interrupted: { command: finish({ kind: 'interrupted', reason: 'Stop.' }) },
  timed_out: { command: finish({ kind: 'timed_out', after: 5 }) },
  'stale done': { command: finish({ kind: 'done', result: '1' }, EPOCH - 1) },
  renew: { command: { kind: 'renew', leases: [{ jobId: 'job_1', epoch: EPOCH }] } },
  note: { command: { kind: 'note', jobId: 'job_1', epoch: EPOCH, progress: 0.5, events: [] } },
  'stale note': { command: { kind: 'note', jobId: 'job_1', epoch: EPOCH + 1, events: [] } },
  'tick, nothing due': { command: tick },
  'tick, deadline': { command: tick, with: () => ({ deadlineAt: past }) },
  'tick, ttl': { command: tick, with: () => ({ expiresAt: past }) },
  'tick, timeout': { command: tick, with: (job) => ({ spec: { ...job.spec, timeout: 5 }, claimedAt: START - 5 }) },
  'tick, lease lost': { command: tick, with: (job) => (job.leaseUntil === null ? {} : { leaseUntil: START }) },
  'tick, lease lost too often': { command: tick, with: (job) => (job.leaseUntil === null ? {} : { leaseUntil: START, interruptions: 9 }) },
  'tick, lease spared': { command: { ...tick, spareLeases: true }, with: (job) => (job.leaseUntil === null ? {} : { leaseUntil: START }) },
  recover: { command: { kind: 'recover', worker: 'local', limit: 5 } },
  'recover, third crash': { command: { kind: 'recover', worker: 'local', limit: 5 }, with: () => ({ crashes: 2 }) },
  end: { command: { kind: 'end', jobId: 'job_1', status: 'failed', error: retryable } },
};

const C = 'conflict';
const L = 'lease_lost';
type Word = JobStatus | 'conflict' | 'lease_lost' | 'removed';

// A dot: the status stays. A job that has ended is in nobody's pick; there a dot also says that nothing is written.
const LEAF = `
                            queued     assigned   running    retry      paused     completed  failed     cancelled
start                       .          C          C          .          C          C          C          C
pause                       paused     C          C          paused     C          C          C          C
resume                      C          C          C          C          queued     C          C          C
retry                       C          C          C          .          C          C          queued     queued
cancel                      cancelled  cancelled  cancelled  cancelled  cancelled  C          C          C
edit                        .          .          .          .          .          C          C          C
edit tags                   .          .          .          .          .          .          .          .
seal                        C          C          C          C          C          C          C          C
remove                      C          C          C          C          C          removed    removed    removed
add child                   C          C          C          C          C          C          C          C
claim                       running    -          -          running    -          -          -          -
done                        L          completed  completed  L          L          L          L          L
fail                        L          failed     failed     L          L          L          L          L
fail, retryable             L          retry      retry      L          L          L          L          L
fail, last attempt          L          failed     failed     L          L          L          L          L
later                       L          queued     queued     L          L          L          L          L
spawn                       L          running    running    L          L          L          L          L
spawn of none               L          completed  completed  L          L          L          L          L
paused                      L          paused     paused     L          L          L          L          L
interrupted                 L          queued     queued     L          L          L          L          L
timed_out                   L          retry      retry      L          L          L          L          L
stale done                  L          L          L          L          L          L          L          L
renew                       L          .          .          L          L          L          L          L
note                        L          .          .          L          L          L          L          L
stale note                  L          L          L          L          L          L          L          L
tick, nothing due           .          .          .          .          .          .          .          .
tick, deadline              failed     failed     failed     failed     failed     .          .          .
tick, ttl                   failed     .          .          failed     .          .          .          .
tick, timeout               .          retry      retry      .          .          .          .          .
tick, lease lost            .          queued     queued     .          .          .          .          .
tick, lease lost too often  .          failed     failed     .          .          .          .          .
tick, lease spared          .          .          .          .          .          .          .          .
recover                     .          queued     queued     .          .          .          .          .
recover, third crash        .          failed     failed     .          .          .          .          .
end                         failed     failed     failed     failed     failed     .          .          .`;

// queued: not opened yet. running: its children are. assigned, calling, retry: at its own final call.
const BATCH = `
                            queued     assigned   running    calling    retry      paused     completed  failed     cancelled
start                       .          C          C          C          .          C          C          C          C
pause                       paused     C          paused     C          paused     C          C          C          C
resume                      C          C          C          C          C          running    C          C          C
retry                       C          C          C          C          .          C          C          queued     queued
cancel                      cancelled  cancelled  cancelled  cancelled  cancelled  cancelled  C          C          C
edit                        .          .          .          .          .          .          C          C          C
edit tags                   .          .          .          .          .          .          .          .          .
seal                        .          .          .          .          .          .          C          C          C
remove                      C          C          C          C          C          C          removed    removed    removed
add child                   .          C          .          C          .          .          C          C          C
claim                       running    -          -          -          running    -          -          -          -
done                        L          completed  L          completed  L          L          L          L          L
fail                        L          failed     L          failed     L          L          L          L          L
fail, retryable             L          retry      L          retry      L          L          L          L          L
fail, last attempt          L          failed     L          failed     L          L          L          L          L
later                       L          queued     L          queued     L          L          L          L          L
paused                      L          paused     L          paused     L          L          L          L          L
interrupted                 L          queued     L          queued     L          L          L          L          L
timed_out                   L          retry      L          retry      L          L          L          L          L
stale done                  L          L          L          L          L          L          L          L          L
renew                       L          .          L          .          L          L          L          L          L
note                        L          .          L          .          L          L          L          L          L
stale note                  L          L          L          L          L          L          L          L          L
tick, nothing due           .          .          .          .          .          .          .          .          .
tick, deadline              failed     failed     failed     failed     failed     failed     .          .          .
tick, ttl                   failed     .          .          .          failed     .          .          .          .
tick, timeout               .          retry      .          retry      .          .          .          .          .
tick, lease lost            .          queued     .          queued     .          .          .          .          .
tick, lease lost too often  .          failed     .          failed     .          .          .          .          .
tick, lease spared          .          .          .          .          .          .          .          .          .
recover                     .          queued     .          queued     .          .          .          .          .
recover, third crash        .          failed     .          failed     .          .          .          .          .
end                         failed     failed     failed     failed     failed     failed     .          .          .`;

/** A job as it may stand in that status. */
function subject(column: string, isBatch: boolean): Job {
  const status = (column === 'calling' ? 'running' : column) as JobStatus;
  const leased = column === 'assigned' || column === 'calling' || (column === 'running' && !isBatch);
  const over = isFinal(status);
  const ended = { total: 2, open: 0, waiting: 0, completed: 2, failed: 0, cancelled: 0 };
  const open = { total: 2, open: 2, waiting: column === 'queued' ? 2 : 0, completed: 0, failed: 0, cancelled: 0 };
  return make({
    status, leaseEpoch: EPOCH, attempt: 2, startedAt: column === 'queued' ? null : START - 10, endedAt: over ? START - 1 : null,
    ...(leased ? { leaseUntil: START + 1_000, worker: 'elsewhere', attemptStartedAt: START - 10, claimedAt: START - 1 } : {}),
    ...(status === 'failed' ? { error: retryable } : {}),
    ...(isBatch ? {
      type: 'batch', spec: { sealed: false, finalCall: true, completion: 'any', maxAttempts: 5 },
      children: column === 'queued' || column === 'paused' || (column === 'running') ? open : ended,
    } : { spec: { maxAttempts: 5 } }),
  });
}

function outcomeOf(before: Job, command: Command): { word: Word; written: number } {
  try {
    const { jobs, changes, answer } = decideOn([before], command);
    if (answer.refused.length > 0) return { word: answer.refused[0]!.code as Word, written: changes.length };
    if (changes.some((change) => change.kind === 'remove')) return { word: 'removed', written: changes.length };
    return { word: jobs.get('job_1')!.status, written: changes.length };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { word: error.code as Word, written: 0 };
  }
}

for (const [name, table, isBatch] of [['a single job', LEAF, false], ['a batch', BATCH, true]] as const) {
  const [head, ...lines] = table.trim().split('\n');
  const columns = head!.trim().split(/\s+/);
  describe(name, () => {
    test('the table has every status and every command', () => {
      expect(new Set(columns.map((column) => (column === 'calling' ? 'running' : column)))).toEqual(new Set(STATUSES));
      const asks = Object.keys(ASKS).filter((ask) => !isBatch || !ask.startsWith('spawn'));
      expect(lines.map((line) => line.slice(0, 28).trim())).toEqual(asks);
      const kinds = new Set(Object.values(ASKS).map((ask) => ask.command.kind));
      for (const kind of ['submit', 'claim', 'finish', 'renew', 'note', 'start', 'pause', 'resume', 'retry', 'cancel', 'edit', 'remove', 'tick', 'recover', 'end'] as const) expect(kinds).toContain(kind);
    });

    for (const line of lines) {
      const ask = line.slice(0, 28).trim();
      test.each(line.slice(28).trim().split(/\s+/).map((word, i) => [columns[i]!, word] as const))(`${ask} while %s: %s`, (column, word) => {
        if (word === '-') return; // a claim is only given what is ready
        const plain = subject(column, isBatch);
        const { command, with: more } = ASKS[ask]!;
        const before = isFinal(plain.status) ? plain : { ...plain, ...more?.(plain) };
        const { word: got, written } = outcomeOf(before, command);
        expect(got).toBe(word === '.' ? plain.status : word === 'C' ? C : word === 'L' ? L : word);
        if (word === 'C' || word === 'L' || (word === '.' && isFinal(plain.status) && ask !== 'edit tags')) expect(written).toBe(0);
        else expect(written).toBeGreaterThan(command.kind === 'recover' && word === '.' ? -1 : 0);
      });
    }
  });
}

test('every final transition writes exactly one final event, clears the lease and stamps the end', () => {
  for (const [column, ask] of [['running', 'done'], ['running', 'fail'], ['queued', 'cancel'], ['paused', 'tick, deadline'], ['retry', 'tick, ttl'], ['running', 'recover, third crash']] as const) {
    const before = subject(column, false);
    const { command, with: more } = ASKS[ask]!;
    const { jobs, changes } = decideOn([{ ...before, ...more?.(before) }], command);
    expect(changes.filter((change) => change.kind === 'event' && change.final === true)).toHaveLength(1);
    expect(jobs.get('job_1')).toMatchObject({ leaseUntil: null, worker: null, endedAt: START, gate: 'open' });
  }
});
