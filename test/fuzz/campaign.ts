// A run of the fuzzer: the real server in its own process, several requests in flight, every answer judged, and at the end
// the file, the log and the exit. fast-check makes and shrinks; what fails is told with its seed, as curl, with its answer.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { checkDatabase, openReadOnly, readPicture } from '../fault/check.ts';
import { ServerProcess } from '../fault/server.ts';
import { Coverage } from './coverage.ts';
import { type Document, type Operation, readDocument } from './document.ts';
import { judge, operationOf } from './judge.ts';
import { createPlans, createSweep, curl, fill, type Plan, type Request } from './plans.ts';
import { Pool } from './pool.ts';
import { createAgent, send, type Sent } from './send.ts';

/** In flight: enough to meet each other in the server, far from what it refuses as an overload. */
const WORKERS = 24;
/** Requests spent on making failures smaller, of all workers together. */
const SHRINKS = 400;
/** Requests more, most of them to operations that lack an answer after all the rest: what chance leaves out of a hundred differs from seed to seed. */
const LATER = 6_000;
/** Failures told; then nothing more is asked. */
const TOLD = 3;

export interface FuzzOptions {
  readonly requests: number;
  readonly seed: number;
  /** Arguments of node; default the real server. */
  readonly entry?: readonly string[];
  /** Every so many requests, for a person who waits. */
  readonly progress?: (requests: number) => void;
}

export interface FuzzResult {
  /** Empty: everything held. */
  readonly failures: readonly string[];
  /** Declared and never met. */
  readonly missing: readonly string[];
  readonly coverage: Coverage;
  /** For a note. */
  readonly facts: string;
}

const ENTRY = ['src/start.mjs'];
/** All clients of the fuzzer have one address; with so many streams for it, some of 24 at once are refused and most are not. */
const STREAMS = '2';
const rssOf = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;

export async function fuzz({ requests, seed, entry = ENTRY, progress }: FuzzOptions): Promise<FuzzResult> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-fuzz-'));
  const db = join(folder, 'muster.db');
  const server = new ServerProcess(entry, db, { env: { MUSTER_STREAMS_PER_ADDRESS: STREAMS, MUSTER_WALLET_MNEMONIC: 'test test test test test test test test test test test junk' } });
  const failures: string[] = [];
  const agent = createAgent(WORKERS);
  try {
    const { url } = await server.ready;
    const document = readDocument(await (await fetch(`${url}/openapi.json`)).json());
    for (const at of document.open) failures.push(`an answer's object takes any property: ${at}`);
    const coverage = new Coverage(document);
    const before = rssOf(server.pid);
    const startedAt = performance.now();
    const one = createOne(document, coverage, url, agent);
    for (const plan of createSweep(document, seed)) {
      const found = failures.length < TOLD ? await one(plan) : null;
      if (found !== null) failures.push(`seed ${seed}, sweep\n${tell(plan, found)}`);
    }
    const budget: Budget = { shrinks: SHRINKS, failed: 0 };
    const ask = async (count: number, from: number, more?: ReadonlySet<Operation>): Promise<void> => {
      const workers = Array.from({ length: WORKERS }, (_none, i) => check(createPlans(document, more), one, budget, Math.ceil(count / WORKERS), from + i, i === 0 ? progress : undefined));
      for (const failure of await Promise.all(workers)) if (failure !== null) failures.push(failure);
    };
    await ask(requests - coverage.requests, seed);
    const wanted = new Set(document.operations.filter((operation) => coverage.isMissing(operation)));
    if (wanted.size > 0) await ask(LATER, seed + WORKERS, wanted);
    const seconds = (performance.now() - startedAt) / 1_000;
    const rss = server.hasExited ? 0 : rssOf(server.pid);
    failures.push(...await finish(server, db));
    const size = Number(execFileSync('du', ['-sk', folder], { encoding: 'utf8' }).split('\t')[0]) / 1_024;
    return { failures, missing: coverage.missing(), coverage, facts: `${coverage.requests} requests in ${seconds.toFixed(1)} s (${Math.round(coverage.requests / seconds)}/s), RSS ${before.toFixed(0)} → ${rss.toFixed(0)} MiB, file ${size.toFixed(0)} MiB` };
  } finally {
    agent.destroy();
    await server.kill();
    if (failures.length === 0) rmSync(folder, { recursive: true, force: true });
    else failures.push(`the database is kept in ${folder}`);
  }
}

/** The server stops as it should, complains of nothing, and leaves a file that holds. */
async function finish(server: ServerProcess, db: string): Promise<string[]> {
  const wrong: string[] = [];
  const exit = await server.kill('SIGTERM');
  if (exit.code !== 0) wrong.push(`the server ended with code ${exit.code}, signal ${exit.signal}`);
  wrong.push(...server.complaints().map((line) => `its log says ${line.slice(0, 1_500)}`));
  const file = openReadOnly(db);
  // Deleted jobs leave holes in the log, and who deleted what is not kept here: test/fault checks that.
  wrong.push(...checkDatabase(file, readPicture(file), () => true).slice(0, 20));
  file.close();
  return wrong;
}

type One = (plan: Plan) => Promise<{ readonly wrong: string; readonly request: Request; readonly sent: Sent; readonly url: string } | null>;

function createOne(document: Document, coverage: Coverage, url: string, agent: ReturnType<typeof createAgent>): One {
  const pool = new Pool();
  return async (plan) => {
    const request = fill(plan, pool);
    const mayWait = /[?&]wait=\d{1,2}(&|$)/.test(request.target) || request.headers.some(([name, value]) => name.toLowerCase() === 'prefer' && value.includes('wait'));
    const sent = await send(url, agent, request, mayWait);
    if (sent === 'left') { coverage.left += 1; return null; }
    if ('no' in sent) return { wrong: sent.no, request, sent, url };
    // CONNECT and requests that Node's parser refuses are answered before any path is read.
    const operation = operationOf(document, plan, request);
    coverage.count(operation, sent.status);
    const verdict = judge(document, operation, request, sent);
    if (verdict.wrong !== null) return { wrong: verdict.wrong, request, sent, url };
    if (sent.status < 300) pool.learn(verdict.body);
    const key = request.headers.find(([name]) => name.toLowerCase() === 'idempotency-key')?.[1];
    if (sent.status === 201 && key !== undefined && plan.again === null) pool.sent[plan.operation.id]?.put({ path: plan.operation.path, key, type: plan.type ?? '', body: String(request.body) });
    return null;
  };
}

/** Shared by the workers. */
interface Budget {
  shrinks: number;
  failed: number;
}

/** One of several that ask at once. Null: nothing was wrong. */
async function check(plans: fc.Arbitrary<Plan>, one: One, budget: Budget, runs: number, seed: number, progress?: (requests: number) => void): Promise<string | null> {
  let failed: string | null = null;
  let asked = 0;
  const property = fc.asyncProperty(plans, async (plan) => {
    if (failed !== null ? (budget.shrinks -= 1) < 0 : budget.failed >= TOLD) return; // small enough, or enough told
    const found = await one(plan);
    asked += 1;
    if (asked % 1_000 === 0) progress?.(asked * WORKERS);
    if (found === null) return;
    if (failed === null) budget.failed += 1;
    failed = tell(plan, found);
    throw new Error(found.wrong);
  });
  const details = await fc.check(property, { numRuns: runs, seed });
  return details.failed ? `seed ${seed}, path ${details.counterexamplePath ?? ''} (of ${WORKERS} at once: run it with --seed ${seed})\n${failed ?? String(details.errorInstance)}` : null;
}

function tell(plan: Plan, { wrong, request, sent, url }: NonNullable<Awaited<ReturnType<One>>>): string {
  const answer = sent === 'left' || 'no' in sent ? '' : `\n  answered ${sent.status} ${JSON.stringify(sent.headers)}\n  ${sent.body.toString().slice(0, 1_000)}`;
  return `  ${plan.operation.id} (${plan.kind}): ${wrong}\n  ${curl(url, request)}${answer}`;
}
