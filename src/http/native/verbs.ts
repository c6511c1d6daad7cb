// What can be asked of a job that exists: start, pause, resume, cancel, retry, PATCH, DELETE. Each answers the job as it is after.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { JobPatch } from '../../domain/commands.ts';
import type { Verb } from '../../orchestrator/jobs.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { idParams } from './query.ts';
import { fullJobText, sendJson } from './reply.ts';
import { cancelBody, jobSchema, noBody, patch } from './schemas.ts';

const VERBS: Readonly<Record<Verb, { summary: string; description: string }>> = {
  start: { summary: 'Start a job that is held, delayed or backing off', description: 'It is due at once; a limit or a paused batch may still keep it waiting.' },
  pause: { summary: 'Pause a waiting job or a batch', description: 'A paused batch lets what runs finish and starts nothing new.' },
  resume: { summary: 'Resume a paused job or batch', description: 'It goes on where it stopped.' },
  retry: { summary: 'Run a failed or cancelled job again', description: 'Fresh budgets, the same id; a batch takes up what failed below it.' },
};

export function registerVerbs(instance: FastifyInstance, deps: HttpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { store, jobs } = deps;
  const plain = [403, 404, 409, 413, 415, 503] as const; // no body, so no value in it can be out of range
  const answered = answers({ 200: ['The job as it is now', jobSchema] }, ...plain, 422);

  async function sendJob(reply: FastifyReply, id: string): Promise<FastifyReply> {
    const cursor = await store.lastSeq();
    const record = await jobs.get(id);
    const text = await fullJobText(deps, record, cursor);
    // What a dialect's contract answers to a verb, in front of what every client gets.
    return sendJson(reply, deps.words?.[record.job.type] === undefined ? text : `{"success":true,${text.slice(1)}`);
  }

  for (const verb of Object.keys(VERBS) as Verb[]) {
    app.post(`/api/jobs/:id/${verb}`, {
      schema: { operationId: `${verb}Job`, tags: ['Control'], ...VERBS[verb], params: idParams, body: noBody, response: answers({ 200: ['The job as it is now', jobSchema] }, ...plain) },
    }, async ({ params }, reply) => {
      await jobs.verb(verb, params.id);
      return sendJob(reply, params.id);
    });
  }

  app.post('/api/jobs/:id/cancel', {
    schema: {
      operationId: 'cancelJob', tags: ['Control'], summary: 'Cancel a job and what is below it', description: 'Running attempts are told to stop. A `reason` stands in the error of the job.',
      params: idParams, body: cancelBody, response: answered,
    },
  }, async ({ params, body }, reply) => {
    await jobs.cancel(params.id, body?.reason);
    return sendJob(reply, params.id);
  });

  app.patch('/api/jobs/:id', {
    schema: {
      operationId: 'editJob', tags: ['Control'], summary: 'Change priority, tags or the clocks of a job, or seal a batch', description: 'Of a job that has ended only the tags can be changed.',
      params: idParams, body: patch, response: answered,
    },
  }, async ({ params, body }, reply) => {
    await jobs.edit(params.id, body as JobPatch);
    return sendJob(reply, params.id);
  });

  app.delete('/api/jobs/:id', {
    schema: {
      operationId: 'deleteJob', tags: ['Control'], summary: 'Delete a finished tree', description: 'By its root, when everything below it has ended. Its events and logs go with it.',
      params: idParams, response: answers({ 204: ['Gone', null] }, ...plain),
    },
  }, async ({ params }, reply) => {
    await jobs.remove(params.id);
    return reply.code(204).send();
  });
}
