// Goal 6: from sending a POST to the first line of the handler, on an idle system, one job at a time.
// Both systems alike: HTTP over a kept connection from this process, the handler in the server's process, its start
// stamped there with the clock that all processes of a machine share. BullMQ's Redis syncs each append, as we sync ours.
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { redis } from '../lib/databases.ts';
import { median, quantile } from '../lib/figures.ts';
import { helper, type Server } from '../lib/servers.ts';
import { type Context, havePeers } from './context.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

function submit(agent: Agent, url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/api/jobs`, { agent, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (answer) => {
      answer.resume().on('end', () => (answer.statusCode === 201 ? resolve() : reject(new Error(`Answered ${answer.statusCode}.`))));
    });
    sent.on('error', reject).end(body);
  });
}

/** ms from send to start of `count` jobs. */
async function starts(server: Server, agent: Agent, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let token = 0; token < count; token++) {
    const body = JSON.stringify({ type: 'noop', input: { result: { token, pad: 'x'.repeat(135) } } });
    const started = once(server.child, 'message') as Promise<[{ token: number; at: string }]>;
    const sentAt = process.hrtime.bigint();
    const [[message]] = await Promise.all([started, submit(agent, server.url, body)]);
    if (message.token !== token) throw new Error('A start of another job came back.');
    times.push(Number(BigInt(message.at) - sentAt) / 1e6);
    await pause(3 + (token % 5)); // idle again, and not in step with anything
  }
  return times;
}

export async function goal6({ folder, report, rounds, quick, round: begin }: Context): Promise<void> {
  if (!havePeers(report, 'redis-server')) return;
  const samples = quick ? 100 : 300;
  const db = await redis(join(folder, 'redis'), 'always');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const servers: Server[] = [];
  try {
    const ours = await helper('probe-server.ts', join(folder, 'muster.db'));
    servers.push(ours);
    const theirs = await helper('peers/bullmq-server.mjs', db.socket, 'latency');
    servers.push(theirs);
    for (const server of servers) await starts(server, agent, 200);
    const ratios: number[] = [];
    const show = (times: number[]): string => `${median(times).toFixed(2)} / ${quantile(times, 0.99).toFixed(2)}`;
    for (let round = 0; round < rounds; round++) {
      const disk = await begin();
      const order = round % 2 === 0 ? [ours, theirs] : [theirs, ours];
      const times = new Map<Server, number[]>();
      for (const server of order) times.set(server, await starts(server, agent, samples));
      const [a = [], b = []] = [times.get(ours), times.get(theirs)];
      report.line(`  POST to start, p50 / p99 ms: Muster ${show(a)}, BullMQ ${show(b)} (${disk})`);
      ratios.push(median(a) / median(b));
    }
    report.gate({ goal: '6', what: 'idle POST → start, p50, ÷ BullMQ with Redis syncing each append', rounds: ratios, gate: 1, stretch: 0.6, better: 'less' });
  } finally {
    agent.destroy();
    for (const server of servers) await server.stop();
    await db.stop();
  }
}
