// Goal 1: what being durable costs a POST. Goal 7: what is left of it while the same process runs what is posted.
// Both against the same HTTP side on a store that keeps nothing, on as many connections, round by round.
import { perSecond, type Gate } from '../lib/figures.ts';
import type { Load } from '../lib/load.ts';
import { helper, muster, type Server } from '../lib/servers.ts';
import { type Context, drained, JOB } from './context.ts';

const line = (name: string, load: Load): string =>
  `${name} ${perSecond(load.perSecond)} (p50 ${load.p50.toFixed(2)}, p99 ${load.p99.toFixed(2)} ms${load.failed === 0 ? '' : `, ${load.failed} FAILED`})`;

/** A run with refusals in it is no measurement of what was accepted. */
async function post({ load }: Context, server: Server, connections: number, seconds: number): Promise<Load> {
  const result = await load(`${server.url}/api/jobs`, JOB, connections, seconds);
  if (result.failed > 0) throw new Error(`${result.failed} of ${result.requests} requests failed at ${server.url}.`);
  return result;
}

export async function goal1(context: Context): Promise<void> {
  const { report, guard } = context;
  const durable = await muster(context.folder, { MUSTER_CONCURRENCY: 'noop=0' });
  const raw = await helper('raw-server.ts', 'stub');
  const bare = await helper('raw-server.ts', 'bare');
  try {
    for (const server of [durable, raw, bare]) await post(context, server, 64, 1);
    for (const { connections, gate, stretch } of [{ connections: 64, gate: 0.5, stretch: 0.65 }, { connections: 256, gate: 0.55, stretch: 0.7 }]) {
      const rounds: number[] = [];
      const toBare: number[] = [];
      for (let round = 0; round < context.rounds; round++) {
        const measured: Load[] = [];
        for (const server of round % 2 === 0 ? [raw, durable] : [durable, raw]) {
          await guard.rest();
          measured.push(await post(context, server, connections, context.seconds));
        }
        if (round % 2 === 1) measured.reverse();
        const [without, withStore] = measured as [Load, Load];
        const plain = await post(context, bare, connections, Math.max(1, context.seconds - 1));
        report.line(`  ${connections} connections: ${line('durable', withStore)}, ${line('no store', without)}, ${line('bare Fastify', plain)}`);
        rounds.push(withStore.perSecond / without.perSecond);
        toBare.push(withStore.perSecond / plain.perSecond);
      }
      const what = `durable POST ÷ the same route without a store, ${connections} connections`;
      report.gate({ goal: '1', what, rounds, gate, stretch, better: 'more' } satisfies Gate);
      report.line(`    (÷ bare Fastify with the same zod schema: ${toBare.map((n) => n.toFixed(2)).join(' ')})`);
    }
  } finally {
    await Promise.all([durable.stop(), raw.stop(), bare.stop()]);
  }
}

export async function goal7(context: Context): Promise<void> {
  const { report, guard } = context;
  const raw = await helper('raw-server.ts', 'stub');
  const working = await muster(context.folder, { MUSTER_CONCURRENCY: 'noop=1000' });
  try {
    for (const server of [raw, working]) await post(context, server, 64, 1);
    const rounds: number[] = [];
    for (let round = 0; round < context.rounds; round++) {
      await drained(working.url);
      await guard.rest();
      const without = await post(context, raw, 64, context.seconds);
      await guard.rest();
      const busy = await post(context, working, 64, context.seconds);
      const from = performance.now();
      await drained(working.url);
      const behind = performance.now() - from;
      report.line(`  ${line('while draining', busy)}, ${line('no store', without)}; the last job ended ${behind.toFixed(0)} ms after the last POST`);
      rounds.push(busy.perSecond / without.perSecond);
    }
    report.gate({ goal: '7', what: 'POST while the same process drains it ÷ POST without a store, 64 connections', rounds, gate: 0.3, stretch: 0.45, better: 'more' });
  } finally {
    await Promise.all([working.stop(), raw.stop()]);
  }
}
