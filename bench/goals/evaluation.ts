// Evaluation: what a case costs beside its agent and its judge, and many long streams at once.
import { readFileSync } from 'node:fs';
import { emptied, helper, muster, type Server } from '../lib/servers.ts';
import type { Context } from './context.ts';

const CASES = 1_000;
const STREAMS = 100;
const EVENTS = 1_000;

const post = async (url: string, path: string, body: unknown): Promise<any> => {
  const answer = await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return await answer.json();
};
/** Seconds of processor time. */
const cpuOf = (pid: number): number => {
  const [, after = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = after.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
/** p99 of the event loop's delay since it was asked last, ms: the server's own figure. */
async function loopDelay(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_p99_seconds ([\d.e-]+)/m.exec(text)?.[1] ?? NaN) * 1_000;
}

async function prepare(url: string, agent: string, name: string, count: number, prompt: string, width: number): Promise<string> {
  const ids = Array.from({ length: count }, (_, i) => `${name}-${i}`);
  await post(url, '/api/eval/test-cases/import', ids.map((id) => ({ id, name: id, initialPrompt: `${id} ${prompt}`, expectedOutcomes: ['The cause is the slow query'] })));
  await post(url, '/api/eval/agents/import', [{ key: 'instant', endpoint: agent, concurrency: 1_000 }]);
  await post(url, '/api/eval/experiments', { id: name, name, testCaseIds: ids });
  const { id } = await post(url, '/api/jobs', { experimentId: name, runConfig: { name, agentKey: 'instant', modelId: 'rules', width } });
  return id as string;
}

/** ms from the start of the run to its end. */
async function carryOut(url: string, id: string): Promise<{ ms: number; job: any }> {
  const since = performance.now();
  await post(url, `/api/jobs/${id}/start`, {});
  for (;;) {
    const job = await (await fetch(`${url}/api/jobs/${id}?wait=30`)).json() as any;
    if (job.state !== 'PENDING') return { ms: performance.now() - since, job };
  }
}

export async function evaluation({ folder, report, rounds, round: begin }: Context): Promise<void> {
  const agent = await helper('instant-agent.ts');
  const [perCase, perCpu, wide, delay]: [number[], number[], number[], number[]] = [[], [], [], []];
  try {
    for (let i = 0; i < rounds; i++) await oneRound(i);
  } finally {
    await agent.stop();
  }
  async function oneRound(i: number): Promise<void> {
    const disk = await begin();
    const server = await muster(emptied(folder));
    try {
      for (const width of [1, 20]) await cases(server, agent, width, i, disk, report, width === 1 ? perCase : wide, width === 1 ? perCpu : []);
      delay.push(await streams(server, agent, i, disk, report));
    } finally {
      await server.stop();
    }
  }
  report.gate({ goal: 'eval', what: `ms beside agent and judge, ${CASES.toLocaleString('en')} cases one after another`, rounds: perCase, gate: 50, better: 'less' });
  report.gate({ goal: 'eval', what: 'ms of processor a case, one after another', rounds: perCpu, gate: 20, better: 'less' });
  report.gate({ goal: 'eval', what: `ms a case, ${CASES.toLocaleString('en')} cases 20 at once`, rounds: wide, gate: 20, better: 'less' });
  report.gate({ goal: 'eval', what: `ms of event-loop delay (p99), ${STREAMS} streams of ${EVENTS.toLocaleString('en')} events at once`, rounds: delay, gate: 200, better: 'less' });
}

async function cases({ url, pid }: Server, agent: Server, width: number, i: number, disk: string, report: Context['report'], times: number[], cpus: number[]): Promise<void> {
  const id = await prepare(url, agent.url, `cases-${i}-${width}`, CASES, '', width);
  const before = cpuOf(pid);
  const { ms, job } = await carryOut(url, id);
  const cpu = (cpuOf(pid) - before) * 1_000;
  if (job.result?.total !== CASES || job.result.errors !== 0 || job.children.completed !== CASES) throw new Error(`not every case has a score: ${JSON.stringify(job.result)}`);
  times.push(ms / CASES);
  cpus.push(cpu / CASES);
  report.line(`  ${CASES.toLocaleString('en')} cases, ${width} at once: ${(ms / CASES).toFixed(2)} ms each (${(cpu / CASES).toFixed(2)} of processor, both threads); ${disk}`);
}

async function streams({ url }: Server, agent: Server, i: number, disk: string, report: Context['report']): Promise<number> {
  const id = await prepare(url, agent.url, `streams-${i}`, STREAMS, `events=${EVENTS}`, STREAMS);
  await loopDelay(url);
  const { ms, job } = await carryOut(url, id);
  const p99 = await loopDelay(url);
  let events = 0;
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: any = await (await fetch(`${url}/api/eval/reports?jobId=${id}&limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`)).json();
    for (const one of page.reports) events += one.events;
    cursor = page.nextCursor;
  }
  if (job.children.completed !== STREAMS || events !== STREAMS * EVENTS) throw new Error(`${events} of ${STREAMS * EVENTS} events arrived, ${job.children.completed} cases completed`);
  report.line(`  ${STREAMS} streams of ${EVENTS.toLocaleString('en')} events at once: all ${events.toLocaleString('en')} there, ${Math.round(events / (ms / 1_000)).toLocaleString('en')} events/s, event-loop delay p99 ${p99.toFixed(1)} ms; ${disk}`);
  return p99;
}
