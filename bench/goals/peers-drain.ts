// Goal 4: the no-op drain against graphile-worker with its batch options and BullMQ on Redis AOF everysec, as many jobs
// each, filled beforehand. A peer's clock begins with its first handler, ours with the request that raises the limit.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { postgres, redis } from '../lib/databases.ts';
import { perSecond, rate } from '../lib/figures.ts';
import { emptied, helper, muster, type Server } from '../lib/servers.ts';
import { type Context, drained, havePeers, JOB, setConcurrency } from './context.ts';

const BULK = 10_000;
const OURS_AT_ONCE = 2_000;
/** Tried before the first round; the best is measured. */
const BULLMQ_AT_ONCE = [25, 50, 100, 200];

type Reply = { readonly done: string; readonly ms?: number };

async function ask({ child }: Server, message: object): Promise<Reply> {
  const over = new AbortController();
  try {
    const ended = once(child, 'exit', over).then(() => { throw new Error('A peer ended while it was measured.'); });
    child.send(message);
    const [reply] = (await Promise.race([once(child, 'message', over), ended])) as [Reply];
    return reply;
  } finally {
    over.abort();
  }
}

async function peer(server: Server, jobs: number, input: object, options: object, rest: () => Promise<unknown>): Promise<number> {
  await ask(server, { command: 'fill', jobs, body: { type: 'noop', input } });
  await rest();
  const { ms = NaN } = await ask(server, { command: 'drain', jobs, ...options });
  return rate(jobs, ms);
}

/** A server and file of its own each time: ended jobs stay in ours, and would count for or against it. */
async function ours(folder: string, jobs: number, input: object, rest: () => Promise<unknown>): Promise<number> {
  const server = await muster(emptied(folder), { MUSTER_CONCURRENCY: 'noop=0' });
  const fill = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= BULK) {
      const body = JSON.stringify({ jobs: Array.from({ length: Math.min(left, BULK) }, () => ({ type: 'noop', input })) });
      const answer = await fetch(`${server.url}/api/jobs/bulk`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      if (answer.status !== 201) throw new Error(`${answer.status} ${(await answer.text()).slice(0, 300)}`);
      await answer.arrayBuffer();
    }
  };
  try {
    await fill(BULK); // warm, as the peers' processes are from the second round on
    await setConcurrency(server.url, OURS_AT_ONCE);
    await drained(server.url);
    await setConcurrency(server.url, 0);
    await fill(jobs);
    await rest();
    const start = performance.now();
    await setConcurrency(server.url, OURS_AT_ONCE);
    await drained(server.url);
    return rate(jobs, performance.now() - start);
  } finally {
    await server.stop();
  }
}

const SHAPES = [
  { name: '200 bytes (ours hands them back and stores them twice)', input: (JSON.parse(JOB) as { input: object }).input },
  { name: 'empty input', input: {} },
];

export async function goal4({ folder, report, guard, rounds, quick, round: begin }: Context): Promise<void> {
  if (!havePeers(report, 'postgresql', 'redis-server')) return;
  const jobs = quick ? 20_000 : 100_000;
  const own = join(folder, 'muster');
  mkdirSync(own);
  const opened: { stop(): Promise<void> }[] = [];
  try {
    const pg = await postgres(join(folder, 'pg'));
    opened.unshift(pg);
    const memory = await redis(join(folder, 'redis'), 'everysec');
    opened.unshift(memory);
    const graphile = await helper('peers/graphile-server.mjs', pg.socket, 'drain');
    opened.unshift(graphile);
    const bullmq = await helper('peers/bullmq-server.mjs', memory.socket, 'drain');
    opened.unshift(bullmq);

    for (const { name, input } of SHAPES) {
      const rest = (): Promise<unknown> => guard.rest();
      await peer(graphile, jobs / 5, input, { batches: true }, rest); // their compilers warm too
      const plain = await peer(graphile, Math.min(jobs, 20_000), input, { batches: false }, rest);
      const tried = new Map<number, number>();
      for (const concurrency of [50, ...BULLMQ_AT_ONCE]) tried.set(concurrency, await peer(bullmq, jobs / 5, input, { concurrency }, rest));
      const concurrency = [...tried].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 100;
      report.line(`  ${name}: BullMQ ${[...tried].map(([n, r]) => `${n} at once ${perSecond(r)}`).join(', ')}: ${concurrency} is measured; graphile-worker without batches ${perSecond(plain)}`);
      const ratios: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        const disk = await begin();
        const systems = [
          () => ours(own, jobs, input, rest), () => peer(graphile, jobs, input, { batches: true }, rest), () => peer(bullmq, jobs, input, { concurrency }, rest),
        ];
        const rates = [NaN, NaN, NaN];
        for (let n = 0; n < systems.length; n++) {
          const i = (n + round) % systems.length;
          rates[i] = (await systems[i]?.()) ?? NaN;
        }
        const [a = NaN, b = NaN, c = NaN] = rates;
        report.line(`    Muster ${perSecond(a)}, graphile-worker with batches ${perSecond(b)}, BullMQ everysec ${perSecond(c)}; ${disk}`);
        ratios[0].push(a / b);
        ratios[1].push(a / c);
      }
      report.gate({ goal: '4', what: `no-op drain ÷ graphile-worker with batch options, ${name}`, rounds: ratios[0], gate: 1.5, stretch: 3, better: 'more' });
      report.gate({ goal: '4', what: `no-op drain ÷ BullMQ everysec, ${name}`, rounds: ratios[1], gate: 3, stretch: 6, better: 'more' });
    }
  } finally {
    for (const one of opened) await one.stop();
  }
}
