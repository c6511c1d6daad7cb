// Who may join the queue for the disk: what is predicted, what is always let in, and what goes first.
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/domain/commands.ts';
import { BATCH_MAX, createAdmission, nextBatch } from '../../../src/store/sqlite/admission.ts';
import { FakeClock } from '../../support/clock.ts';

const SUBMIT: Command = { kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: {} }] };
const CANCEL: Command = { kind: 'cancel', jobId: 'job_x' };
const FINISH: Command = { kind: 'finish', ended: [] };

function rig(queueMax?: number) {
  const clock = new FakeClock();
  const waiting = new Map<number, { since: number }>();
  const admission = createAdmission(clock, waiting, queueMax);
  return {
    clock, admission,
    queue: (count: number): void => {
      waiting.clear();
      for (let i = 0; i < count; i++) waiting.set(i, { since: clock.monotonic() });
    },
    commits: (ms: number): void => { for (let i = 0; i < 40; i++) admission.committed(ms); },
    refused: () => [SUBMIT, CANCEL, FINISH].map((command) => admission.refuses(command)),
  };
}

describe('admission', () => {
  it('refuses what would wait longer than two seconds, cancellations what would wait four, ends of runs never', () => {
    const { queue, commits, refused } = rig();
    commits(500);
    queue(4 * BATCH_MAX - 1);
    expect(refused()).toEqual([false, false, false]);
    queue(4 * BATCH_MAX);
    expect(refused()).toEqual([true, false, false]);
    queue(8 * BATCH_MAX - 1);
    expect(refused()).toEqual([true, false, false]);
    queue(8 * BATCH_MAX);
    expect(refused()).toEqual([true, true, false]);
  });

  it('predicts nothing below two full commits, however slow the disk is: the next must find its batch', () => {
    const { queue, commits, refused } = rig();
    commits(30_000);
    queue(2 * BATCH_MAX - 1);
    expect(refused()).toEqual([false, false, false]);
  });

  it('learns from the commits: a fast disk is given its queue back', () => {
    const { queue, commits, refused } = rig();
    commits(1_000);
    queue(3 * BATCH_MAX);
    expect(refused()[0]).toBe(true);
    commits(10);
    expect(refused()[0]).toBe(false);
  });

  it('has bounds whatever is predicted', () => {
    const { queue, refused } = rig(100);
    queue(100);
    expect(refused()).toEqual([true, false, false]);
    queue(200);
    expect(refused()).toEqual([true, true, false]);
  });

  it('refuses while the oldest has waited for two seconds', () => {
    const { clock, queue, refused } = rig();
    queue(1);
    clock.advance(2_001);
    expect(refused()).toEqual([true, false, false]);
  });
});

describe('the next commit', () => {
  const sent = (kind: 'submit' | 'finish' | 'claim', n: number) => ({ n, command: { ...SUBMIT, kind } as unknown as Command });
  const list = (count: number) => Array.from({ length: count }, (_, n) => sent('submit', n));

  it('takes what came in the order in which it came', () => {
    const queue = [...list(3), sent('finish', 3), sent('submit', 4)];
    expect(nextBatch(queue).map(({ n }) => n)).toEqual([0, 1, 2, 3, 4]);
    expect(queue).toEqual([]);
  });

  it('takes ends of runs and claims first where it cannot take all', () => {
    const queue = [...list(2 * BATCH_MAX), sent('claim', -1), sent('finish', -2)];
    expect(nextBatch(queue).map(({ n }) => n)).toEqual([-1, -2, ...list(BATCH_MAX - 2).map(({ n }) => n)]);
    expect(queue.map(({ n }) => n)).toEqual(list(2 * BATCH_MAX).slice(BATCH_MAX - 2).map(({ n }) => n));
  });
});
