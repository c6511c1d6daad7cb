// BullMQ. Arguments: Redis's socket; what it is for: latency (Fastify and a worker in one process, its quickest
// arrangement; each start is reported, stamped before anything else), post (Fastify alone) or drain (a worker alone).
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { answer, counter, serve } from './front.mjs';

const [socket, role] = process.argv.slice(2);
const connect = () => new Redis({ path: socket, maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection: connect() });
/** Ended jobs are removed, as its documentation advises for speed. */
const KEEP_NOTHING = { removeOnComplete: true };
const CHUNK = 1_000;

const commands = {};
if (role === 'latency') {
  const worker = new Worker('bench', async (job) => {
    process.send({ token: job.data.input.result.token, at: String(process.hrtime.bigint()) });
  }, { connection: connect(), concurrency: 100 });
  worker.on('error', (error) => { throw error; });
}
if (role === 'drain') {
  const count = counter();
  commands.fill = async ({ jobs, body }) => {
    const list = Array.from({ length: CHUNK }, () => ({ name: 'noop', data: body, opts: KEEP_NOTHING }));
    for (let left = jobs; left > 0; left -= CHUNK) await queue.addBulk(list.slice(0, left));
    return {};
  };
  commands.drain = async ({ jobs, concurrency }) => {
    const done = count.expect(jobs);
    const worker = new Worker('bench', async () => count.started(), { connection: connect(), concurrency, autorun: false });
    worker.on('error', (error) => { throw error; });
    worker.on('completed', () => count.ended());
    void worker.run();
    await done;
    const ms = count.since();
    await worker.close();
    return { ms };
  };
}
answer(commands);
process.send({ url: role === 'drain' ? 'none' : await serve(async (body) => (await queue.add('noop', body, KEEP_NOTHING)).id) });
