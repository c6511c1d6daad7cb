// Goals 2 and 3: POST /api/jobs against Fastify with the same schema before a peer's own way to add a job: 64 connections,
// the same client, the same 200 bytes. All servers of a goal are up at once; who begins a round changes with the round.
import { join } from 'node:path';
import { databaseFacts, postgres, POSTGRES_SETTINGS, redis, type Database } from '../lib/databases.ts';
import { perSecond } from '../lib/figures.ts';
import type { Load } from '../lib/load.ts';
import { helper, muster, type Server } from '../lib/servers.ts';
import { type Context, havePeers, JOB } from './context.ts';

const CONNECTIONS = 64;
/** Connections of a peer's pool: all are tried before the first round, the best is measured. */
const POOLS = ['10', '25', '64'];

interface Rival { readonly name: string; readonly server: Server; readonly gate: number; readonly stretch: number }

async function post({ load }: Context, { url }: Server, seconds: number): Promise<Load> {
  const result = await load(`${url}/api/jobs`, JOB, CONNECTIONS, seconds);
  if (result.failed > 0) throw new Error(`${result.failed} of ${result.requests} requests failed at ${url}.`);
  return result;
}

const rotated = <T>(list: readonly T[], by: number): T[] => list.map((_, i) => list[(i + by) % list.length] as T);

async function compare(context: Context, goal: string, rivals: readonly Rival[]): Promise<void> {
  const { report, guard } = context;
  const ours = await muster(context.folder, { MUSTER_CONCURRENCY: 'noop=0' });
  try {
    const all = [{ name: 'Muster', server: ours }, ...rivals];
    for (const { server } of all) await post(context, server, 1);
    const ratios = rivals.map((): number[] => []);
    for (let round = 0; round < context.rounds; round++) {
      const disk = await context.round();
      const rates = new Map<Server, number>();
      const shown: string[] = [];
      for (const { name, server } of rotated(all, round)) {
        await guard.rest();
        const { perSecond: rate, p50, p99 } = await post(context, server, context.seconds);
        rates.set(server, rate);
        shown.push(`${name} ${perSecond(rate)} (${p50.toFixed(1)} / ${p99.toFixed(1)} ms)`);
      }
      report.line(`  ${shown.join(', ')}; ${disk}`);
      for (const [i, { server }] of rivals.entries()) ratios[i]?.push((rates.get(ours) ?? NaN) / (rates.get(server) ?? NaN));
    }
    for (const [i, { name, gate, stretch }] of rivals.entries()) {
      report.gate({ goal, what: `durable POST ÷ Fastify + ${name}, 64 connections`, rounds: ratios[i] ?? [], gate, stretch, better: 'more' });
    }
  } finally {
    await ours.stop();
  }
}

async function tuned(context: Context, module: string, socket: string): Promise<Server> {
  const tried: { pool: string; rate: number }[] = [];
  for (const pool of POOLS) {
    const server = await helper(module, socket, 'post', pool);
    try {
      await post(context, server, 1);
      await context.guard.rest();
      tried.push({ pool, rate: (await post(context, server, context.seconds)).perSecond });
    } finally {
      await server.stop();
    }
  }
  const best = tried.sort((a, b) => b.rate - a.rate)[0]?.pool ?? '25';
  context.report.line(`  ${module}: ${tried.map(({ pool, rate }) => `a pool of ${pool} ${perSecond(rate)}`).join(', ')}: ${best} is measured`);
  return helper(module, socket, 'post', best);
}

/** Servers and databases of a goal: all of them are stopped, whatever failed. */
async function within(work: (open: { database: (d: Promise<Database>) => Promise<Database>; server: (s: Promise<Server>) => Promise<Server> }) => Promise<void>): Promise<void> {
  const opened: { stop(): Promise<void> }[] = [];
  const keep = async <T extends { stop(): Promise<void> }>(one: Promise<T>): Promise<T> => {
    const got = await one;
    opened.unshift(got);
    return got;
  };
  try {
    await work({ database: keep, server: keep });
  } finally {
    for (const one of opened) await one.stop();
  }
}

export async function goal2(context: Context): Promise<void> {
  if (!havePeers(context.report, 'redis-server')) return;
  context.report.line(`  ${databaseFacts().join(', ')}; both over a unix socket, ended jobs removed`);
  await within(async ({ database, server }) => {
    const always = await database(redis(join(context.folder, 'always'), 'always'));
    const everysec = await database(redis(join(context.folder, 'everysec'), 'everysec'));
    await compare(context, '2', [
      { name: 'BullMQ, AOF always', server: await server(helper('peers/bullmq-server.mjs', always.socket, 'post')), gate: 1.3, stretch: 1.6 },
      { name: 'BullMQ, AOF everysec (not durable)', server: await server(helper('peers/bullmq-server.mjs', everysec.socket, 'post')), gate: 1, stretch: 1.25 },
    ]);
  });
}

export async function goal3(context: Context): Promise<void> {
  if (!havePeers(context.report, 'postgresql')) return;
  context.report.line(`  ${databaseFacts().join(', ')}: ${Object.entries(POSTGRES_SETTINGS).map(([name, value]) => `${name}=${value}`).join(', ')}, else stock; over a unix socket`);
  await within(async ({ database, server }) => {
    // A cluster each: one's write-ahead log would pay for the other's.
    const one = await database(postgres(join(context.folder, 'graphile')));
    const two = await database(postgres(join(context.folder, 'boss')));
    await compare(context, '3', [
      { name: 'graphile-worker addJob', server: await server(tuned(context, 'peers/graphile-server.mjs', one.socket)), gate: 10, stretch: 14 },
      { name: 'pg-boss send', server: await server(tuned(context, 'peers/pgboss-server.mjs', two.socket)), gate: 10, stretch: 14 },
    ]);
  });
}
