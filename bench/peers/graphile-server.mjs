// graphile-worker. Arguments: PostgreSQL's socket folder; what it is for: post (Fastify before addJob) or drain.
import { Logger, makeWorkerUtils, run, runMigrations } from 'graphile-worker';
import pg from 'pg';
import { answer, counter, serve } from './front.mjs';

const [host, role, connections = '25'] = process.argv.slice(2);
const logger = new Logger(() => (level, message) => { if (level === 'error') process.stderr.write(`${message}\n`); });
const pgPool = new pg.Pool({ host, user: 'postgres', database: 'postgres', max: Number(connections) });
pgPool.on('error', () => {});
pgPool.on('connect', (client) => client.on('error', () => {}));
await runMigrations({ pgPool, logger });
const utils = await makeWorkerUtils({ pgPool, logger });
const CHUNK = 5_000;

/** What its performance page measures with, and the same without batches. */
const PLAIN = { concurrentJobs: 24, pollInterval: 1_000 };
const BATCHES = { ...PLAIN, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

const count = counter();
const gone = async () => (await pgPool.query('select 1 from graphile_worker._private_jobs limit 1')).rows.length === 0;
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

answer({
  async fill({ jobs, body }) {
    for (let left = jobs; left > 0; left -= CHUNK) {
      await utils.addJobs(Array.from({ length: Math.min(left, CHUNK) }, () => ({ identifier: 'noop', payload: body })));
    }
    await pgPool.query('vacuum analyze graphile_worker._private_jobs'); // what autovacuum would do in a minute
    return {};
  },
  async drain({ jobs, batches }) {
    const done = count.expect(jobs);
    const worker = { ...(batches ? BATCHES : PLAIN), preparedStatements: true };
    const runner = await run({
      preset: { worker }, pgPool, logger, noHandleSignals: true, taskList: { noop: async () => { count.started(); count.ended(); } },
    });
    await done;
    while (!(await gone())) await pause(5); // ended = its end is on disk
    const ms = count.since();
    await runner.stop();
    return { ms };
  },
});
process.send({ url: role === 'drain' ? 'none' : await serve(async (body) => (await utils.addJob('noop', body)).id) });
