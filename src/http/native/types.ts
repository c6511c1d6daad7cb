// /api/types: the kinds of work this process does, and how much of each at once.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { DomainError } from '../../domain/errors.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { typeParams } from './query.ts';
import { sendJson } from './reply.ts';
import { concurrencyBody, typeListSchema, typeSchema } from './schemas.ts';

export function registerTypes(instance: FastifyInstance, { capacity, store, log }: HttpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get('/api/types', {
    schema: { operationId: 'listTypes', tags: ['Types'], summary: 'List the job types with their limits', response: answers({ 200: ['All types', typeListSchema] }, 503) },
  }, async (_request, reply) => {
    const list = capacity.list();
    const ready = await store.readyTypes(list.map(({ type }) => type));
    return sendJson(reply, JSON.stringify({ types: list.map((entry) => ({ ...entry, ready: ready.includes(entry.type) })) }));
  });

  app.patch('/api/types/:type', {
    schema: {
      operationId: 'editType', tags: ['Types'], summary: 'Change how many jobs of a type run at once', description: 'From the next start on; what runs goes on. 0 stops the type. Not kept over a restart: MUSTER_CONCURRENCY is.',
      params: typeParams, body: concurrencyBody, response: answers({ 200: ['The type as it is now', typeSchema] }, 403, 404, 413, 415, 422, 503),
    },
  }, async ({ params, body }, reply): Promise<FastifyReply> => {
    const types = capacity.list().map(({ type }) => type);
    if (!types.includes(params.type)) throw new DomainError('not_found', `There is no job type ${params.type}.`, { hint: `The types are ${types.join(', ')}.` });
    const from = capacity.list().find(({ type }) => type === params.type)?.limit;
    capacity.set(params.type, body.concurrency);
    log.info({ type: params.type, from, to: body.concurrency }, 'The limit of a job type was changed');
    const entry = capacity.list().find(({ type }) => type === params.type);
    return sendJson(reply, JSON.stringify({ ...entry, ready: (await store.readyTypes([params.type])).length > 0 }));
  });
}
