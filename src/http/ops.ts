// For whoever runs the server: health, readiness, metrics, the document and the page made from it.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { answers } from './answers.ts';
import type { HttpDeps } from './deps.ts';
import { docsPage } from './docs-page.ts';
import { sendJson } from './native/reply.ts';
import { finishDocument } from './openapi.ts';
import type { SchemaBook } from './schema-json.ts';

const health = z.object({ status: z.literal('ok') });
const ready = z.object({ status: z.enum(['ready', 'not_ready']), reasons: z.array(z.object({ code: z.string(), message: z.string() })) });

/** Why work should not be sent here now; empty = ready. */
export function notReady({ phase, store }: Pick<HttpDeps, 'phase' | 'store'>): { code: string; message: string }[] {
  const reasons: { code: string; message: string }[] = [];
  if (phase() === 'starting') reasons.push({ code: 'starting', message: 'The server is taking up the jobs of the process before it.' });
  if (phase() === 'stopping') reasons.push({ code: 'stopping', message: 'The server finishes what it has and takes nothing new.' });
  const state = store.health();
  if (state === 'full') reasons.push({ code: 'storage_full', message: 'The disk is full: reads and the ends of running jobs only.' });
  if (state === 'stalled') reasons.push({ code: 'storage_stalled', message: 'A write has been waiting for the disk for more than two seconds: it hangs, or cannot keep up. Reads go on; new work is refused.' });
  if (state === 'failed' || state === 'closed') reasons.push({ code: `store_${state}`, message: `The store is ${state}.` });
  return reasons;
}

export function registerOps(instance: FastifyInstance, deps: HttpDeps, book: SchemaBook): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { metrics } = deps;

  app.get('/health', {
    schema: { operationId: 'health', tags: ['Operations'], summary: 'Is the process alive?', description: 'Answers 200 as long as it can answer at all.', response: answers({ 200: ['It is', health] }) },
  }, (_request, reply) => sendJson(reply, '{"status":"ok"}'));

  app.get('/ready', {
    schema: {
      operationId: 'ready', tags: ['Operations'], summary: 'Should work be sent here?',
      description: '200 may have reasons too: `engine_unavailable` says that containers wait for their engine, while everything else goes on.',
      response: answers({ 200: ['Yes', ready], 503: ['No, for these reasons', ready] }),
    },
  }, (_request, reply) => {
    const reasons = notReady(deps);
    return sendJson(reply, JSON.stringify({ status: reasons.length === 0 ? 'ready' : 'not_ready', reasons: [...reasons, ...(deps.degraded?.() ?? [])] }), reasons.length === 0 ? 200 : 503);
  });

  app.get('/metrics', {
    schema: { operationId: 'metrics', tags: ['Operations'], summary: 'Figures for Prometheus', response: answers({ 200: ['Prometheus text format', z.string(), 'text/plain'] }) },
  }, async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.text()));

  let document = '';
  let page: ReturnType<typeof docsPage> | null = null;
  const build = (): void => {
    const finished = finishDocument(instance.swagger() as unknown as Record<string, unknown>, book, deps);
    document = JSON.stringify(finished);
    page = docsPage(finished);
  };
  instance.addHook('onReady', (done) => { build(); done(); });

  app.get('/openapi.json', {
    schema: { operationId: 'openapi', tags: ['Operations'], summary: 'This API as OpenAPI 3.1', response: answers({ 200: ['The document', z.record(z.string(), z.unknown())] }) },
  }, (_request, reply) => sendJson(reply, document));

  for (const [path, operationId] of [['/docs', 'docs'], ['/', 'home']] as const) {
    app.get(path, {
      schema: { operationId, tags: ['Operations'], summary: 'The documentation, as a page', response: answers({ 200: ['HTML', z.string(), 'text/html'] }) },
    }, (_request, reply) => {
      for (const [name, value] of Object.entries(page?.headers ?? {})) reply.header(name, value);
      return reply.send(page?.html ?? '');
    });
  }
}

