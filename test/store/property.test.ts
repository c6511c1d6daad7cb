// Thousands of random trees, policies and interleavings against an oracle that recounts everything after every commit.
// MUSTER_PROPERTY_RUNS asks for more; MUSTER_PROPERTY_SEED repeats a run. The seed of a failure stands in its message.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plans } from './sim/arbitrary.ts';
import { runPlan } from './sim/run.ts';
import { World } from './sim/world.ts';

const RUNS = Number(process.env.MUSTER_PROPERTY_RUNS ?? 2_000);
const SEED = Number(process.env.MUSTER_PROPERTY_SEED ?? Math.floor(Math.random() * 2 ** 31));

test('every tree reaches one final status, and nothing miscounts, gets stuck or ends twice on the way', { timeout: 60 * 60_000 }, () => {
  console.log(`property seed ${SEED}, ${RUNS} runs`);
  let jobs = 0;
  const property = fc.property(plans, (plan) => {
    const world = new World();
    try {
      runPlan(world, plan);
      jobs += world.rows().length;
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${world.log.join('\n')}`);
    } finally {
      world.close();
    }
  });
  const limit = process.env.MUSTER_PROPERTY_SHRINK_MS;
  fc.assert(property, { numRuns: RUNS, seed: SEED, ...(limit === undefined ? {} : { interruptAfterTimeLimit: Number(limit), markInterruptAsFailure: true }) });
  expect(jobs).toBeGreaterThan(RUNS);
});
