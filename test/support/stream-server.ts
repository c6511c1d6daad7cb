// A server with streams and nothing else around them: the real store, the real feed, a real port.
import Fastify from 'fastify';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/domain/clock.ts';
import type { NewJob } from '../../src/domain/commands.ts';
import { registerStreams } from '../../src/http/native/streams.ts';
import { PROBLEM_TYPE, problemOf, RETRY_AFTER } from '../../src/http/problem.ts';
import { type StreamEnd, type StreamLimits, type StreamMeter, Streams } from '../../src/http/stream.ts';
import { validatorCompiler } from '../../src/http/validate.ts';
import { Feed } from '../../src/runtime/feed.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { Store } from '../../src/store/store.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly lastEventId: string | undefined;
  /** 0 until it was answered. */
  status: number;
}

export interface StreamServer {
  readonly store: Store;
  readonly feed: Feed;
  readonly streams: Streams;
  readonly url: string;
  readonly port: number;
  /** Every request in order of arrival. */
  readonly requests: readonly SeenRequest[];
  readonly ends: readonly StreamEnd[];
  /** What the server keeps for sockets that do not read, bytes: the largest at this moment. */
  held(): number;
  /** Resolves as soon as it holds; looked at whenever a request comes or a stream ends. */
  until(what: string, holds: () => boolean): Promise<void>;
  /** Stops as the real server does; a second call does nothing. */
  close(): Promise<void>;
}

export async function startStreamServer(options: { limits?: Partial<StreamLimits>; meter?: StreamMeter; clock?: Clock; ringEvents?: number; port?: number; path?: string; html?: string; store?: (store: Store) => Store } = {}): Promise<StreamServer> {
  const dir = mkdtempSync(join(tmpdir(), 'muster-stream-'));
  const opened = await openStore({ path: options.path ?? join(dir, 'test.db'), clock: systemClock, policies: {} });
  const store = options.store?.(opened) ?? opened;
  const requests: SeenRequest[] = [];
  const ends: StreamEnd[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => { for (const check of waiting) check(); };
  const report = { warn() {}, error(facts: Record<string, unknown>, message: string) { throw new Error(message, { cause: facts['err'] }); } };
  const feed = new Feed({ store, clock: systemClock, report, ...(options.ringEvents === undefined ? {} : { ringEvents: options.ringEvents }) });
  const streams = new Streams({
    store, feed, clock: options.clock ?? systemClock, ...(options.limits === undefined ? {} : { limits: options.limits }),
    meter: {
      opened() { options.meter?.opened(); look(); },
      closed(why) { ends.push(why); options.meter?.closed(why); look(); },
      wrote(count, bytes) { options.meter?.wrote(count, bytes); },
      refused(why) { options.meter?.refused(why); },
    },
  });
  const app = Fastify({ logger: false });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error, _request, reply) => {
    const problem = problemOf(error) ?? { status: 500, code: 'internal' as const, detail: String(error) };
    const after = RETRY_AFTER[problem.code];
    if (after !== undefined) reply.header('retry-after', after);
    return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  });
  app.addHook('onRequest', async (request, reply) => {
    const seen: SeenRequest = { method: request.method, url: request.url, lastEventId: request.headers['last-event-id'] as string | undefined, status: 0 };
    requests.push(seen);
    reply.raw.on('close', () => { seen.status = reply.raw.statusCode; look(); });
    look();
  });
  void app.register((scope, _options, done) => { registerStreams(scope, { streams, store }); done(); });
  app.get('/page', (_request, reply) => reply.type('text/html').send(options.html ?? ''));
  feed.start();
  await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  const { port } = app.server.address() as AddressInfo;
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)); });
  let closing: Promise<void> | null = null;
  return {
    store, feed, streams, requests, ends, port, url: `http://127.0.0.1:${port}`,
    held: () => Math.max(0, ...[...sockets].map((socket) => socket.writableLength)),
    until: (_what, holds) => new Promise((resolve) => {
      const check = (): void => {
        if (!holds()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    }),
    close: () => (closing ??= (async () => {
      await app.close();
      await feed.stop();
      await opened.close();
      rmSync(dir, { recursive: true, force: true });
    })()),
  };
}

/** A job that a test runs by hand. */
export interface HandJob {
  readonly id: string;
  readonly epoch: number;
  /** Appends one event. */
  say(text: string): Promise<void>;
  /** Appends many in one commit. */
  sayAll(texts: readonly string[]): Promise<void>;
  done(result?: unknown): Promise<void>;
  fail(): Promise<void>;
}

export async function submit(store: Store, job: Partial<NewJob> = {}): Promise<string> {
  const answer = await store.execute({ kind: 'submit', jobs: [{ type: 'work', input: '{}', spec: {}, ...job }] });
  const id = answer.jobs[0]?.id;
  if (id === undefined) throw new Error('nothing was submitted');
  return id;
}

/** Claims everything of the type that is ready, in order. */
export async function claim(store: Store, type = 'work', limit = 100): Promise<HandJob[]> {
  const { claimed } = await store.execute({ kind: 'claim', worker: 'test', type, limit });
  return claimed.map(({ id, epoch }) => {
    const sayAll = async (texts: readonly string[]): Promise<void> => {
      await store.execute({ kind: 'note', jobId: id, epoch, events: texts.map((text) => ({ type: 'job:log', data: JSON.stringify({ lines: [text] }) })) });
    };
    return {
      id, epoch, sayAll, say: (text) => sayAll([text]),
      done: async (result) => { await store.execute({ kind: 'finish', ended: [{ jobId: id, epoch, outcome: { kind: 'done', result: result === undefined ? null : JSON.stringify(result) } }] }); },
      fail: async () => { await store.execute({ kind: 'finish', ended: [{ jobId: id, epoch, outcome: { kind: 'fail', error: { code: 'handler_error', message: 'no', retryable: false } } }] }); },
    };
  });
}

export async function runningJob(store: Store, job: Partial<NewJob> = {}): Promise<HandJob> {
  const id = await submit(store, job);
  const claimed = (await claim(store, job.type ?? 'work')).find((one) => one.id === id);
  if (claimed === undefined) throw new Error(`${id} was not claimed`);
  return claimed;
}

/** A batch with children that run, in order of their ordinal. */
export async function runningBatch(store: Store, children: readonly NewJob[], spec: NewJob['spec'] = {}): Promise<{ id: string; children: HandJob[] }> {
  const id = await submit(store, { type: 'batch', children, spec });
  for (let opened = 1; opened > 0;) opened = (await store.execute({ kind: 'claim', worker: 'test', type: 'batch', limit: 100 })).seen;
  return { id, children: await claim(store) };
}
