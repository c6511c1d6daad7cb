// Containers: what 200 MB of output, once and ten times at once, cost the server and another client; how late a line is seen.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { median, quantile } from '../lib/figures.ts';
import { muster } from '../lib/servers.ts';
import { type Context, JOB } from './context.ts';

const IMAGE = 'muster-demo:latest';
const FLOOD = 200_000_000;
const CAP = 10_000_000;
/** Lines as agents print them; of shorter ones the engine's own log is what is measured. */
const LINE = 200;

const rss = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
/** Of this kernel, and so of the containers too; ms, to 10. */
const uptime = (): number => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1_000;

interface Ended { readonly endedAt: string | null; readonly status: string; readonly result: { readonly outputBytes: number; readonly droppedBytes: number; readonly droppedLines: number } }

async function submit(url: string, script: string): Promise<string> {
  const answer = await fetch(`${url}/api/jobs`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'container', timeout: 3_600_000, input: { image: IMAGE, command: ['sh', '-c', script] } }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return ((await answer.json()) as { id: string }).id;
}

async function ended(url: string, id: string): Promise<Ended> {
  for (;;) {
    const job = (await (await fetch(`${url}/api/jobs/${id}?wait=60`)).json()) as Ended;
    if (job.endedAt !== null) return job;
  }
}

/** POSTs one after the other until it is told to stop, and what each took. */
async function posts(url: string, until: () => boolean): Promise<number[]> {
  const took: number[] = [];
  while (!until()) {
    const began = performance.now();
    await (await fetch(`${url}/api/jobs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JOB })).text();
    took.push(performance.now() - began);
  }
  return took;
}
const shown = (took: readonly number[]): string => `p50 ${quantile(took, 0.5).toFixed(1)}, p99 ${quantile(took, 0.99).toFixed(1)} ms (${took.length} POSTs)`;

async function flood({ folder, report, quick }: Context, count: number): Promise<void> {
  const bytes = quick ? FLOOD / 10 : FLOOD;
  const server = await muster(folder, { MUSTER_IMAGES: IMAGE, MUSTER_CONCURRENCY: `container=${count}` });
  try {
    let isOver = false;
    const quiet = posts(server.url, () => isOver);
    await new Promise((resolve) => { setTimeout(resolve, 3_000); });
    isOver = true;
    const before = await quiet;
    const base = rss(server.pid);
    let peak = base;
    const watch = setInterval(() => { peak = Math.max(peak, rss(server.pid)); }, 50);
    const began = performance.now();
    const ids = await Promise.all(Array.from({ length: count }, () => submit(server.url, `echo first; yes ${'x'.repeat(LINE - 1)} | head -c ${bytes}; echo last`)));
    let done = false;
    const meanwhile = posts(server.url, () => done);
    const jobs = await Promise.all(ids.map((id) => ended(server.url, id)));
    done = true;
    const took = (performance.now() - began) / 1_000;
    const during = await meanwhile;
    clearInterval(watch);
    const printed = bytes + 'first\nlast\n'.length;
    const lines = bytes / LINE + 2;
    for (const [i, { status, result }] of jobs.entries()) {
      const kept = await (await fetch(`${server.url}/api/jobs/${ids[i]}/logs?download=true`)).text();
      const isExact = status === 'completed' && result.outputBytes === printed && kept.length === printed - result.droppedBytes && kept.length <= CAP
        && kept.split('\n').length - 1 === lines - result.droppedLines && kept.startsWith('first\n') && kept.endsWith('\nlast\n');
      if (!isExact) throw new Error(`Container ${i}: ${JSON.stringify({ status, result, kept: kept.length })}`);
    }
    report.line(`  ${count} × ${bytes / 1e6} MB in ${took.toFixed(1)} s; ${jobs[0]?.result.droppedBytes ?? 0} bytes of each dropped and counted exactly, first and last line kept`);
    report.line(`  RSS ${base.toFixed(0)} MiB, at most ${(peak - base).toFixed(0)} more; POST before: ${shown(before)}; meanwhile: ${shown(during)}`);
    report.gate({ goal: 'containers', what: `MiB of memory more, ${count} × ${bytes / 1e6} MB`, rounds: [peak - base], gate: 64, better: 'less' });
  } finally {
    await server.stop();
  }
}

async function freshness({ folder, report, quick }: Context): Promise<void> {
  const server = await muster(folder, { MUSTER_IMAGES: IMAGE });
  const late: number[] = [];
  try {
    const id = await submit(server.url, `i=0; while [ $i -lt ${quick ? 20 : 100} ]; do cut -d' ' -f1 /proc/uptime; sleep 0.1; i=$((i+1)); done`);
    const stream = await fetch(`${server.url}/api/jobs/${id}/stream`);
    let rest = '';
    for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) {
      const now = uptime();
      const parts = (rest + Buffer.from(chunk).toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts.filter((text) => text.startsWith('data: '))) {
        const { type, data } = JSON.parse(part.slice(6)) as { type: string; data?: { lines: string[] } };
        if (type === 'job:log') for (const line of data?.lines ?? []) late.push(now - Number(line) * 1_000);
      }
    }
  } finally {
    await server.stop();
  }
  report.line(`  Line printed → received by SSE: p50 ${median(late).toFixed(0)}, p99 ${quantile(late, 0.99).toFixed(0)} ms (${late.length} lines, to 10 ms)`);
  report.gate({ goal: 'containers', what: 'ms from a line printed to a line received, median', rounds: [median(late)], gate: 150, better: 'less' });
}

export async function containers(context: Context): Promise<void> {
  try {
    execFileSync('docker', ['image', 'inspect', IMAGE], { stdio: 'ignore' });
  } catch {
    context.report.line('  LEFT OUT: this needs a Docker engine with the demo image: npm run demo-image');
    return;
  }
  await freshness(context);
  await flood(context, 1);
  await flood(context, 10);
}
