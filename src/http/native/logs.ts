// GET /api/jobs/{id}/logs: what a job has printed, as plain text (curl first), JSON, or a file. Read in pages, never held whole.
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { LogLine } from '../../orchestrator/log-lines.ts';
import { eachBytes, eachLine, readLines } from '../../orchestrator/logs.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { idParams, logsQuery } from './query.ts';
import { noSuchJob } from './reads.ts';
import { sendJson } from './reply.ts';
import { logSchema } from './schemas.ts';

const textOf = (lines: readonly LogLine[]): string => lines.map(({ text }) => `${text}\n`).join('');

const LOG_ANSWERS: ReturnType<typeof answers> = {
  ...answers({}, 404, 503),
  200: { description: 'Lines, oldest first', content: { 'text/plain': { schema: z.string() }, 'application/json': { schema: logSchema } } },
};

export function registerLogs(instance: FastifyInstance, { store }: HttpDeps): void {
  instance.withTypeProvider<ZodTypeProvider>().get('/api/jobs/:id/logs', {
    schema: {
      operationId: 'readLogs', tags: ['Watching'], summary: 'Read what a job has printed',
      description: 'Plain text, one line each; `format=json` gives the lines with their numbers, `tail=N` the last ones, `stream` those of one, `download` all of them as a file: of a container the very bytes that it printed. A `Link` header with rel="next" leads on.',
      params: idParams, querystring: logsQuery,
      response: LOG_ANSWERS,
    },
  }, async ({ params, query }, reply) => {
    if ((await store.job(params.id)) === null) throw noSuchJob(params.id);
    reply.header('cache-control', 'no-store');
    if (query.download === true) {
      const isPrinted = (await store.printed(params.id)) !== null;
      const one = query.stream === 'log' ? undefined : query.stream;
      const pages = async function* (): AsyncGenerator<string | Uint8Array> {
        if (isPrinted) yield* eachBytes(store, params.id, one); // as they were printed, byte for byte
        else for await (const lines of eachLine(store, params.id)) yield textOf(lines);
      };
      return reply.header('content-type', isPrinted ? 'application/octet-stream' : 'text/plain; charset=utf-8')
        .header('content-disposition', `attachment; filename="${params.id}.log"`).send(Readable.from(pages()));
    }
    const part = await readLines(store, params.id, { ...query, ...(query.stream === undefined ? {} : { streams: [query.stream] }) });
    if (query.format === 'json') {
      const { lines, ...rest } = part;
      return sendJson(reply, JSON.stringify({ lines: lines.map(({ text }) => text), streams: lines.map(({ stream }) => stream), ...rest }));
    }
    if (part.nextOffset !== null) reply.header('link', `</api/jobs/${params.id}/logs?offset=${part.nextOffset}&limit=${part.lines.length}${query.stream === undefined ? '' : `&stream=${query.stream}`}>; rel="next"`);
    return reply.header('content-type', 'text/plain; charset=utf-8').send(textOf(part.lines));
  });
}
