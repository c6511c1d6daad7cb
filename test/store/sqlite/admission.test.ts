// Who may join the queue for the disk: what is predicted, what is always let in, and what goes first.
import { afterEach, describe, expect, it } from 'vitest';
import type { Command } from '../../../src/domain/commands.ts';
import { BATCH_MAX, createAdmission } from '../../../src/store/sqlite/admission.ts';
import { openStore } from '../../../src/store/sqlite/index.ts';
import { FakeClock } from '../../support/clock.ts';
import { tempFolder } from '../../support/store.ts';

const SUBMIT: Command = { kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: {} }] };
const CANCEL: Command = { kind: 'cancel', jobId: 'job_x' };
const FINISH: Command = { kind: 'finish', ended: [] };
const folder = tempFolder();
afterEach(() => folder.remove());

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

describe('the writer', () => {
  it('commits ends of runs and claims before the submissions that came before them', async () => {
    const store = await openStore({ path: folder.file('muster.db'), clock: new FakeClock(), policies: {} });
    await store.execute(SUBMIT);
    const order: string[] = [];
    // One turn, one message to the writer: three commits' worth of submissions, then a claim.
    const submissions = Array.from({ length: 3 * BATCH_MAX }, (_, i) => store.execute(SUBMIT).then(() => { order.push(`submit ${i}`); }));
    const claim = store.execute({ kind: 'claim', worker: 'test', type: 'noop', limit: 1 }).then(({ claimed }) => { order.push(`claimed ${claimed.length}`); });
    await Promise.all([...submissions, claim]);
    await store.close();
    expect(order.indexOf('claimed 1')).toBe(0);
    expect(order.slice(1)).toEqual(Array.from({ length: 3 * BATCH_MAX }, (_, i) => `submit ${i}`));
  });
});
