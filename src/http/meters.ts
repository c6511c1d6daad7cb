// Each route gets a meter of its own when it is added, so that measuring a request looks nothing up.
// The same list of routes answers which methods a path has.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { HttpDeps } from './deps.ts';

interface Known {
  readonly path: RegExp;
  readonly methods: Set<string>;
}

/** Returns the methods that a path has; none if there is no such path. */
export function addMeters(app: FastifyInstance, { metrics, log }: Pick<HttpDeps, 'metrics' | 'log'>): (path: string) => string[] {
  const known = new Map<string, Known>();
  const none = metrics.route('OTHER', '(none)');
  const debug = log.isLevelEnabled('debug');

  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat().map(String);
    const entry = known.get(route.url) ?? { path: pathPattern(route.url), methods: new Set<string>() };
    known.set(route.url, entry);
    for (const method of methods) entry.methods.add(method);
    if (route.url === '/metrics') return; // the seeds' rule: a scrape does not count itself
    if (route.url.endsWith('/stream')) return; // open for hours on purpose: it would be every quantile (muster_streams_* count them)
    const meter = metrics.route(methods.length === 1 ? (methods[0] as string) : 'ANY', route.url);
    const before = route.onResponse === undefined ? [] : [route.onResponse].flat();
    route.onResponse = [...before, (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      meter.observe(reply.statusCode, reply.elapsedTime / 1_000, lengthOf(reply));
      if (debug) log.debug({ requestId: request.id, method: request.method, url: request.url, status: reply.statusCode, ms: reply.elapsedTime }, 'answered');
      done();
    }];
  });
  app.addHook('onResponse', (request, reply, done) => {
    if (request.is404) none.observe(reply.statusCode, reply.elapsedTime / 1_000, lengthOf(reply));
    done();
  });
  metrics.add('gauge', 'http_connections_active', 'Open connections', () => new Promise((resolve) => {
    app.server.getConnections((error, value) => { resolve(error === null ? [{ value }] : []); });
  }));

  return (path) => {
    const methods = new Set<string>();
    for (const entry of known.values()) if (entry.path.test(path)) for (const method of entry.methods) methods.add(method);
    return [...methods].sort();
  };
}

function lengthOf(reply: FastifyReply): number {
  const length = reply.getHeader('content-length');
  return typeof length === 'string' || typeof length === 'number' ? Number(length) : -1;
}

const pathPattern = (url: string): RegExp =>
  new RegExp(`^${url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('/')}$`);
