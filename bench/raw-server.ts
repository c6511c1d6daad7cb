// The yardsticks of goals 1 and 7. `stub`: our own HTTP side, every hook, check and meter of it, on a store that answers
// at once from memory and keeps nothing. `bare`: Fastify as it comes, one route, the same schema, an answer of the same size.
import fastify from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { AddressInfo } from 'node:net';
import { readConfig } from '../src/config.ts';
import { type Answer, emptyAnswer } from '../src/domain/commands.ts';
import { EMPTY_SPEC, type Job, NO_CHILDREN } from '../src/domain/job.ts';
import { INPUTS } from '../src/handlers/inputs.ts';
import { submitSchemas } from '../src/http/native/schemas.ts';
import { buildServer } from '../src/http/server.ts';
import { Artifacts } from '../src/orchestrator/artifacts.ts';
import { Jobs } from '../src/orchestrator/jobs.ts';
import { ScheduleTimes } from '../src/orchestrator/schedule-times.ts';
import { Schedules } from '../src/orchestrator/schedules.ts';
import { Waiters } from '../src/orchestrator/wait.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import type { Store } from '../src/store/store.ts';
import { createLogger } from '../src/telemetry/logger.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';

const ID = 'job_01k00000000000000000000000';
const jobAt = (now: number): Job => ({
  id: ID, type: 'noop', parentId: null, rootId: ID, ordinal: null, depth: 0, spec: EMPTY_SPEC, status: 'queued', gate: 'open', priority: 5,
  dueAt: now, createdAt: now, startedAt: null, endedAt: null, expiresAt: null, deadlineAt: null, attempt: 0, failures: 0, interruptions: 0,
  crashes: 0, attemptStartedAt: null, claimedAt: null, leaseUntil: null, leaseEpoch: 0, worker: null, children: NO_CHILDREN, progress: null,
  logBytes: 0, error: null, ending: null,
});
const answer = (): Promise<Answer> => Promise.resolve({ ...emptyAnswer(), jobs: [jobAt(systemClock.now())] });

function stub() {
  const part: Pick<Store, 'execute' | 'overloaded' | 'lastSeq' | 'onCommit' | 'health'> = {
    execute: answer, overloaded: () => false, lastSeq: () => Promise.resolve(1), onCommit: () => () => {}, health: () => 'ok',
  };
  const store = part as Store; // nothing else is called on the way of a POST
  const config = readConfig({});
  const jobs = new Jobs(store);
  return buildServer({
    store, jobs, artifacts: new Artifacts('/nonexistent'), schedules: new Schedules({ store, jobs, clock: systemClock, times: new ScheduleTimes() }), waiters: new Waiters(store, systemClock), metrics: createMetrics(), clock: systemClock, policies: {},
    log: createLogger({ level: 'warn' }), version: '0', inputs: INPUTS, capacity: { list: () => [], set: () => {} }, phase: () => 'ready',
    debug: false, allowedHosts: config.allowedHosts, maxConnections: config.maxConnections, refuseUrl: () => null,
  });
}

function bare() {
  const app = fastify().withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const shape = z.object({ job: z.unknown() });
  app.post('/api/jobs', { schema: { body: submitSchemas(INPUTS).submit, response: { 201: shape } } }, async (_request, reply) => {
    const { jobs } = await answer();
    return reply.code(201).send({ job: jobs[0] });
  });
  return app;
}

const app = process.argv[2] === 'bare' ? bare() : stub();
await app.listen({ host: '127.0.0.1', port: 0 });
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.send?.({ url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` });
