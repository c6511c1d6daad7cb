// /api/debug/*: CONTRACT 1.8's endpoints on the native model, with that contract's field names and states, and a scripted
// participant for demos and tests. Only there in development.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { NewJob } from '../../domain/commands.ts';
import { EMPTY_SPEC, type JobStatus } from '../../domain/job.ts';
import { readJson } from '../../domain/read-json.ts';
import type { JobRecord } from '../../store/store.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { parseData } from '../json-body.ts';
import { Participants, SCRIPT_QUERY } from './participant.ts';
import { sendJson } from './reply.ts';
import { jobId } from './schemas.ts';
import { checkUrls } from './urls.ts';

const STATE = {
  queued: 'idle', assigned: 'request', running: 'request', retry: 'idle', paused: 'idle',
  completed: 'complete', failed: 'fail', cancelled: 'fail',
} as const satisfies Record<JobStatus, string>;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const DELAY_MAX = 86_400;
const requestBody = z.strictObject({
  url: z.string().min(1).max(2_048), method: z.enum(METHODS).default('GET'),
  data: z.string().nullable().describe('Sent as JSON if it is JSON, else as text'), delay: z.int().min(0).max(DELAY_MAX).default(0).describe('Seconds'),
});
const batchBody = requestBody.extend({ urls: z.array(z.string().min(1).max(2_048)).min(1).max(1_000) });
const jobRow = z.object({
  id: z.string(), active: z.boolean(), created_at: z.int(), updated_at: z.int(), deleted_at: z.int(), parent_id: z.string().nullable(), command: z.string(),
  data: z.string().nullable(), method: z.string(), priority: z.int(), send_at: z.int(), state: z.enum(['idle', 'request', 'response', 'waiting', 'fail', 'complete']),
  started_at: z.int(), finished_at: z.int(), url: z.string().nullable(),
});
export const envelope = z.object({ job_id: z.string(), delay: z.int(), message: z.string(), state: z.string(), data: z.unknown() });
const jobParams = z.strictObject({ job_id: jobId });
const seconds = (at: number | null): number => (at === null ? 0 : Math.floor(at / 1_000));

function toRow({ job, input }: Pick<JobRecord, 'job' | 'input'>): z.output<typeof jobRow> {
  const { url, method, body } = readJson(input) as { url?: string; method?: string; body?: unknown };
  return {
    id: job.id, active: true, created_at: seconds(job.createdAt), updated_at: seconds(job.endedAt ?? job.claimedAt ?? job.startedAt ?? job.createdAt), deleted_at: 0,
    parent_id: job.parentId, command: job.type, data: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body), method: method ?? 'GET',
    priority: job.priority, send_at: seconds(job.dueAt), state: STATE[job.status], started_at: seconds(job.startedAt), finished_at: seconds(job.endedAt), url: url ?? null,
  };
}

/** The contract's data is a string: JSON if it parses as such, else text; null is no body. */
function bodyOf(data: string | null): unknown {
  return data === null || data === '' ? undefined : parseData(data, 'data');
}

export function registerDebug(instance: FastifyInstance, deps: HttpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { jobs, clock, refuseUrl } = deps;
  const participants = new Participants();
  const tags = ['Debug'];

  const submit = async (reply: FastifyReply, plan: NewJob): Promise<FastifyReply> => {
    const { jobs: [job] } = await jobs.submit([plan]);
    if (job === undefined) throw new Error('a submission answered no job');
    return sendJson(reply, JSON.stringify(toRow({ job, input: plan.input })));
  };
  const call = (url: string, method: string, data: string | null): string => JSON.stringify({ url, method, body: method === 'GET' || method === 'HEAD' ? undefined : bodyOf(data) });

  app.post('/api/debug/request', {
    schema: { operationId: 'debugRequest', tags, summary: 'Create a request job quickly', body: requestBody, response: answers({ 200: ['The job as a row', jobRow] }, 403, 413, 415, 422, 503) },
  }, async ({ body }, reply) => {
    checkUrls([{ type: 'request', input: { url: body.url } }], '#', refuseUrl);
    return submit(reply, { type: 'request', input: call(body.url, body.method, body.data), spec: EMPTY_SPEC, dueAt: clock.now() + body.delay * 1_000 });
  });

  app.post('/api/debug/batch', {
    schema: {
      operationId: 'debugBatch', tags, summary: 'Create a batch of requests quickly', description: 'Each of `urls` becomes a GET; then the batch posts `data` to /api/debug/event/{its id}.',
      body: batchBody, response: answers({ 200: ['The batch as a row', jobRow] }, 403, 413, 415, 422, 503),
    },
  }, async ({ body }, reply) => {
    checkUrls(body.urls.map((url) => ({ type: 'request', input: { url } })), '#/urls', refuseUrl);
    const dueAt = clock.now() + body.delay * 1_000;
    return submit(reply, {
      type: 'batch', input: call('$ARENA$/api/debug/event/$JOB$', 'POST', body.data), spec: { finalCall: true },
      children: body.urls.map((url) => ({ type: 'request', input: call(url, 'GET', null), spec: EMPTY_SPEC, dueAt })),
    });
  });

  app.post('/api/debug/event/:job_id', {
    schema: { operationId: 'debugEvent', tags, summary: 'Take the message that ends a batch', params: jobParams, body: z.unknown(), response: answers({ 200: ['Taken', envelope] }, 403, 413, 415, 503) },
  }, ({ params }, reply) => sendJson(reply, JSON.stringify({ job_id: params.job_id, delay: 0, message: 'OK', state: 'completed', data: '' })));

  app.get('/api/debug/job/:job_id', {
    schema: { operationId: 'debugJob', tags, summary: 'A job as a row', params: jobParams, response: answers({ 200: ['The row', jobRow] }, 404, 503) },
  }, async ({ params }, reply) => sendJson(reply, JSON.stringify(toRow(await jobs.get(params.job_id)))));

  app.get('/api/debug/health', {
    schema: { operationId: 'debugHealth', tags, summary: 'What a healthy participant answers', response: answers({ 200: ['Always the same', envelope] }) },
  }, (_request, reply) => sendJson(reply, '{"job_id":"1","delay":0,"message":"test","state":"completed","data":{"name":"debug_controller","state":"OK","version":"1"}}'));

  const answer = ({ params, query }: { params: { job: string }; query: z.output<typeof SCRIPT_QUERY> }, reply: FastifyReply): FastifyReply =>
    sendJson(reply, JSON.stringify(participants.answer(params.job, query)));
  const participant = {
    tags, summary: 'A scripted participant', params: z.strictObject({ job: z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/, 'has 1 to 100 letters, digits, _ . or -') }), querystring: SCRIPT_QUERY,
    description: 'Answers PENDING `pending` times for each job, then COMPLETE (or FAIL) for ever. Put `$JOB$` in the path: every job then has a count of its own.',
  };
  const taken = ['The participant envelope', envelope] as const;
  app.get('/api/debug/participant/:job', { schema: { operationId: 'debugParticipant', ...participant, response: answers({ 200: taken }) } }, answer);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    app.route({ method, url: '/api/debug/participant/:job', schema: { operationId: `debugParticipant${method}`, ...participant, response: answers({ 200: taken }, 403, 413, 415, 503) }, handler: answer as (request: FastifyRequest, reply: FastifyReply) => FastifyReply });
  }
}
