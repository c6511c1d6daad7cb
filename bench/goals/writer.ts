// The writer in a thread of its own against the same writer on the main thread. No gate: the thread is there so that a
// slow disk never stops reads, streams and health checks; this says what that costs on as many cores as there are.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { median, perSecond, rate } from '../lib/figures.ts';
import { helper, muster, type Server } from '../lib/servers.ts';
import { type Context, drained, JOB, setConcurrency } from './context.ts';

const DRAINED = 50_000;

async function drain(url: string): Promise<number> {
  const body = JSON.stringify({ jobs: Array.from({ length: 10_000 }, () => ({ type: 'noop' })) });
  for (let n = 0; n < DRAINED; n += 10_000) await (await fetch(`${url}/api/jobs/bulk`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).arrayBuffer();
  const start = performance.now();
  await setConcurrency(url, 2_000);
  await drained(url);
  const ms = performance.now() - start;
  await setConcurrency(url, 0);
  return rate(DRAINED, ms);
}

export async function writer({ folder, report, guard, load, rounds, seconds }: Context): Promise<void> {
  for (const name of ['thread', 'inline']) mkdirSync(join(folder, name));
  const servers: Server[] = [];
  try {
    servers.push(await muster(join(folder, 'thread'), { MUSTER_CONCURRENCY: 'noop=0' }));
    servers.push(await helper('inline-server.ts', join(folder, 'inline', 'muster.db')));
    for (const { url } of servers) await drain(url);
    const ratios: Record<string, number[]> = {};
    for (let round = 0; round < rounds; round++) {
      for (const what of ['drain', '64', '256']) {
        const got = [NaN, NaN];
        for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
          const { url } = servers[i] as Server;
          await guard.rest();
          got[i] = what === 'drain' ? await drain(url) : (await load(`${url}/api/jobs`, JOB, Number(what), seconds)).perSecond;
          if (what !== 'drain') { // what was posted must not be part of the next drain
            await setConcurrency(url, 2_000);
            await drained(url);
            await setConcurrency(url, 0);
          }
        }
        report.line(`  ${what === 'drain' ? 'drain' : `POST, ${what} connections`}: thread ${perSecond(got[0] ?? NaN)}, inline ${perSecond(got[1] ?? NaN)}`);
        (ratios[what] ??= []).push((got[0] ?? NaN) / (got[1] ?? NaN));
      }
    }
    for (const [what, list] of Object.entries(ratios)) report.line(`  → thread ÷ inline, ${what === 'drain' ? 'drain' : `POST, ${what} connections`}: ${median(list).toFixed(2)} (rounds ${list.map((n) => n.toFixed(2)).join(' ')})`);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}
