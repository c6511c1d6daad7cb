// What a seed turns on: each run gets its own mix of harms and of rare branches made wide, so that no harm always hides
// behind another. (Swarm testing: a run with everything on finds less than runs with some of it.)
import type { Rng } from '../fault/rng.ts';

export interface Knobs {
  /** Mean ms of simulated time between two harms of a kind; null = none in this run. */
  readonly kill: number | null;
  readonly stop: number | null;
  readonly ioError: number | null;
  readonly fullDisk: number | null;
  readonly slowDisk: number | null;
  readonly jump: number | null;
  readonly freeze: number | null;
  /** Share of calls to participants that go wrong. */
  readonly badCalls: number;
  /** The widened branches; as in the product where null. */
  readonly lease: number | null;
  readonly ringEvents: number | null;
  readonly queueMax: number | null;
  readonly tickLimit: number | null;
  readonly concurrency: number | null;
  /** Bytes a stream's socket takes before it asks to wait. */
  readonly socket: number;
  /** Answers that a client never sees though the server lives. */
  readonly lostAnswers: number;
}

export function drawKnobs(rng: Rng): Knobs {
  const harm = (mean: number, share = 0.5): number | null => (rng.chance(share) ? mean * (0.3 + rng.next() * 1.4) : null);
  const wide = <T>(list: readonly T[]): T | null => (rng.chance(0.35) ? rng.pick(list) : null);
  return {
    kill: harm(70_000, 0.7), stop: harm(200_000, 0.4), ioError: harm(250_000, 0.3), fullDisk: harm(200_000, 0.3), slowDisk: harm(120_000, 0.4),
    jump: harm(150_000, 0.4), freeze: harm(150_000, 0.4), badCalls: rng.pick([0, 0.1, 0.3, 0.5]),
    lease: wide([1, 20, 1_000, 9_000]), ringEvents: wide([1, 4, 32]), queueMax: wide([1, 3, 20]), tickLimit: wide([1, 2, 5]), concurrency: wide([1, 2]),
    socket: rng.pick([16_384, 16_384, 600]), lostAnswers: rng.pick([0, 0.02, 0.1]),
  };
}
