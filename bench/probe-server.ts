// Muster put together as src/app.ts does, but for one handler: a no-op that reports the instant at which it was started.
// (The server's own timestamps are whole milliseconds; a start here takes a fraction of one.)
import type { AddressInfo } from 'node:net';
import { readConfig } from '../src/config.ts';
import type { Handler, Registry } from '../src/handlers/handler.ts';
import { INPUTS } from '../src/handlers/inputs.ts';
import { DEFAULT_POLICY } from '../src/domain/policy.ts';
import { buildServer } from '../src/http/server.ts';
import { Artifacts } from '../src/orchestrator/artifacts.ts';
import { Jobs } from '../src/orchestrator/jobs.ts';
import { ScheduleTimes } from '../src/orchestrator/schedule-times.ts';
import { Schedules } from '../src/orchestrator/schedules.ts';
import { Waiters } from '../src/orchestrator/wait.ts';
import { Dispatcher } from '../src/runtime/dispatcher.ts';
import { Sweeper } from '../src/runtime/sweeper.ts';
import { systemClock as clock } from '../src/runtime/system-clock.ts';
import { openStore } from '../src/store/sqlite/index.ts';
import { createLogger } from '../src/telemetry/logger.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';

const run: Handler = async ({ input }) => {
  const at = String(process.hrtime.bigint());
  process.send?.({ token: (JSON.parse(input) as { result: { token: number } }).result.token, at });
  return { kind: 'done', result: null };
};
const registry: Registry = { noop: { policy: DEFAULT_POLICY, concurrency: 100, run } };
const policies = { noop: DEFAULT_POLICY };
const log = createLogger({ level: 'warn' });
const config = readConfig({});

const store = await openStore({ path: process.argv[2] ?? '', clock, policies });
const jobs = new Jobs(store);
const dispatcher = new Dispatcher({ store, jobs, registry, clock, report: log, finalBody: () => Promise.resolve(null) });
jobs.attach(dispatcher);
const sweeper = new Sweeper(store, jobs, clock, log);
const app = buildServer({
  store, jobs, artifacts: new Artifacts('/nonexistent'), schedules: new Schedules({ store, jobs, clock, times: new ScheduleTimes() }), waiters: new Waiters(store, clock), metrics: createMetrics(), clock, policies, log, version: '0', inputs: INPUTS, capacity: dispatcher,
  phase: () => 'ready', debug: false, allowedHosts: config.allowedHosts, maxConnections: config.maxConnections, refuseUrl: () => null,
});
await app.listen({ host: '127.0.0.1', port: 0 });
dispatcher.start();
sweeper.start();
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.send?.({ url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` });
