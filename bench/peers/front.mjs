// What stands before every peer, so that only the queue differs: the Fastify and the zod schema of our own bare yardstick.
// A peer's process takes messages from its parent by name and answers each with { done: name, ... }.
import fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { INPUTS } from '../../src/handlers/inputs.ts';
import { submitSchemas } from '../../src/http/native/schemas.ts';

/** @param {(body: object) => Promise<string | number>} add resolves with the id once the peer has acknowledged */
export async function serve(add) {
  const app = fastify();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const schema = { body: submitSchemas(INPUTS).submit, response: { 201: z.object({ id: z.string() }) } };
  app.post('/api/jobs', { schema }, async (request, reply) => reply.code(201).send({ id: String(await add(request.body)) }));
  return app.listen({ host: '127.0.0.1', port: 0 });
}

/** @param {Record<string, (message: any) => Promise<object>>} commands */
export function answer(commands) {
  process.on('message', async ({ command, ...rest }) => process.send({ done: command, ...(await commands[command](rest)) }));
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
}

/** Jobs of a drain: counts the starts and ends of `count` of them. */
export function counter() {
  let left = 0;
  let startedAt = 0;
  let ended;
  return {
    started() { if (startedAt === 0) startedAt = performance.now(); },
    ended() { left -= 1; if (left === 0) ended(); },
    /** Resolves when all have ended. */
    expect(count) {
      left = count;
      startedAt = 0;
      return new Promise((resolve) => { ended = resolve; });
    },
    /** ms since the first start */
    since: () => performance.now() - startedAt,
  };
}
