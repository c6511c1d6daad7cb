// The peer of goal 6: Fastify in front of BullMQ, its worker in the same process, which is its quickest arrangement.
// Sends each start to the parent process, stamped before anything else is done.
import { createRequire } from 'node:module';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

// The same Fastify as ours: not installed twice, so that the comparison cannot drift.
const { default: fastify } = await import(createRequire(new URL('../../package.json', import.meta.url)).resolve('fastify'));

const connect = () => new Redis(Number(process.argv[2]), '127.0.0.1', { maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection: connect() });
const worker = new Worker('bench', async (job) => {
  process.send({ token: job.data.input.result.token, at: String(process.hrtime.bigint()) });
}, { connection: connect(), concurrency: 100 });

worker.on('error', (error) => { throw error; });

const app = fastify();
app.post('/api/jobs', async (request, reply) => {
  const { id } = await queue.add('noop', request.body, { removeOnComplete: true });
  return reply.code(201).send({ id });
});
process.on('disconnect', () => process.exit(0));
process.send({ url: await app.listen({ host: '127.0.0.1', port: 0 }) });
