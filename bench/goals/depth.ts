// Goal 5: claiming and ending a job must not cost more because many wait, or because many are due later.
// In process, on the port: claims of 250, each ended before the next, so that nothing overlaps and a ratio is a cost.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { NewJob } from '../../src/domain/commands.ts';
import { DEFAULT_POLICY } from '../../src/domain/policy.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { Store } from '../../src/store/store.ts';
import { perSecond, rate } from '../lib/figures.ts';
import type { Context } from './context.ts';

const CLAIM = 250;
const SHALLOW = 1_000;
/** Far enough ahead that none falls due while we measure. */
const FUTURE = 86_400_000;

async function fill(store: Store, count: number, dueAt?: number): Promise<void> {
  const job: NewJob = { type: 'noop', input: JSON.stringify({ result: 'x'.repeat(155) }), spec: {}, ...(dueAt === undefined ? {} : { dueAt }) };
  for (let left = count; left > 0; left -= 10_000) await store.execute({ kind: 'submit', jobs: Array.from({ length: Math.min(left, 10_000) }, () => job) });
}

/** Claims and ends `count` jobs; ms. What was taken is put back afterwards, unmeasured. */
async function turn(store: Store, count: number): Promise<number> {
  const start = performance.now();
  for (let done = 0; done < count; ) {
    const { claimed } = await store.execute({ kind: 'claim', worker: 'bench', type: 'noop', limit: CLAIM });
    if (claimed.length === 0) throw new Error('Nothing was ready.');
    await store.execute({ kind: 'finish', ended: claimed.map(({ id, epoch }) => ({ jobId: id, epoch, outcome: { kind: 'done', result: null } })) });
    done += claimed.length;
  }
  const ms = performance.now() - start;
  await fill(store, count);
  return ms;
}

export async function goal5({ folder, report, guard, rounds, quick }: Context): Promise<void> {
  const deep = quick ? 100_000 : 1_000_000;
  const future = 100_000;
  const open = async (name: string): Promise<Store> => {
    mkdirSync(join(folder, name));
    return openStore({ path: join(folder, name, 'muster.db'), clock: systemClock, policies: { noop: DEFAULT_POLICY } });
  };
  const [shallow, full, later] = [await open('shallow'), await open('deep'), await open('future')];
  try {
    const start = performance.now();
    await fill(full, deep);
    report.line(`  ${deep.toLocaleString('en')} jobs queued in ${((performance.now() - start) / 1_000).toFixed(0)} s`);
    await fill(shallow, SHALLOW);
    await fill(later, SHALLOW);
    await fill(later, future, Date.now() + FUTURE);
    const stores = [shallow, full, later];
    for (const store of stores) await turn(store, SHALLOW);
    const depth: number[] = [];
    const ahead: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await guard.rest();
      const sums = [0, 0, 0];
      const slices = quick ? 5 : 20; // neighbours within a round, so that a disturbance meets all three
      for (let slice = 0; slice < slices; slice++) {
        for (let n = 0; n < stores.length; n++) {
          const i = (n + slice) % stores.length;
          sums[i] = (sums[i] ?? 0) + (await turn(stores[i] as Store, SHALLOW));
        }
      }
      const [a = NaN, b = NaN, c = NaN] = sums;
      const rates = sums.map((ms) => perSecond(rate(slices * SHALLOW, ms)));
      report.line(`  claim + complete: ${rates[0]} of 1k queued, ${rates[1]} of ${deep / 1_000}k, ${rates[2]} of 1k beside ${future / 1_000}k due later`);
      depth.push(b / a);
      ahead.push(c / a);
    }
    report.gate({ goal: '5', what: `claim + complete, cost a job: ${deep / 1_000}k queued ÷ 1k`, rounds: depth, gate: 1.15, stretch: 1.1, better: 'less' });
    report.gate({ goal: '5', what: 'claim + complete, cost a job: 100k future jobs ÷ none', rounds: ahead, gate: 1.2, stretch: 1.1, better: 'less' });
  } finally {
    for (const store of [shallow, full, later]) await store.close();
  }
}
