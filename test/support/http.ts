// The HTTP server on a real store, without a dispatcher: what runs is what a test claims and ends itself.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import type { Claim } from '../../src/domain/commands.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { Artifacts } from '../../src/orchestrator/artifacts.ts';
import { INPUTS } from '../../src/handlers/inputs.ts';
import { checkHeaders, checkUrl } from '../../src/handlers/egress/guard.ts';
import { aitpEnvelopes } from '../../src/http/aitp/envelope.ts';
import { registerAitpSchedules } from '../../src/http/aitp/schedules.ts';
import type { HttpDeps, Phase } from '../../src/http/deps.ts';
import { experimentSubmitOf, registerEvaluation } from '../../src/http/evaluation/routes.ts';
import { experimentWords } from '../../src/http/evaluation/words.ts';
import { fullJobText } from '../../src/http/native/reply.ts';
import { buildServer } from '../../src/http/server.ts';
import { DEFAULT_POLICY } from '../../src/domain/policy.ts';
import { Evaluations } from '../../src/orchestrator/evaluations.ts';
import type { Capacity, TypeCapacity } from '../../src/orchestrator/capacity.ts';
import { Jobs } from '../../src/orchestrator/jobs.ts';
import { ScheduleTimes } from '../../src/orchestrator/schedule-times.ts';
import { Schedules } from '../../src/orchestrator/schedules.ts';
import { Waiters } from '../../src/orchestrator/wait.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { Store, StoreHealth } from '../../src/store/store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { addJobMetrics } from '../../src/telemetry/job-metrics.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { FakeClock } from './clock.ts';
import { POLICIES } from './make.ts';

export interface HttpBench {
  readonly app: FastifyInstance;
  readonly store: Store;
  readonly clock: FakeClock;
  readonly waiters: Waiters;
  readonly metrics: Metrics;
  readonly capacity: Capacity;
  /** Lines of the server's own log. */
  readonly logged: string[];
  phase: Phase;
  /** What the store is said to be, for what a healthy one does not show. */
  health: StoreHealth | null;
  inject(options: InjectOptions): Promise<LightMyRequestResponse>;
  /** POST /api/jobs; the parsed job. */
  submit(body: Record<string, unknown>): Promise<any>;
  get(path: string): Promise<any>;
  claim(type: string): Promise<Claim>;
  end(claim: Claim, outcome: Outcome): Promise<void>;
  /** Newest cursor: unchanged means nothing was written. */
  seq(): Promise<number>;
  /** Listens on a free port; the base URL. */
  listen(): Promise<string>;
  close(): Promise<void>;
}

export interface HttpBenchOptions {
  /** Folder of the jobs' files. */
  readonly artifacts?: string;
  readonly debug?: boolean;
  readonly allowedHosts?: readonly string[] | null;
  readonly maxConnections?: number;
  readonly maxWaiters?: number;
  readonly queueMax?: number;
  /** Of the database; default in memory. */
  readonly path?: string;
  /** Dialects and streams, as the composition root adds them. */
  readonly extend?: (parts: { readonly store: Store; readonly jobs: Jobs; readonly clock: FakeClock }) => Pick<HttpDeps, 'routes' | 'envelopes'>;
}

class Limits implements Capacity {
  readonly #limits = new Map([['request', 100], ['verify', 10], ['batch', 20], ['noop', 100]]);
  list(): TypeCapacity[] { return [...this.#limits].map(([type, limit]) => ({ type, limit, running: 0 })); }
  set(type: string, limit: number): void { this.#limits.set(type, limit); }
}

export async function httpBench(options: HttpBenchOptions = {}): Promise<HttpBench> {
  const clock = new FakeClock();
  const policies = { ...POLICIES, experiment: { ...DEFAULT_POLICY, gentle: true } as const };
  const real = await openStore({ path: options.path ?? ':memory:', clock, policies, writer: 'inline', ...(options.queueMax === undefined ? {} : { queueMax: options.queueMax }) });
  const store: Store = { ...real, health: () => bench.health ?? real.health() };
  const waiters = new Waiters(store, clock, options.maxWaiters);
  const metrics = createMetrics({ process: false });
  const capacity = new Limits();
  const logged: string[] = [];
  await addJobMetrics(metrics, { store, capacity, waiters });
  const jobs = new Jobs(store);
  const schedules = new Schedules({ store, jobs, clock, times: new ScheduleTimes() });
  let suffix = 0;
  const evaluations = new Evaluations({ store, jobs, waiters, clock, newSuffix: () => String(++suffix).padStart(26, '0') });
  const words = { experiment: experimentWords(store) };
  const refuseUrl = (url: string): string | null => {
    const verdict = checkUrl(url.replaceAll('$ARENA$', 'http://127.0.0.1:8000').replaceAll('$JOB$', 'job'), { allowLoopback: true, allowCidrs: [] });
    return verdict.ok ? null : verdict.message;
  };
  const refuse = { url: refuseUrl, headers: (headers: Readonly<Record<string, string>>): string | null => checkHeaders(headers)?.message ?? null };
  const more = options.extend?.({ store, jobs, clock }) ?? {};
  const app = buildServer({
    store, waiters, artifacts: new Artifacts(options.artifacts ?? '/nonexistent'), metrics, capacity, clock, policies, jobs, schedules, inputs: INPUTS, words, refuseUrl,
    otherSubmit: experimentSubmitOf(evaluations, refuse, async (id) => fullJobText({ store, policies, words }, await jobs.get(id), await store.lastSeq())),
    envelopes: [...aitpEnvelopes, ...(more.envelopes ?? [])], routes: [(scope) => registerAitpSchedules(scope, { store, schedules, clock }), (scope) => registerEvaluation(scope, evaluations, refuse), ...(more.routes ?? [])],
    log: createLogger({ level: 'info', stream: { write: (line: string) => { logged.push(line); } } }),
    phase: () => bench.phase, version: '0.0.0', debug: options.debug ?? false, allowedHosts: options.allowedHosts ?? null, maxConnections: options.maxConnections ?? 1_000,
  });
  const bench: HttpBench = {
    app, store, clock, waiters, metrics, capacity, logged, phase: 'ready', health: null,
    inject: (request) => app.inject(request),
    async submit(payload) {
      const answer = await app.inject({ method: 'POST', url: '/api/jobs', payload });
      if (answer.statusCode !== 201) throw new Error(`${answer.statusCode} ${answer.body}`);
      return answer.json();
    },
    get: async (url) => (await app.inject({ method: 'GET', url })).json(),
    async claim(type) {
      const [claim] = (await store.execute({ kind: 'claim', worker: 'local', type, limit: 1 })).claimed;
      if (claim === undefined) throw new Error(`no ${type} is ready`);
      return claim;
    },
    async end(claim, outcome) { await store.execute({ kind: 'finish', ended: [{ jobId: claim.id, epoch: claim.epoch, outcome }] }); },
    seq: () => store.lastSeq(),
    async listen() {
      await app.listen({ port: 0, host: '127.0.0.1' });
      return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    },
    async close() {
      await app.close();
      waiters.close();
      await real.close();
    },
  };
  await app.ready();
  return bench;
}

/** Resolves when so many timers wait: the requests under way have come to rest. */
export async function whenWaiting({ clock }: { readonly clock: FakeClock }, count = 1): Promise<void> {
  for (let turns = 0; clock.waiting < count; turns++) {
    if (turns > 10_000) throw new Error(`${clock.waiting} of ${count} wait`);
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}
