// GET /api/jobs/{id}/logs: what a job has printed, as plain text (curl first), JSON, or a file. Read in pages, never held whole.
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Store } from '../../store/store.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { idParams, logsQuery } from './query.ts';
import { noSuchJob } from './reads.ts';
import { sendJson } from './reply.ts';
import { logSchema } from './schemas.ts';

const DEFAULT_LINES = 1_000;
const PAGE = 200;

/** The lines of one event: `{"lines":[…]}` of job:log, a note for job:gap. */
function linesOf(type: string, data: string | null): string[] {
  const body = (data === null ? {} : JSON.parse(data)) as { lines?: unknown; reason?: unknown; limit?: unknown; dropped?: unknown };
  if (type === 'job:log') return Array.isArray(body.lines) ? body.lines.map(String) : [];
  const what = body.reason === 'log_full' ? `the log is full at ${String(body.limit)} bytes; what came after was dropped` : `entries were dropped (${String(body.reason ?? 'unknown')})`;
  return [`[muster: ${what}]`];
}

async function* readLines(store: Store, jobId: string): AsyncGenerator<string[]> {
  for (let after = 0; ; ) {
    const events = await store.events({ jobId }, after, PAGE, ['job:log', 'job:gap']);
    for (const event of events) if (event.jobId === jobId) yield linesOf(event.type, event.data);
    if (events.length < PAGE) return;
    after = events.at(-1)?.seq ?? after;
  }
}

interface Part {
  readonly lines: readonly string[];
  readonly offset: number;
  readonly nextOffset: number | null;
}

async function readPart(store: Store, jobId: string, query: { tail?: number | undefined; offset?: number | undefined; limit?: number | undefined }): Promise<Part> {
  const { tail } = query;
  const offset = query.offset ?? 0;
  const limit = query.limit ?? DEFAULT_LINES;
  const lines: string[] = [];
  let seen = 0;
  for await (const some of readLines(store, jobId)) {
    for (const line of some) {
      if (tail !== undefined) {
        lines.push(line);
        if (lines.length > tail * 2) lines.splice(0, lines.length - tail);
      } else if (seen >= offset) {
        if (lines.length === limit) return { lines, offset, nextOffset: offset + limit };
        lines.push(line);
      }
      seen++;
    }
  }
  if (tail === undefined) return { lines, offset, nextOffset: null };
  const last = lines.slice(-tail);
  return { lines: last, offset: seen - last.length, nextOffset: null };
}

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

const LOG_ANSWERS: ReturnType<typeof answers> = {
  ...answers({}, 404, 503),
  200: { description: 'Lines, oldest first', content: { 'text/plain': { schema: z.string() }, 'application/json': { schema: logSchema } } },
};

export function registerLogs(instance: FastifyInstance, { store }: HttpDeps): void {
  instance.withTypeProvider<ZodTypeProvider>().get('/api/jobs/:id/logs', {
    schema: {
      operationId: 'readLogs', tags: ['Watching'], summary: 'Read what a job has printed',
      description: 'Plain text, one line each; `format=json` gives the lines with their numbers, `tail=N` the last ones, `download` all of them as a file. A `Link` header with rel="next" leads on.',
      params: idParams, querystring: logsQuery,
      response: LOG_ANSWERS,
    },
  }, async ({ params, query }, reply) => {
    if ((await store.job(params.id)) === null) throw noSuchJob(params.id);
    reply.header('cache-control', 'no-store');
    if (query.download === true) {
      const pages = async function* (): AsyncGenerator<string> { for await (const lines of readLines(store, params.id)) yield textOf(lines); };
      return reply.header('content-type', 'text/plain; charset=utf-8').header('content-disposition', `attachment; filename="${params.id}.log"`).send(Readable.from(pages()));
    }
    const part = await readPart(store, params.id, query);
    if (query.format === 'json') return sendJson(reply, JSON.stringify(part));
    if (part.nextOffset !== null) reply.header('link', `</api/jobs/${params.id}/logs?offset=${part.nextOffset}&limit=${part.lines.length}>; rel="next"`);
    return reply.header('content-type', 'text/plain; charset=utf-8').send(textOf(part.lines));
  });
}
