// The document: what every route says of itself, and what only the document needs (headers, links, examples, streams).
import type { SwaggerTransform } from '@fastify/swagger';
import { z } from 'zod';
import type { SchemaBook } from './schema-json.ts';
import type { OtherSubmit, TypeWords } from './words.ts';

type Any = Record<string, unknown>;

export const openApiBase = (version: string) => ({
  openapi: '3.1.0',
  info: {
    title: 'Muster', version, summary: 'A job server: one process, one SQLite file, plain HTTP.',
    description: 'Submit a job with one POST, poll it or follow its events, and see it COMPLETE. Times are ISO 8601 in UTC, durations milliseconds. Refusals are RFC 9457 problems with a `code` for programs and a `hint` for people.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/', description: 'This server' }],
  security: [],
  tags: [
    { name: 'Jobs', description: 'Submit and find jobs.' },
    { name: 'Watching', description: 'Follow what happens.' },
    { name: 'Control', description: 'Start, pause, resume, cancel, retry, change, delete.' },
    { name: 'Schedules', description: 'Make jobs again and again, by a pattern of times in a time zone.' },
    { name: 'AITP', description: 'Schedules as clients of that protocol know them: 200 to every success, refusals as `{"detail": "…"}`.' },
    { name: 'Types', description: 'Kinds of work and their limits.' },
    { name: 'Grants', description: 'Who may run which operation.' },
    { name: 'Agent operations', description: 'The operations dialect: signed requests, logs line by line, artifacts. Refusals are `{"detail": {"kind": "Error", …}}`.' },
    { name: 'Operations', description: 'Health, metrics, this document.' },
    { name: 'Evaluation', description: 'Test cases, agents, judges, reports; runs of experiments are jobs.' },
    { name: 'Debug', description: 'For trying things out; only in development.' },
  ],
});

/** Turns the zod of a route into JSON Schema. */
export const transformWith = (book: () => SchemaBook): SwaggerTransform => ({ schema, url }) => {
  const source = (schema ?? {}) as Any;
  const out: Any = { ...source };
  for (const part of ['body', 'querystring', 'params', 'headers'] as const) {
    if (source[part] instanceof z.ZodType) out[part] = book().schema(source[part], 'input');
  }
  if (typeof source['response'] === 'object' && source['response'] !== null) {
    out['response'] = Object.fromEntries(Object.entries(source['response'] as Record<string, { description?: string; content?: Record<string, { schema: z.ZodType }> }>)
      .map(([status, { description, content }]) => [status, {
        description, ...(content === undefined ? { type: 'null' } : { content: Object.fromEntries(Object.entries(content).map(([type, media]) => [type, { schema: book().schema(media.schema, 'output') }])) }),
      }]));
  }
  return { schema: out as never, url };
};

const SUBMIT_EXAMPLES = {
  request: { summary: 'Ask an endpoint until it has ended', value: { type: 'request', input: { url: 'https://participant.example/work?job=$JOB$', method: 'POST', body: { question: 'ready?' } } } },
  verify: { summary: 'Ask several at once', value: { type: 'verify', input: { participants: [{ id: 'a', url: 'https://a.example/health' }, { id: 'b', url: 'https://b.example/health' }] } } },
  batch: { summary: 'A sequence of two', value: { type: 'batch', width: 1, children: [{ type: 'noop' }, { type: 'noop', delay: 1000 }] } },
};

const header = (name: string, description: string, schema: Any) => ({ name, in: 'header', required: false, description, schema });
const IDEMPOTENCY = header('Idempotency-Key', 'The same key and body answer the same job; kept 24 hours.', { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' });
const PREFER = header('Prefer', 'wait=N: wait up to N seconds (60 at most) for the end of the job. return=minimal: answer with its id alone; not with a wait.', { type: 'string', examples: ['wait=30', 'return=minimal'] });
const text = (description: string): Any => ({ description, schema: { type: 'string' } });

const jobLink = (operationId: string, description: string, parameter = 'id'): Any => ({ operationId, description, parameters: { [parameter]: '$response.body#/id' } });
const LINKS = {
  get: jobLink('getJob', 'Poll it'), stream: jobLink('streamJob', 'Follow it'), events: jobLink('listEvents', 'Read its log'), children: jobLink('listChildren', 'See its children'),
  logs: jobLink('readLogs', 'Read its output'), explain: jobLink('explainJob', 'Ask why it does not run'), cancel: jobLink('cancelJob', 'Cancel it'), start: jobLink('startJob', 'Start it'),
  pause: jobLink('pauseJob', 'Pause it'), resume: jobLink('resumeJob', 'Resume it'), retry: jobLink('retryJob', 'Run it again'), edit: jobLink('editJob', 'Change it'), delete: jobLink('deleteJob', 'Delete it'),
};

interface Operation extends Any {
  operationId?: string;
  parameters?: Any[];
  requestBody?: { content: Record<string, Any> };
  responses: Record<string, Any & { content?: Record<string, Any>; headers?: Any; links?: Any }>;
}

/** What dialects bring to the native paths. */
export interface Foreign {
  readonly words?: Readonly<Record<string, TypeWords>> | undefined;
  readonly otherSubmit?: OtherSubmit | undefined;
}

/** Adds what routes cannot say in zod. */
export function finishDocument(document: Any, book: SchemaBook, foreign: Foreign = {}): Any {
  const paths = named(document['paths'] as Record<string, Record<string, Operation>>);
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    for (const [status, response] of Object.entries(operation.responses)) {
      response.headers = { ...response.headers, 'x-request-id': text('Names this request in the log') };
      if (status === '503') response.headers['retry-after'] = { description: 'Seconds to wait', schema: { type: 'integer' } };
      if (status === '405') response.headers['allow'] = text('Methods of this path');
    }
    for (const parameter of operation.parameters ?? []) liftDescription(parameter);
  }
  const submit = paths['/api/jobs']?.['post'];
  const bulk = paths['/api/jobs/bulk']?.['post'];
  if (submit !== undefined) {
    submit.parameters = [...(submit.parameters ?? []), IDEMPOTENCY, PREFER];
    const media = submit.requestBody?.content['application/json'];
    if (media !== undefined) media['examples'] = SUBMIT_EXAMPLES;
    for (const status of ['200', '201']) {
      const response = submit.responses[status];
      if (response === undefined) continue;
      response.headers = { ...response.headers, location: text('The path of the job'), 'preference-applied': text('The wait that was granted, or return=minimal') };
      if (status === '200') response.headers['idempotency-replayed'] = text('true: nothing was added');
      response.links = LINKS;
    }
  }
  if (bulk !== undefined) {
    bulk.parameters = [...(bulk.parameters ?? []), IDEMPOTENCY];
    if (bulk.requestBody !== undefined) {
      bulk.requestBody.content['application/x-ndjson'] = { schema: { type: 'string', description: 'One job a line, each as POST /api/jobs takes it' }, example: '{"type":"noop"}\n{"type":"noop","priority":9}\n' };
    }
  }
  const components = (document['components'] ?? {}) as Any;
  const schemas = book.components();
  for (const words of Object.values(foreign.words ?? {})) addWords(schemas, words, book);
  if (foreign.otherSubmit !== undefined && submit?.requestBody !== undefined) {
    schemas['OtherSubmit'] = book.schema(foreign.otherSubmit.schema, 'input');
    submit.requestBody.content['application/json'] = { ...submit.requestBody.content['application/json'], schema: { anyOf: [{ $ref: `${REF}Submit` }, { $ref: `${REF}OtherSubmit` }] } };
  }
  return { ...document, paths, components: { ...components, schemas } };
}

const REF = '#/components/schemas/';

/** A job is native, or in the words of its type: the native one with what they add and say otherwise. */
function addWords(schemas: Record<string, Any>, { name, jobSchema, eventSchema }: TypeWords, book: SchemaBook): void {
  const native = schemas['Job'] ?? {};
  const own = book.schema(jobSchema, 'output');
  const properties = { ...(native['properties'] as Any), ...(own['properties'] as Any) };
  schemas['NativeJob'] = native;
  schemas[`${name}Job`] = { ...native, properties, required: [...new Set([...(native['required'] as string[]), ...(own['required'] as string[])])] };
  schemas['Job'] = { description: 'A job', anyOf: [{ $ref: `${REF}NativeJob` }, { $ref: `${REF}${name}Job` }] };
  schemas['NativeEvent'] = schemas['Event'] ?? {};
  schemas[`${name}Event`] = book.schema(eventSchema, 'output');
  schemas['Event'] = { description: 'An event', anyOf: [{ $ref: `${REF}NativeEvent` }, { $ref: `${REF}${name}Event` }] };
}

/** A wildcard has no name in a route; in the document it is a path parameter like any other. */
function named(paths: Record<string, Record<string, Operation>>): Record<string, Record<string, Operation>> {
  return Object.fromEntries(Object.entries(paths).map(([path, operations]) => {
    if (!path.includes('{*}')) return [path, operations];
    for (const { parameters = [] } of Object.values(operations)) for (const parameter of parameters) if (parameter['name'] === '*') parameter['name'] = 'path';
    return [path.replace('{*}', '{path}'), operations];
  }));
}

function liftDescription(parameter: Any): void {
  const schema = parameter['schema'] as Any | undefined;
  if (parameter['description'] === undefined && typeof schema?.['description'] === 'string') parameter['description'] = schema['description'];
}
