// The no-op drain: jobs/s from the first claim to the last end, as the real server does it, with every event, counter,
// lease and roll-up written and synced. Filled through POST /api/jobs/bulk; RSS and processor time are the server's.
import { median, perSecond, rate } from '../lib/figures.ts';
import { cpuOf, memoryOf } from '../lib/machine.ts';
import { emptied, muster } from '../lib/servers.ts';
import { type Context, drained, JOB, setConcurrency } from './context.ts';

/** Two or three claims under way, and as many running; more gains nothing. */
const CONCURRENCY = 2_000;
const BULK = 10_000;

interface Shape {
  readonly name: string;
  /** Jobs that run, of one request. */
  readonly jobs: number;
  /** Is the drain of it a true no-op, held to 40,000/s? */
  readonly gate: boolean;
  readonly body: string;
}

const list = (count: number, input: object): object[] => Array.from({ length: count }, () => ({ type: 'noop', input }));
const NOTHING = {};
const SHAPES: readonly Shape[] = [
  { name: 'roots', jobs: BULK, gate: true, body: JSON.stringify({ jobs: list(BULK, NOTHING) }) },
  { name: 'children of batches of 1,000', jobs: BULK - 10, gate: true, body: JSON.stringify({ jobs: Array.from({ length: 10 }, () => ({ type: 'batch', children: list(BULK / 10 - 1, NOTHING) })) }) },
  { name: 'roots with 155 bytes in, read, and out again', jobs: BULK, gate: false, body: JSON.stringify({ jobs: list(BULK, (JSON.parse(JOB) as { input: object }).input) }) },
];

async function send(url: string, { body }: Shape): Promise<void> {
  const answer = await fetch(`${url}/api/jobs/bulk`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  if (answer.status !== 201) throw new Error(`${answer.status} ${(await answer.text()).slice(0, 300)}`);
  await answer.arrayBuffer();
}

export async function drain(context: Context): Promise<void> {
  const { report, guard, quick } = context;
  const requests = quick ? 5 : 10;
  const rates: number[][] = SHAPES.map(() => []);
  const bulk: number[] = [];
  const memory: number[] = [];
  for (let round = 0; round < context.rounds; round++) {
    for (const [i, shape] of SHAPES.entries()) {
      const server = await muster(emptied(context.folder), { MUSTER_CONCURRENCY: 'noop=0' });
      try {
        await warmUp(server.url, shape);
        const idle = memoryOf(server.pid).now;
        await guard.rest();
        let start = performance.now();
        for (let n = 0; n < requests; n++) await send(server.url, shape);
        const submitted = rate(requests * BULK, performance.now() - start);
        await guard.rest();
        const cpu = cpuOf(server.pid);
        start = performance.now();
        await setConcurrency(server.url, CONCURRENCY);
        await drained(server.url);
        const ms = performance.now() - start;
        const jobs = requests * shape.jobs;
        const used = ((cpuOf(server.pid) - cpu) * 1e6) / jobs;
        const { peak, now } = memoryOf(server.pid);
        report.line(`  ${shape.name}: bulk ${perSecond(submitted)}, drain ${perSecond(rate(jobs, ms))}, ${used.toFixed(0)} µs of processor a job, RSS ${idle.toFixed(0)} MiB before, ${now.toFixed(0)} after, ${peak.toFixed(0)} at most`);
        rates[i]?.push(rate(jobs, ms));
        if (i === 0) bulk.push(submitted);
        memory.push(peak);
      } finally {
        await server.stop();
      }
    }
  }
  for (const [i, shape] of SHAPES.entries()) {
    const measured = rates[i] ?? [];
    if (shape.gate) report.gate({ goal: 'drain', what: `no-op drain, jobs/s, ${shape.name}`, rounds: measured, gate: 40_000, better: 'more' });
    else report.line(`  drain of ${shape.name}: ${perSecond(median(measured))}`);
  }
  report.line(`  bulk submit ${perSecond(median(bulk))}, RSS at most ${Math.max(...memory).toFixed(0)} MiB`);
}

/** A server that has run a while: what is measured is not its compiler. */
async function warmUp(url: string, shape: Shape): Promise<void> {
  await setConcurrency(url, CONCURRENCY);
  await send(url, shape);
  await drained(url);
  await setConcurrency(url, 0);
}
