// GET /api/jobs/:id/stream and GET /api/stream: the native words of the one SSE loop.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { EVENT_TYPES, type EventType } from '../../domain/event.ts';
import { wireEvent } from '../../orchestrator/final.ts';
import type { Store } from '../../store/store.ts';
import { answers } from '../answers.ts';
import { afterQuery, readCursor, sseEncoder, streamHeaders } from '../sse.ts';
import type { StreamDialect, Streams } from '../stream.ts';
import type { TypeWords } from '../words.ts';
import { idParams } from './query.ts';

const typeList = z.string().max(200).transform((text, context): EventType[] => {
  const words = [...new Set(text.split(','))];
  const bad = words.find((word) => !(EVENT_TYPES as readonly string[]).includes(word));
  if (bad !== undefined) context.addIssue({ code: 'custom', message: `has the unknown event type ${JSON.stringify(bad.slice(0, 40))}; there are ${EVENT_TYPES.join(', ')}` });
  return words as EventType[];
}).meta({ description: `Only events of these types, with commas: ${EVENT_TYPES.join(', ')}`, example: 'job:complete,job:error' });

const jobQuery = z.strictObject({ after: afterQuery });
// A job's own stream has no such filter: without its last event it could not be told to stop.
const allQuery = z.strictObject({ after: afterQuery, type: typeList.optional() });

const STREAM = ['Events as they happen', z.string(), 'text/event-stream'] as const;

export interface NativeStreamDeps {
  readonly streams: Streams;
  readonly store: Store;
  readonly words?: Readonly<Record<string, TypeWords>>;
}

export function registerStreams(instance: FastifyInstance, { streams, store, words }: NativeStreamDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const native: StreamDialect = {
    encode: sseEncoder((event) => wireEvent(store, event)),
    hello: '{"type":"connected"}',
  };

  app.get('/api/jobs/:id/stream', {
    schema: {
      operationId: 'streamJob', tags: ['Watching'], summary: 'Follow a job and what is below it, live',
      description: 'Server-Sent Events from the first event (or after the cursor) to the one that ends the job. Each durable event has its cursor as `id` and '
        + '`{type, jobId, timestamp, data}` as `data`; the first, `{"type":"connected"}`, has no id. A cursor outside of what is kept gets one event named `reset`, then what is kept. '
        + 'A client that comes back after the end is answered 204 and stops.',
      params: idParams, querystring: jobQuery, headers: streamHeaders,
      response: answers({ 200: STREAM, 204: ['The job has ended and everything was read; or it was deleted and the client came back', null] }, 404, 429, 503),
    },
  }, (request, reply) =>
    streams.followJob(request, reply, request.params.id, readCursor(request.headers['last-event-id'], request.query.after), (type) => words?.[type]?.stream ?? native));

  app.get('/api/stream', {
    schema: {
      operationId: 'streamAll', tags: ['Watching'], summary: 'Follow everything, live',
      description: 'Without a cursor it begins now. To join a snapshot without a gap, pass the cursor that came with it as `after`.',
      querystring: allQuery, headers: streamHeaders, response: answers({ 200: STREAM }, 429, 503),
    },
  }, (request, reply) =>
    streams.followAll(request, reply, readCursor(request.headers['last-event-id'], request.query.after), request.query.type ?? null, native));

  // Before the server closes: it would wait for streams for ever.
  instance.addHook('preClose', () => streams.closeAll());
}
