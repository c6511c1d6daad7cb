// POST and GET of operations: parse, ask who signed, call one verb, render. The rules of grants are in the domain.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { checkUse, noSuchGrant, planOperation } from '../../domain/grant.ts';
import { partSecrets } from '../../orchestrator/secrets.ts';
import { answersIn } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { Refusal } from '../problem.ts';
import { partHeaders, readPartCursor } from '../sse.ts';
import type { Streams } from '../stream.ts';
import { refusalOf } from '../validate.ts';
import { findOperation, noSuchOperation, readRequest, signerOf } from './access.ts';
import { ANY_ORIGIN, refusalSchema } from './envelope.ts';
import { registerArtifacts } from './artifacts.ts';
import type { LogReader } from './log-reader.ts';
import { registerIdentity } from './identity.ts';
import { operationStream } from './stream.ts';
import type { Wallet } from './wallet.ts';
import { createBody, createdSchema, createdText, LINES_DEFAULT, linesQuery, operationParams, statusSchema, statusText } from './wire.ts';

export interface OperationsDeps extends Pick<HttpDeps, 'store' | 'jobs' | 'inputs' | 'clock' | 'artifacts'> {
  readonly streams: Streams;
  readonly logs: LogReader;
  /** null: no mnemonic is configured. */
  readonly wallet: Wallet | null;
  /** Development: the all-zero signature stands for the grantee. */
  readonly isOpen: boolean;
}

export const TAGS = ['Agent operations'];
const PREFLIGHT = { ...ANY_ORIGIN, 'access-control-allow-methods': 'GET, POST', 'access-control-allow-headers': 'content-type, last-event-id, x-request-id', 'access-control-max-age': '600' };

export function registerOperations(instance: FastifyInstance, deps: OperationsDeps): void {
  void instance.register((scope, _options, done) => {
    // Read by pages of any origin; see envelope.ts for the refusals that come before this.
    scope.addHook('onRequest', (_request, reply, next) => { reply.headers(ANY_ORIGIN); next(); });
    const preflights = new Set<string>();
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, anySite: true };
      if (route.method !== 'OPTIONS') preflights.add(route.url);
    });
    registerRuns(scope, deps);
    registerArtifacts(scope, deps);
    registerIdentity(scope, deps);
    for (const url of preflights) scope.options(url, { schema: { hide: true } }, (_request, reply) => reply.code(204).headers(PREFLIGHT).send());
    done();
  });
}

const sendText = (reply: FastifyReply, text: string, status = 200): FastifyReply =>
  reply.code(status).header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-store').send(text);

function registerRuns(scope: FastifyInstance, deps: OperationsDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { store, jobs, inputs, clock, streams, logs, isOpen } = deps;
  const dialect = operationStream(store, logs);

  app.post('/api/v1/operations', {
    schema: {
      operationId: 'createOperation', tags: TAGS, summary: 'Start an operation under a permission',
      description: 'The signer of `operation_request_json` must be the grantee of `permission_id`. Parameters of the grant win over those of the request.',
      body: createBody(isOpen), response: answersIn(refusalSchema, { 202: ['Accepted and on disk', createdSchema] }, 401, 403, 404, 413, 415, 503),
    },
  }, async (request, reply) => {
    const { app_signature, operation_request_json: text } = request.body;
    const { permissionId, operation, parameters } = readRequest(text);
    const under = { permissionId, operation, signer: signerOf(request, text, app_signature, 'app_signature', isOpen) };
    const grant = await store.grant(permissionId);
    if (grant === null) throw noSuchGrant(permissionId);
    checkUse(grant, under, clock.now()); // decided again with the commit: it may be revoked meanwhile
    const plan = planOperation(grant, parameters);
    const checked = inputs[plan.type]?.safeParse(JSON.parse(plan.input), { reportInput: true });
    if (checked?.success !== true) {
      if (checked === undefined) throw new Refusal('invalid', `This server runs no jobs of type ${plan.type}, which permission ${permissionId} is for.`);
      throw refusalOf(checked.error.issues.map((issue) => ({ ...issue, path: ['parameters', ...issue.path] })), 'body');
    }
    const { input, secret } = partSecrets(JSON.parse(plan.input));
    const { jobs: [job] } = await jobs.submit([{ ...plan, input: JSON.stringify(input), ...(secret === undefined ? {} : { secret }) }], { under });
    if (job === undefined) throw new Error('a submission answered no job');
    return sendText(reply.header('location', `/api/v1/operations/${job.id}`), createdText(job), 202);
  });

  app.get('/api/v1/operations/:operation_id', {
    schema: {
      operationId: 'getOperation', tags: TAGS, summary: 'Get an operation, with the last lines of what it printed', params: operationParams, querystring: linesQuery,
      response: answersIn(refusalSchema, { 200: ['As it is now', statusSchema] }, 404, 503),
    },
  }, async ({ params, query }, reply) => {
    const { operation_id: id } = params;
    await findOperation(store, id);
    const tail = await logs.tail(id, query.lines ?? LINES_DEFAULT);
    // After the lines: an operation that is shown as ended has all of them.
    return sendText(reply, statusText(await findOperation(store, id), tail));
  });

  app.post('/api/v1/operations/:operation_id/cancel', {
    schema: {
      operationId: 'cancelOperation', tags: TAGS, summary: 'Cancel an operation', description: 'Its container is stopped and removed.', params: operationParams, body: z.unknown().nullish(),
      response: answersIn(refusalSchema, { 204: ['It is canceled', null] }, 404, 413, 415, 503),
    },
  }, async ({ params }, reply) => {
    const { operation_id: id } = params;
    await findOperation(store, id);
    try {
      await jobs.cancel(id);
    } catch (error) {
      if (error instanceof DomainError && error.code === 'conflict') throw new DomainError('not_found', `Operation ${id} has finished.`, { hint: 'There is nothing left to cancel.' });
      throw error;
    }
    return reply.code(204).send();
  });

  app.get('/api/v1/operations/:operation_id/stream', {
    schema: {
      operationId: 'streamOperation', tags: TAGS, summary: 'Follow an operation, line by line',
      description: 'Server-Sent Events without names, for `onmessage`: `{"type":"log","content"}` for each line, what is stored first and then live, `{"type":"status","status"}`, and a last '
        + '`{"type":"complete","status","result","error"}`, after which the stream closes. Each message has an id; a client that comes back with the last one as `Last-Event-ID` gets what follows it, '
        + 'and 204 once it had everything.',
      params: operationParams, headers: partHeaders,
      response: answersIn(refusalSchema, { 200: ['Messages as they happen', z.string(), 'text/event-stream'], 204: ['It has ended and everything was read', null] }, 404, 429, 503),
    },
  }, async (request, reply) => {
    const { operation_id: id } = request.params;
    const cursor = readPartCursor(request.headers['last-event-id']);
    const record = await store.job(id);
    // A deleted one is answered 204 to a client that comes back, as every stream does.
    if (record === null ? !cursor.isReconnect : record.job.spec.grant === undefined) throw noSuchOperation(id);
    return streams.followJob(request, reply, id, cursor, dialect);
  });
}
