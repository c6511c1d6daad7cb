// The simulation's share of every run of the tests: a hundred seeds, the same history from the same seed, and broken cores
// that must be found. MUSTER_SIM_SEED names other seeds; `npm run sim` runs more of them, for longer.
import { expect, onTestFinished, test } from 'vitest';
import { BREAKS } from './breaks.ts';
import { runSeed } from './world.ts';

const SEEDS = 100;
const MINUTES = 10;
const BASE = process.env.MUSTER_SIM_SEED ?? 'ci';
/** Seeds in which a broken core must be found. */
const CONTROL_SEEDS = 12;
const HANG = { timeout: 600_000 };

test(`${SEEDS} seeds of ${MINUTES} simulated minutes break no promise`, HANG, async () => {
  const failed: string[] = [];
  const sum = { jobs: 0, deaths: 0, harms: 0 };
  for (let i = 0; i < SEEDS; i++) {
    const { violations, figures } = await runSeed({ seed: `${BASE}.${i}`, minutes: MINUTES });
    if (violations.length > 0) failed.push(`npm run sim -- --seeds 1 --minutes ${MINUTES} --seed ${BASE}.${i} --verbose: ${violations.slice(0, 3).join(' | ')}`);
    for (const key of ['jobs', 'deaths', 'harms'] as const) sum[key] += figures[key];
    await new Promise((resolve) => { setImmediate(resolve); }); // rejections that nobody heard are told now
  }
  console.log(`seeds ${BASE}.0 to ${BASE}.${SEEDS - 1}: ${JSON.stringify(sum)}`);
  expect(failed).toEqual([]);
  expect(sum.jobs, 'it did something').toBeGreaterThan(SEEDS * 30);
  expect(sum.deaths).toBeGreaterThan(SEEDS);
});

test('one seed has one history, and another has another', HANG, async () => {
  for (const seed of ['same.1', 'same.2', 'same.3']) {
    const lines: string[][] = [[], []];
    const runs = [];
    for (const kept of lines) runs.push(await runSeed({ seed, minutes: 3, say: (line) => kept.push(line) }));
    expect(lines[0]!.length).toBeGreaterThan(100);
    const apart = lines[0]!.findIndex((line, i) => line !== lines[1]![i]);
    expect(apart < 0 ? null : { apart, first: lines[0]![apart], second: lines[1]![apart] }).toBeNull();
    expect(runs[0]!.digest).toBe(runs[1]!.digest);
  }
  const [one, other] = [await runSeed({ seed: 'same.1', minutes: 1 }), await runSeed({ seed: 'same.2', minutes: 1 })];
  expect(one.digest).not.toBe(other.digest);
});

test.each(Object.entries(BREAKS))('finds the core in which %s', HANG, async (_name, broken) => {
  const undo = broken.apply?.();
  onTestFinished(() => undo?.());
  for (let i = 0; i < CONTROL_SEEDS; i++) {
    const { violations } = await runSeed({ seed: `control.${i}`, minutes: MINUTES, tamper: broken.tamper, random: broken.random, knobs: broken.knobs });
    if (violations.length === 0) continue;
    expect(violations[0], broken.what).toMatch(broken.sign);
    return;
  }
  expect.fail(`${broken.what}: not found in ${CONTROL_SEEDS} seeds`);
});
