// How long a failed attempt waits. Pure: the random draw is a parameter.
import type { Backoff } from './job.ts';

/**
 * Delay before the next try, ms.
 * @param failures failed attempts so far, from 1
 * @param random in [0, 1); with jitter the delay is drawn from the upper half, so it never returns at once
 */
export function backoffDelay(backoff: Backoff, failures: number, random: number): number {
  const n = Math.max(1, failures);
  const raw =
    backoff.kind === 'fixed' ? backoff.base
    : backoff.kind === 'linear' ? backoff.base * n
    : backoff.base * 2 ** Math.min(n - 1, 52); // beyond 2^52 ms the cap has long decided
  const whole = Math.min(raw, backoff.cap);
  return Math.round(backoff.jitter ? whole / 2 + (whole / 2) * random : whole);
}
