// /api/eval/{test-cases,experiments,agents,models}: four kinds of documents, one set of routes for each.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import type { Entry, Library, LibraryKind } from '../../orchestrator/evaluations/library.ts';
import { iso } from '../../orchestrator/final.ts';
import type { StoredDocument } from '../../store/store.ts';
import { answers } from '../answers.ts';
import { Refusal } from '../problem.ts';
import { refusalOf } from '../validate.ts';
import { addLinesParser } from './lines.ts';
import {
  agentBody, docParams, documentSchema, encodeCursor, experimentBody, exportQuery, importBodies, importedSchema, modelBody, pageQuery, pageSchema, removedSchema, testCaseBody, versionQuery,
} from './schemas.ts';

/** Why a job may not call this URL, or send these headers; null if it may. */
export interface Refuse { url(url: string): string | null; headers(headers: Readonly<Record<string, string>>): string | null }

interface Kind<B extends z.ZodType> {
  readonly kind: LibraryKind;
  /** Of the path and of lists. */
  readonly path: keyof typeof importBodies;
  readonly key: string;
  readonly one: string;
  readonly body: B;
  /** @throws Refusal */
  entry(body: z.output<B>, refuse: Refuse): Entry;
  show?(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
}

/** What would end each run is refused when it is stored. @throws Refusal */
export function checkCall({ url, headers }: { readonly url: string | undefined; readonly headers: Readonly<Record<string, string>> | undefined }, at: { readonly url: string; readonly headers: string }, code: 'invalid' | 'invalid_request', refuse: Refuse): void {
  const badUrl = url === undefined ? null : refuse.url(url);
  if (badUrl !== null) throw new Refusal(code, `${at.url} may not be called: ${badUrl}`, { errors: [{ pointer: at.url, detail: badUrl }] });
  const badHeaders = headers === undefined ? null : refuse.headers(headers);
  if (badHeaders !== null) throw new Refusal(code, `${at.headers} may not be sent: ${badHeaders}`, { errors: [{ pointer: at.headers, detail: badHeaders }] });
}
const names = (values: Readonly<Record<string, string>> | undefined): string[] => Object.keys(values ?? {});
const some = (values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

const CASES: Kind<typeof testCaseBody> = {
  kind: 'test_case', path: 'test-cases', key: 'testCases', one: 'test case', body: testCaseBody,
  entry({ id, name, category, difficulty, labels, tags, isPromoted, ...rest }) {
    const all = [...(labels ?? []), ...(category === undefined ? [] : [`category:${category}`]), ...(difficulty === undefined ? [] : [`difficulty:${difficulty}`])];
    return { id, name, body: { ...some(rest), labels: [...new Set(all)], isPromoted: isPromoted ?? tags?.includes('promoted') ?? false, ...(tags === undefined ? {} : { tags }) } };
  },
};
const EXPERIMENTS: Kind<typeof experimentBody> = {
  kind: 'experiment', path: 'experiments', key: 'experiments', one: 'experiment', body: experimentBody,
  entry: ({ id, name, ...rest }) => ({ id, name, body: some(rest) }),
};
const AGENTS: Kind<typeof agentBody> = {
  kind: 'agent', path: 'agents', key: 'agents', one: 'agent', body: agentBody,
  entry({ key, name, headers, ...rest }, refuse) {
    checkCall({ url: rest.endpoint, headers }, { url: '#/endpoint', headers: '#/headers' }, 'invalid', refuse);
    return { id: key, name: name ?? key, body: { ...some(rest), ...(headers === undefined ? {} : { headerNames: names(headers) }) }, ...(headers === undefined ? {} : { secret: { headers } }) };
  },
};
const MODELS: Kind<typeof modelBody> = {
  kind: 'model', path: 'models', key: 'models', one: 'model', body: modelBody,
  entry({ id, name, apiKey, headers, ...rest }, refuse) {
    checkCall({ url: rest.baseUrl, headers }, { url: '#/baseUrl', headers: '#/headers' }, 'invalid', refuse);
    if (apiKey !== undefined) checkCall({ url: undefined, headers: { authorization: `Bearer ${apiKey}` } }, { url: '', headers: '#/apiKey' }, 'invalid', refuse);
    const secret = { ...(apiKey === undefined ? {} : { apiKey }), ...(headers === undefined ? {} : { headers }) };
    return { id, name: name ?? id, body: { ...some(rest), hasKey: apiKey !== undefined, headerNames: names(headers) }, ...(apiKey === undefined && headers === undefined ? {} : { secret }) };
  },
};

export function showDocument({ id, name, version, createdAt, updatedAt, body, kind }: StoredDocument): Readonly<Record<string, unknown>> {
  return { id, ...(kind === 'agent' ? { key: id } : {}), name, version, createdAt: iso(createdAt), updatedAt: iso(updatedAt), ...(JSON.parse(body) as Record<string, unknown>) };
}

const send = (reply: FastifyReply, value: unknown, status = 200): FastifyReply => reply.code(status).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(value));

/** Documents of an export, held at once: a page, not the whole. */
const EXPORT_PAGE = 100;

/** One text at a time, in pages: an export is as long as what there is. */
export async function* exported(read: (after: number | null) => Promise<{ readonly texts: readonly string[]; readonly next: number | null }>, format: 'json' | 'jsonl'): AsyncGenerator<string> {
  let first = true;
  if (format === 'json') yield '[';
  for (let after: number | null = null; ; ) {
    const { texts, next }: { readonly texts: readonly string[]; readonly next: number | null } = await read(after);
    for (const text of texts) {
      yield format === 'jsonl' ? `${text}\n` : first ? text : `,${text}`;
      first = false;
    }
    if (next === null) break;
    after = next;
  }
  if (format === 'json') yield ']';
}
export const fileAnswers = (item: z.ZodType): ReturnType<typeof answers> => ({
  ...answers({}, 503), 200: { description: 'The file', content: { 'application/json': { schema: z.array(item) }, 'application/x-ndjson': { schema: z.string() } } },
});
export const EXPORT_TYPES = { json: 'application/json; charset=utf-8', jsonl: 'application/x-ndjson; charset=utf-8' } as const;

export function registerLibrary(instance: FastifyInstance, library: Library, refuse: Refuse): void {
  for (const kind of [CASES, EXPERIMENTS, AGENTS, MODELS]) registerKind(instance, kind as unknown as Kind<z.ZodType>, library, refuse);
}

function registerKind(instance: FastifyInstance, spec: Kind<z.ZodType>, library: Library, refuse: Refuse): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { kind, path, key, one } = spec;
  const tags = ['Evaluation'];
  const base = `/api/eval/${path}`;
  const name = key.charAt(0).toUpperCase() + key.slice(1);
  const single = name.replace(/s$/, '');
  const writes = [403, 413, 415, 422, 503] as const;

  app.get(base, {
    schema: { operationId: `list${name}`, tags, summary: `List ${one}s, newest first`, querystring: pageQuery, response: answers({ 200: ['One page', pageSchema(key, documentSchema)] }, 503) },
  }, async ({ query }, reply) => {
    const { items, next } = await library.list(kind, query.cursor ?? null, query.limit ?? 50);
    return send(reply, { [key]: items.map(showDocument), nextCursor: encodeCursor(next) });
  });

  app.post(base, {
    schema: { operationId: `create${single}`, tags, summary: `Store ${one === 'experiment' || one === 'agent' ? 'an' : 'a'} ${one}`, body: spec.body, response: answers({ 201: ['As it was stored', documentSchema] }, 409, ...writes) },
  }, async ({ body }, reply) => {
    const [id = ''] = await library.save(kind, [spec.entry(body, refuse)], 'create');
    const stored = await library.find(kind, id);
    if (stored === null) throw new DomainError('conflict', `The ${one} ${id} was stored, and deleted by somebody else before it could be shown.`, { hint: 'Store it again if it is wanted.' });
    reply.header('location', `${base}/${id}`);
    return send(reply, showDocument(stored), 201);
  });

  app.get(`${base}/export`, {
    schema: { operationId: `export${name}`, tags, summary: `All ${one}s as a file`, description: 'Takes up again what POST …/import reads. Keys and headers are not in it.', querystring: exportQuery, response: fileAnswers(z.looseObject({ name: z.string() })) },
  }, async ({ query }, reply) => {
    const format = query.format ?? 'json';
    const read = async (after: number | null): Promise<{ texts: string[]; next: number | null }> => {
      const { items, next } = await library.list(kind, after, EXPORT_PAGE);
      return { texts: items.map((item) => JSON.stringify(portable(showDocument(item)))), next };
    };
    const { Readable } = await import('node:stream');
    return reply.header('content-type', EXPORT_TYPES[format]).header('content-disposition', `attachment; filename="${path}.${format}"`).send(Readable.from(exported(read, format)));
  });

  instance.register((scope, _options, done) => {
    addLinesParser(scope);
    scope.withTypeProvider<ZodTypeProvider>().post(`${base}/import`, {
      bodyLimit: IMPORT_LIMIT,
      schema: {
        operationId: `import${name}`, tags, summary: `Store many ${one}s, all or none`, description: 'What has an id that is known becomes its newest version.',
        body: importBodies[path] as z.ZodType, response: answers({ 200: ['Ids in the order they were sent', importedSchema] }, ...writes),
      },
    }, async ({ body }, reply) => send(reply, { ids: await library.save(kind, (body as unknown[]).map((item) => spec.entry(item, refuse)), 'keep') }));
    done();
  });

  app.get(`${base}/:id`, {
    schema: { operationId: `get${single}`, tags, summary: `Get ${one === 'experiment' || one === 'agent' ? 'an' : 'a'} ${one}`, params: docParams, querystring: versionQuery, response: answers({ 200: ['As it is stored', documentSchema] }, 404, 503) },
  }, async ({ params, query }, reply) => send(reply, showDocument(await library.get(kind, params.id, query.version))));

  app.put(`${base}/:id`, {
    schema: { operationId: `replace${single}`, tags, summary: kind === 'test_case' ? 'Make a new version of a test case' : `Replace ${one === 'model' ? 'a' : 'an'} ${one}`, params: docParams, body: spec.body, response: answers({ 200: ['As it is now', documentSchema] }, 404, ...writes) },
  }, async ({ params, body }, reply) => {
    const entry = spec.entry(body, refuse);
    if (entry.id !== undefined && entry.id !== params.id) throw refusalOf([{ code: 'custom', path: [kind === 'agent' ? 'key' : 'id'], message: `differs from the ${params.id} of the path`, input: entry.id }], 'body');
    await library.save(kind, [{ ...entry, id: params.id }], 'update');
    return send(reply, showDocument(await library.get(kind, params.id)));
  });

  app.delete(`${base}/:id`, {
    schema: { operationId: `delete${single}`, tags, summary: `Delete ${one === 'experiment' || one === 'agent' ? 'an' : 'a'} ${one}, with its versions and secrets`, description: 'Runs and reports keep what they were made with.', params: docParams, response: answers({ 200: ['Gone', removedSchema] }, 403, 404, 413, 415, 503) },
  }, async ({ params }, reply) => send(reply, { deleted: await library.remove(kind, params.id) }));

  if (kind !== 'test_case') return;
  app.get(`${base}/:id/versions`, {
    schema: { operationId: 'listTestCaseVersions', tags, summary: 'List the versions of a test case, newest first', params: docParams, querystring: pageQuery, response: answers({ 200: ['One page', pageSchema('versions', documentSchema)] }, 404, 503) },
  }, async ({ params, query }, reply) => {
    await library.get(kind, params.id);
    const { items, next } = await library.versions(kind, params.id, query.cursor ?? null, query.limit ?? 50);
    return send(reply, { versions: items.map(showDocument), nextCursor: encodeCursor(next) });
  });
}

/** Files of 1,000 cases with a page of context each. */
export const IMPORT_LIMIT = 16 * 1_048_576;

/** Without what the server adds: import takes exactly what was stored. */
function portable(shown: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { version: _version, createdAt: _created, updatedAt: _updated, hasKey: _hasKey, headerNames: _headers, id, ...rest } = shown;
  return 'key' in rest ? rest : { id, ...rest };
}
