// GET /api/jobs/:id/stream and GET /api/stream: the native words of the one SSE loop.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { EVENT_TYPES, type EventType } from '../../domain/event.ts';
import { wireEvent } from '../../orchestrator/final.ts';
import type { Store } from '../../store/store.ts';
import { afterQuery, readCursor, sseEncoder, streamHeaders } from '../sse.ts';
import type { StreamDialect, Streams } from '../stream.ts';
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

export interface NativeStreamDeps {
  readonly streams: Streams;
  readonly store: Store;
}

export function registerStreams(instance: FastifyInstance, { streams, store }: NativeStreamDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const native: StreamDialect = {
    encode: sseEncoder((event) => wireEvent(store, event)),
    hello: '{"type":"connected"}',
  };

  app.get('/api/jobs/:id/stream', { schema: { params: idParams, querystring: jobQuery, headers: streamHeaders } }, (request, reply) =>
    streams.followJob(request, reply, request.params.id, readCursor(request.headers['last-event-id'], request.query.after), native));

  app.get('/api/stream', { schema: { querystring: allQuery, headers: streamHeaders } }, (request, reply) =>
    streams.followAll(request, reply, readCursor(request.headers['last-event-id'], request.query.after), request.query.type ?? null, native));
}
