// Clients that open a stream and never read, beside some that do: the first are cut and cost next to nothing, the others
// lose nothing. Memory is sampled from outside.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAgent, exchange } from '../client.ts';
import { ServerProcess } from '../server.ts';

/** Input and result of each job; both stand in its final event. With the rate this fills what the kernel buffers (a few MB a socket). */
const RESULT_BYTES = 20_000;
/** What a stalled client may hold (RELIABILITY F1), and what the process may grow by through the load itself. */
const PER_STALLED = 1_048_576;
const GROWTH_BASE = 80 * 1_048_576;
/** ms for the last events to arrive, and for the stalled to be cut after the load. Only a hang meets it. */
const LAST_MAX = 60_000;

export interface NeverOptions {
  readonly never: number;
  readonly readers: number;
  readonly seconds: number;
  /** Jobs a second. */
  readonly rate: number;
  /** ms for what should come about after the load; a control waits for what never does. */
  readonly waitMax?: number;
  readonly entry?: readonly string[];
}

export interface NeverResult {
  readonly violations: readonly string[];
  readonly cut: number;
  readonly cutAfter: number | null;
  readonly rssBefore: number;
  readonly rssPeak: number;
  readonly growthMax: number;
  readonly events: number;
  readonly streamed: number;
  readonly latency: { readonly p50: number; readonly p99: number };
}

interface Reading { readonly ids: number[]; bytes: number }

export async function runNever({ never, readers, seconds, rate, waitMax = LAST_MAX, entry = ['src/start.mjs'] }: NeverOptions): Promise<NeverResult> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-never-'));
  const server = new ServerProcess(entry, join(folder, 'muster.db'));
  const violations: string[] = [];
  const stalled: Socket[] = [];
  const readings: Reading[] = [];
  const late: number[] = [];
  const agent = createAgent();
  const closers: (() => void)[] = [];
  let isDone = false;
  try {
    const { url } = await server.ready;
    const port = Number(new URL(url).port);
    await Promise.all(Array.from({ length: readers }, () => new Promise<void>((opened) => {
      const reading: Reading = { ids: [], bytes: 0 };
      readings.push(reading);
      const outgoing = request(`${url}/api/stream?after=0`, { agent: false }, (answer) => {
        opened();
        let rest = '';
        answer.setEncoding('latin1').on('data', (text: string) => {
          reading.bytes += text.length;
          const blocks = (rest + text).split('\n\n');
          rest = blocks.pop() ?? '';
          for (const block of blocks) {
            const match = /^id: (\d+)\ndata: \{"type":"[\w:]+","jobId":"\w+","timestamp":"([^"]+)"/.exec(block);
            if (match === null) continue;
            reading.ids.push(Number(match[1]));
            late.push(Date.now() - Date.parse(match[2] as string));
          }
        });
        answer.on('close', () => { if (!server.hasExited && !isDone) violations.push(`a reader was closed after ${reading.ids.length} events`); });
        answer.on('error', () => {});
      });
      outgoing.on('error', () => {});
      outgoing.end();
      closers.push(() => outgoing.destroy());
    })));
    await Promise.all(Array.from({ length: never }, () => new Promise<void>((opened) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => { socket.write('GET /api/stream?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', () => opened()); });
      socket.pause();
      socket.on('error', () => {});
      stalled.push(socket);
    })));
    await waitFor(async () => (await metric(url, 'muster_streams_open')) === never + readers, 'all streams open', LAST_MAX);

    const rssBefore = rss(server.pid);
    let rssPeak = rssBefore;
    let cutAfter: number | null = null;
    let cut = 0;
    const began = Date.now();
    const look = async (): Promise<void> => {
      rssPeak = Math.max(rssPeak, rss(server.pid));
      cut = await metric(url, 'muster_streams_ended_total{why="cut"}');
      if (cut > 0) cutAfter ??= Date.now() - began;
    };
    let sent = 0;
    const text = 'x'.repeat(RESULT_BYTES);
    for (let looked = 0; Date.now() - began < seconds * 1_000; ) {
      const due = Math.floor(((Date.now() - began) / 1_000) * rate) - sent;
      if (due > 0) {
        const jobs = Array.from({ length: due }, () => ({ type: 'noop', input: { result: text } }));
        const got = await exchange(url, { method: 'POST', path: '/api/jobs/bulk', body: { jobs } }, agent);
        if (got.kind !== 'answer' || got.status !== 201) violations.push(`a submission: ${JSON.stringify(got).slice(0, 200)}`);
        sent += due;
      }
      if (Date.now() - looked > 200) { looked = Date.now(); await look(); }
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
    await waitFor(async () => (await look(), cut >= never), `${never} stalled clients cut`, waitMax, violations);
    const events = await waitForLast(url, readings, waitMax, violations);
    for (const [i, { ids }] of readings.entries()) {
      const at = ids.findIndex((id, n) => id !== n + 1);
      if (at >= 0) { violations.push(`reader ${i} got ${ids[at]} where ${at + 1} was due`); break; }
    }
    if (cut > never) violations.push(`${cut} streams were cut, ${never} did not read`);
    const growthMax = GROWTH_BASE + never * PER_STALLED;
    if (rssPeak - rssBefore > growthMax) violations.push(`MEMORY: it grew by ${mib(rssPeak - rssBefore)} MiB, at most ${mib(growthMax)} are allowed`);
    for (const line of server.complaints()) violations.push(`the server complained: ${line.slice(0, 300)}`);
    late.sort((a, b) => a - b);
    const at = (p: number): number => late[Math.min(late.length - 1, Math.floor(late.length * p))] ?? 0;
    return { violations, cut, cutAfter, rssBefore, rssPeak, growthMax, events, streamed: readings[0]?.bytes ?? 0, latency: { p50: at(0.5), p99: at(0.99) } };
  } finally {
    isDone = true;
    for (const close of closers) close();
    for (const socket of stalled) socket.destroy();
    agent.destroy();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function waitForLast(url: string, readings: readonly Reading[], max: number, violations: string[]): Promise<number> {
  const agent = createAgent();
  let last = 0;
  await waitFor(async () => {
    if ((await metric(url, 'muster_jobs{type="noop",status="completed"}')) < (await metric(url, 'tasks_created_total{task_type="noop"}'))) return false;
    const got = await exchange(url, { method: 'GET', path: '/api/jobs?limit=1' }, agent);
    if (got.kind !== 'answer') return false;
    last = Number((got.body as { jobs: { cursor: string }[] }).jobs[0]?.cursor);
    return readings.every(({ ids }) => (ids.at(-1) ?? 0) >= last);
  }, 'all events read by those who read', max, violations);
  agent.destroy();
  return last;
}

async function waitFor(holds: () => Promise<boolean>, what: string, max: number, violations?: string[]): Promise<void> {
  for (const until = Date.now() + max; !(await holds()); ) {
    if (Date.now() > until) {
      if (violations === undefined) throw new Error(`waited ${max} ms for ${what}`);
      violations.push(`waited ${max} ms for ${what}`);
      return;
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** One sample of /metrics; 0 if it is not there. */
async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `) || (one.startsWith(`${name}{`) && !name.includes('{')));
  return Number(line?.split(' ').at(-1) ?? 0);
}

const rss = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024;
const mib = (bytes: number): string => (bytes / 1_048_576).toFixed(0);

export const neverText = ({ cut, cutAfter, rssBefore, rssPeak, growthMax, events, streamed, latency }: NeverResult): string => [
  `${cut} streams that were never read were cut, the first ${cutAfter === null ? 'never' : `${(cutAfter / 1_000).toFixed(1)} s`} after the load began`,
  `${events} events and ${mib(streamed)} MiB to each reader; from commit to reader p50 ${latency.p50} ms, p99 ${latency.p99} ms`,
  `RSS ${mib(rssBefore)} MiB with all streams open, ${mib(rssPeak)} at the peak: ${mib(rssPeak - rssBefore)} more (bound ${mib(growthMax)})`,
].join('\n');
