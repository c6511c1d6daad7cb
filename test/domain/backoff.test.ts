// Delays between attempts: inside their bounds for a million draws, growing, capped.
import { expect, test } from 'vitest';
import { backoffDelay } from '../../src/domain/backoff.ts';
import type { Backoff } from '../../src/domain/job.ts';

/** A small generator with a seed, so that a failure can be repeated. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('a million draws stay between half the delay and the whole, and reach both ends', () => {
  const random = draws(7);
  const kinds = ['exponential', 'linear', 'fixed'] as const;
  let outside = 0;
  let low = 1;
  let high = 0;
  for (let i = 0; i < 1_000_000; i++) {
    const backoff: Backoff = { kind: kinds[i % 3]!, base: 1_000, cap: 60_000, jitter: true };
    const n = 1 + (i % 12);
    const whole = Math.min(60_000, backoff.kind === 'fixed' ? 1_000 : backoff.kind === 'linear' ? 1_000 * n : 1_000 * 2 ** (n - 1));
    const share = backoffDelay(backoff, n, random()) / whole;
    if (share < 0.5 || share > 1) outside += 1;
    low = Math.min(low, share);
    high = Math.max(high, share);
  }
  expect(outside).toBe(0);
  expect(low).toBeLessThan(0.501);
  expect(high).toBeGreaterThan(0.999);
});

test.each(['exponential', 'linear', 'fixed'] as const)('%s never shrinks from one failure to the next, up to its cap and for ever', (kind) => {
  const backoff: Backoff = { kind, base: 3, cap: 1e9, jitter: false };
  let last = 0;
  for (let n = 1; n <= 5_000; n++) {
    const delay = backoffDelay(backoff, n, 0);
    expect(delay >= last && delay <= 1e9).toBe(true);
    last = delay;
  }
  expect(last).toBe(kind === 'exponential' ? 1e9 : kind === 'linear' ? 15_000 : 3);
});

test.each([
  ['exponential', 1, 1_000], ['exponential', 2, 2_000], ['exponential', 5, 16_000], ['exponential', 7, 60_000], ['exponential', 1e6, 60_000],
  ['linear', 3, 3_000], ['linear', 100, 60_000], ['fixed', 1, 1_000], ['fixed', 9, 1_000], ['fixed', 0, 1_000],
] as const)('%s after %i failures waits %i ms', (kind, failures, delay) => {
  expect(backoffDelay({ kind, base: 1_000, cap: 60_000, jitter: false }, failures, 0.9)).toBe(delay);
});

test('a base above the cap waits the cap, and a base of zero not at all', () => {
  expect(backoffDelay({ kind: 'fixed', base: 9, cap: 4, jitter: false }, 1, 0)).toBe(4);
  expect(backoffDelay({ kind: 'exponential', base: 0, cap: 4, jitter: true }, 9, 0.5)).toBe(0);
});
