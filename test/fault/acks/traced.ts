// A server under strace, with submissions, edits and cancellations of which each can be found again in the trace.
import { closeSync, createReadStream, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'node:http';
import { createInterface } from 'node:readline';
import { type Call, exchange } from '../client.ts';
import { createRng } from '../rng.ts';
import { ServerProcess } from '../server.ts';
import { type Ack, judge, type Verdict } from './judge.ts';
import { readCalls } from './strace.ts';

/** Longest string kept: a page of SQLite has 4,096 bytes, and so has at most an answer that is looked for. */
const STRING_MAX = 4_200;
const CALLS = 'pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync';
/** ms for strace to write its last lines after the server has ended. */
const TRACE_END_MAX = 20_000;
/** One submission in so many is a bulk of this many jobs. */
const BULK_EVERY = 10;
const BULK_SIZE = 5;

export interface TraceOptions {
  /** Requests that submit; a tenth of them are bulks. As many as a fifth of them edit or cancel besides. */
  readonly submits: number;
  readonly seed: string;
  /** Default true. A server that answers before it commits finds nothing to change. */
  readonly changes?: boolean;
  readonly entry?: readonly string[];
}

/** Clients at once and their share of the requests: alone each commit is one job's, at 64 one sync answers many. */
const PHASES = [{ clients: 1, share: 0.25 }, { clients: 8, share: 0.35 }, { clients: 64, share: 0.4 }] as const;

export async function traceAcks({ submits, seed, changes = true, entry = ['src/start.mjs'] }: TraceOptions): Promise<Verdict & { readonly lines: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-acks-'));
  const trace = join(folder, 'trace');
  const db = join(folder, 'muster.db');
  const server = new ServerProcess(entry, db, {
    wrap: ['strace', '-D', '-f', '--seccomp-bpf', '-yy', '-ttt', '-s', String(STRING_MAX), '-e', 'signal=none', '-e', `trace=${CALLS}`, '-o', trace],
  });
  try {
    const { url } = await server.ready;
    const acks = await load(url, submits, seed, changes).catch((error: unknown) => { throw new Error(`${String(error)}\n${server.log()}`, { cause: error }); });
    const { code } = await server.kill('SIGTERM');
    if (code !== 0 || server.complaints().length > 0) throw new Error(`the traced server ended with ${code}, or complained\n${server.log()}`);
    await traceEnded(trace, server.pid);
    return await read(trace, acks, `${db}-wal`);
  } finally {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function load(url: string, submits: number, seed: string, changes: boolean): Promise<Ack[]> {
  const rng = createRng(seed);
  const acks: Ack[] = [];
  const held: string[] = [];
  let count = 0;
  const token = (): string => `tok${String((count += 1)).padStart(6, '0')}x`;
  const expect = async (agent: Agent, status: number, call: Call): Promise<any> => {
    const got = await exchange(url, call, agent);
    if (got.kind !== 'answer' || got.status !== status) throw new Error(`${call.method} ${call.path}: ${JSON.stringify(got.kind === "answer" ? { status: got.status, body: got.body } : got)}`);
    return got.body;
  };
  const job = (mark: string, hold: boolean): object => ({ type: 'noop', input: { result: mark }, ...(hold ? { hold: true } : {}) });

  const submit = async (agent: Agent, i: number): Promise<void> => {
    if (i % BULK_EVERY === 0) {
      const tokens = Array.from({ length: BULK_SIZE }, token);
      const { ids } = await expect(agent, 201, { method: 'POST', path: '/api/jobs/bulk', body: { jobs: tokens.map((mark) => job(mark, rng.chance(0.5))) } }) as { ids: string[] };
      ids.forEach((id, at) => acks.push({ what: `bulk job ${id}`, marks: [id, tokens[at] ?? ''], answer: id }));
      return;
    }
    const mark = token();
    const hold = rng.chance(0.5);
    const { id } = await expect(agent, 201, { method: 'POST', path: '/api/jobs', body: job(mark, hold) }) as { id: string };
    acks.push({ what: `job ${id}`, marks: [id, mark], answer: id });
    if (hold) held.push(id);
  };
  /** Of a job that nothing else touches. */
  const change = async (agent: Agent, id: string): Promise<void> => {
    const mark = token();
    if (rng.chance(0.5)) await expect(agent, 200, { method: 'PATCH', path: `/api/jobs/${id}`, body: { tags: [mark] } });
    else await expect(agent, 200, { method: 'POST', path: `/api/jobs/${id}/cancel`, body: { reason: mark } });
    acks.push({ what: `change of ${id}`, marks: [mark], answer: mark });
  };

  for (const { clients, share } of PHASES) {
    const agent = new Agent({ keepAlive: true, maxSockets: clients });
    let left = Math.round(submits * share);
    const client = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await submit(agent, left);
        const id = changes && left % 5 === 0 ? held.pop() : undefined;
        if (id !== undefined) await change(agent, id);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
    agent.destroy();
  }
  return acks;
}

/** The tracer is not our child: its last line says that it has written all. */
async function traceEnded(path: string, pid: number): Promise<void> {
  const until = Date.now() + TRACE_END_MAX;
  const last = (): string => {
    const file = openSync(path, 'r');
    try {
      const tail = Buffer.alloc(Math.min(size, 500));
      return tail.toString('latin1', 0, readSync(file, tail, 0, tail.length, size - tail.length));
    } finally {
      closeSync(file);
    }
  };
  let size = -1;
  while (Date.now() < until) {
    const before = size;
    ({ size } = statSync(path));
    if (size === before && new RegExp(`^${pid} .*\\+\\+\\+ (exited|killed)`, 'm').test(last())) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error('strace did not end');
}

async function read(path: string, acks: readonly Ack[], log: string): Promise<Verdict & { lines: number }> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: createReadStream(path, 'latin1'), crlfDelay: Infinity })) lines.push(line);
  return { ...judge(readCalls(lines), acks, log), lines: lines.length };
}
