// The composition root: the one file that names every concrete part, and the order in which they start and stop.
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import { type Config, ConfigError } from './config.ts';
import { createContainers } from './containers.ts';
import type { Clock } from './domain/clock.ts';
import { LOCAL_WORKER } from './domain/job.ts';
import { createEgress } from './handlers/egress/client.ts';
import { checkHeaders, checkUrl, type EgressPolicy } from './handlers/egress/guard.ts';
import type { Registry } from './handlers/handler.ts';
import { expandUrl, inputsFor } from './handlers/inputs.ts';
import { createEvaluationTypes } from './handlers/evaluation/registry.ts';
import type { ReportFacts } from './handlers/evaluation/tools.ts';
import { createRegistry } from './handlers/registry.ts';
import { aitpEnvelopes } from './http/aitp/envelope.ts';
import { registerAitpSchedules } from './http/aitp/schedules.ts';
import type { Phase } from './http/deps.ts';
import { experimentSubmitOf, registerEvaluation } from './http/evaluation/routes.ts';
import { experimentWords } from './http/evaluation/words.ts';
import { lastInLine } from './http/last-in-line.ts';
import { fullJobText } from './http/native/reply.ts';
import { registerStreams } from './http/native/streams.ts';
import { operationsEnvelope } from './http/operations/envelope.ts';
import { logReader } from './http/operations/log-reader.ts';
import { registerOperations } from './http/operations/routes.ts';
import { createWallet } from './http/operations/wallet.ts';
import { buildServer, type HttpLimits } from './http/server.ts';
import { Streams } from './http/stream.ts';
import { Artifacts } from './orchestrator/artifacts.ts';
import { Evaluations } from './orchestrator/evaluations.ts';
import { afterRestart, outcomesOf } from './orchestrator/evaluations/runs.ts';
import { addDemoGrant } from './orchestrator/demo-grant.ts';
import { finalBody } from './orchestrator/final.ts';
import { Jobs } from './orchestrator/jobs.ts';
import { ScheduleTimes } from './orchestrator/schedule-times.ts';
import { Schedules } from './orchestrator/schedules.ts';
import { Waiters } from './orchestrator/wait.ts';
import { Dispatcher } from './runtime/dispatcher.ts';
import { Feed } from './runtime/feed.ts';
import { Scheduler } from './runtime/scheduler.ts';
import { recover, Sweeper } from './runtime/sweeper.ts';
import { catchUp, ClockWatch, createSteadyClock } from './runtime/steady-clock.ts';
import { newSuffix } from './store/sqlite/ids.ts';
import { openStore, type StoreOptions } from './store/sqlite/index.ts';
import { addEvaluationMetrics } from './telemetry/evaluation-metrics.ts';
import { addJobMetrics } from './telemetry/job-metrics.ts';
import type { Logger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { addRuntimeMetrics } from './telemetry/runtime-metrics.ts';
import { addScheduleMetrics } from './telemetry/schedule-metrics.ts';

/** What runs may end by itself for this long when the server stops; then it is interrupted, which burns no retry. */
const STOP_GRACE = 2_000;
/**
 * The listener stays open this long after the signal: Node accepts one connection per turn, and the kernel resets what is
 * still in line when the listener closes (seen: 2 of 8 requests sent before the signal). Every answer then says `close`.
 */
const LINGER = 200;
/** And until everybody who was in line has been taken, at most this long: on a busy machine that is more than the above. */
const LINE_MAX = 2_000;
/** Open requests get this long to end; the whole stop fits the 10 s that supervisors give. */
const DRAIN_MAX = 6_000;

export interface AppOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  /** The store cannot go on: the process must stop at once. */
  readonly onFailure: (error: Error) => void;
  /** Both only for measurements and tests: short time-outs, and the negative controls of faults. */
  readonly http?: Partial<HttpLimits>;
  readonly store?: Partial<Pick<StoreOptions, 'writer' | 'synchronous' | 'writerModule'>>;
}

export interface App {
  /** Where it listens. */
  readonly url: string;
  /** What SQLite says of itself, read back: synchronous 2 = FULL, journal wal. */
  readonly storage: { readonly synchronous: number; readonly journal: string };
  /** Stops in the order that loses nothing; resolves when the file is let go. */
  stop(): Promise<void>;
}

/** Order: own the file → check it → migrate → take up what a dead process left → listen → run. */
export async function startApp({ config, clock: machine, log, version, onFailure, http, store: overrides }: AppOptions): Promise<App> {
  let phase: Phase = 'starting';
  const clock = createSteadyClock(machine);
  const tools = { url: config.arenaUrl ?? '', port: config.port };
  const policy: EgressPolicy = {
    allowLoopback: config.egressLoopback, allowCidrs: config.egressAllow.cidrs, allowPorts: config.egressAllow.ports,
    ownAddresses: Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
    get ownPort() { return tools.port; },
  };
  const egress = createEgress({ policy, clock });
  const artifacts = new Artifacts(`${config.db}.artifacts`);
  const containers = config.containers.images.length === 0 ? null : createContainers({ config, clock, artifacts, log });
  const metrics = createMetrics();
  const runtime = addRuntimeMetrics(metrics);
  const registry: Registry = {
    ...createRegistry({ egress, clock, get arenaUrl() { return tools.url; } }, containers?.tools ?? null),
    // They run once the store is open.
    ...createEvaluationTypes({
      egress, clock, meter: addEvaluationMetrics(metrics), part: (kind, id, part) => store.documentPart(kind, id, part), secret: (kind, id) => store.documentSecret(kind, id),
      report: async (id) => JSON.parse((await store.document('report', id))?.body ?? 'null') as ReportFacts | null, outcomes: (jobId) => outcomesOf(store, jobId),
    }),
  };
  const strangers = Object.keys(config.concurrency).filter((type) => registry[type] === undefined);
  if (strangers.length > 0) throw new ConfigError([`MUSTER_CONCURRENCY names ${strangers.join(', ')}; there are the types ${Object.keys(registry).join(', ')}.`]);
  const policies = Object.fromEntries(Object.entries(registry).map(([type, row]) => [type, row.policy]));

  const store = await openStore({ path: config.db, clock, policies, queueMax: config.writeQueue, ...overrides });
  store.onFailure(onFailure);
  const jobs = new Jobs(store);
  await containers?.attach(store);
  const setBack = await catchUp(clock, store);
  if (setBack < 0) log.warn({ ms: setBack }, 'The clock of the machine was set back while the server was down; what waits was moved with it');
  const orphans = await recover(jobs, LOCAL_WORKER);
  if (orphans > 0) log.warn({ jobs: orphans }, 'The process before this one died; its running jobs are taken up again');
  const runs = await afterRestart(store, jobs);
  if (runs.paused > 0) log.warn({ runs: runs.paused }, 'Experiments that were running are paused; POST /api/jobs/{id}/resume goes on with each');

  if (config.debug) await addDemoGrant(store, jobs);
  const wallet = config.walletMnemonic === null ? null : createWallet(config.walletMnemonic);
  const waiters = new Waiters(store, clock, config.maxWaiters);
  const feed = new Feed({ store, clock, report: log });
  const dispatcher = new Dispatcher({
    store, jobs, registry, clock, report: log, concurrency: config.concurrency,
    finalBody: (id) => finalBody(store, id), onEnded: runtime.runEnded,
  });
  jobs.attach(dispatcher);
  const sweeper = new Sweeper(store, jobs, clock, log, () => dispatcher.unheard());
  const times = new ScheduleTimes();
  const schedules = new Schedules({ store, jobs, clock, times });
  const scheduler = new Scheduler({ store, jobs, clock, times, report: log, onServed: addScheduleMetrics(metrics, store) });
  schedules.attach(() => scheduler.changed());
  const watch = new ClockWatch(clock, store, log, () => { sweeper.replan(); scheduler.replan(); });
  const streams = new Streams({ store, feed, clock, meter: runtime.streams, limits: { streams: config.maxStreams, perAddress: config.maxStreamsPerAddress } });
  const evaluations = new Evaluations({ store, jobs, waiters, clock, newSuffix });
  const words = { experiment: experimentWords(store) };
  await addJobMetrics(metrics, { store, capacity: dispatcher, waiters });

  const refuseUrl = (url: string): string | null => {
    const verdict = checkUrl(expandUrl(url, 'job_00000000000000000000000000', tools.url), policy);
    return verdict.ok ? null : verdict.message;
  };
  const refuse = { url: refuseUrl, headers: (headers: Readonly<Record<string, string>>): string | null => checkHeaders(headers)?.message ?? null };
  const inputs = inputsFor(config.containers);
  const server = buildServer({
    store, jobs, schedules, waiters, artifacts, metrics, clock, policies, log, version, inputs, capacity: dispatcher,
    phase: () => phase, degraded: () => containers?.degraded() ?? [], debug: config.debug, allowedHosts: config.allowedHosts, maxConnections: config.maxConnections, ...(http === undefined ? {} : { limits: http }),
    refuseUrl, words, otherSubmit: experimentSubmitOf(evaluations, refuse, async (id) => fullJobText({ store, policies, words }, await jobs.get(id), await store.lastSeq())),
    envelopes: [...aitpEnvelopes, operationsEnvelope],
    routes: [(app) => registerStreams(app, { streams, store, words }), (app) => registerAitpSchedules(app, { store, schedules, clock }), (app) => registerEvaluation(app, evaluations, refuse),
      (app) => registerOperations(app, { store, jobs, inputs, clock, streams, artifacts, logs: logReader(store), wallet, isOpen: config.debug })],
  });

  const letGo = async (): Promise<void> => {
    await containers?.stop();
    await egress.close();
    await feed.stop();
    await store.close();
  };
  try {
    feed.start();
    await server.listen({ host: config.host, port: config.port });
  } catch (error) {
    await letGo();
    throw error;
  }
  const { port } = server.server.address() as AddressInfo;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  tools.port = port;
  tools.url = config.arenaUrl ?? url;
  dispatcher.start();
  sweeper.start();
  scheduler.start();
  watch.start();
  containers?.start();
  phase = 'ready';

  const stop = async (): Promise<void> => {
    phase = 'stopping'; // /ready says so, new writes are refused
    dispatcher.pauseClaims();
    await watch.stop();
    await scheduler.stop();
    await sweeper.stop();
    const stopRuns = dispatcher.stop(STOP_GRACE);
    const inLine = lastInLine(server.server);
    await new Promise<void>((resolve) => { clock.after(LINGER, resolve); });
    await new Promise<void>((resolve) => {
      const enough = clock.after(LINE_MAX - LINGER, resolve);
      void inLine.then(() => { enough(); resolve(); });
    });
    const cut = clock.after(DRAIN_MAX, () => server.server.closeAllConnections());
    await Promise.all([server.close(), stopRuns]);
    cut();
    await letGo();
  };
  let stopped: Promise<void> | null = null;
  return { url, storage: store.facts, stop: () => (stopped ??= stop()) };
}
