// What the handler tests share: a real clock, servers on loopback, a claim and a context.
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTcp, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Claim } from '../../src/domain/commands.ts';
import type { Clock } from '../../src/domain/clock.ts';
import { NO_CHILDREN } from '../../src/domain/job.ts';
import { createEgress, type Egress, type EgressOptions } from '../../src/handlers/egress/client.ts';
import type { FinalBody, HandlerContext } from '../../src/handlers/handler.ts';

export const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  turn: (callback) => { setImmediate(callback); },
};

/** A clock that stands still until it is told how far to go. */
export function manualClock(): Clock & { advance(ms: number): void; readonly timers: number } {
  let now = 0;
  const timers = new Map<object, { at: number; callback: () => void }>();
  return {
    now: () => now,
    monotonic: () => now,
    after(ms, callback) {
      const key = {};
      timers.set(key, { at: now + ms, callback });
      return () => void timers.delete(key);
    },
    turn: (callback) => { setImmediate(callback); },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at);
        if (next === undefined) break;
        timers.delete(next[0]);
        now = next[1].at;
        next[1].callback();
      }
      now = end;
    },
    get timers() { return timers.size; },
  };
}

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Connections ever accepted. */
  readonly connections: () => number;
  /** Connections open now. */
  readonly open: () => number;
  /** Resolves once no connection is open. */
  readonly idle: () => Promise<void>;
}

async function listen(server: Server | TcpServer, host: string): Promise<Listening> {
  const sockets = new Set<Socket>();
  let count = 0;
  const waiting: (() => void)[] = [];
  server.on('connection', (socket: Socket) => {
    count++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) for (const done of waiting.splice(0)) done();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, port, connections: () => count, open: () => sockets.size,
    idle: () => (sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

export const serve = async (listener: RequestListener, host = '127.0.0.1'): Promise<Listening> => await listen(createServer(listener), host);

/** A server of raw bytes: called once a request's headers have come in. */
export const serveRaw = async (onRequest: (socket: Socket) => void): Promise<Listening> => await listen(createTcp((socket) => {
  socket.once('data', () => onRequest(socket));
}), '127.0.0.1');

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export const openLoopback = { allowLoopback: true, allowCidrs: [] };

export function egressFor(options: Partial<EgressOptions> = {}): Egress {
  const egress = createEgress({ policy: openLoopback, clock, ...options });
  onTestFinished(async () => await egress.close());
  return egress;
}

export const never = new AbortController().signal;

export function claim(input: unknown, more: Partial<Claim> = {}): Claim {
  return {
    id: 'job_01', type: 'request', input: JSON.stringify(input), epoch: 1, attempt: 1, failures: 0, rootId: 'job_01', parentId: null,
    spec: {}, children: NO_CHILDREN, priority: 5, createdAt: 0, claimedAt: 0, secret: null, kept: null, ending: null, ...more,
  };
}

export function contextFor(options: { signal?: AbortSignal; final?: FinalBody | null } = {}): HandlerContext & { readonly lines: string[]; readonly stepped: Readonly<Record<string, unknown>>[] } {
  const lines: string[] = [];
  const stepped: Readonly<Record<string, unknown>>[] = [];
  return {
    lines, stepped, step: (data) => void stepped.push(data), signal: options.signal ?? never, log: (line) => void lines.push(line), progress() {}, stopping: never, keep: async () => {},
    finalBody: async () => options.final ?? null,
  };
}
