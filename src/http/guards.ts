// What is checked before any route looks at a request: the host it was sent to, where it came from, whether we stop.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DomainError } from '../domain/errors.ts';
import type { HttpDeps } from './deps.ts';
import { Refusal } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Pages of other sites may call it: it goes by a signature, never by who the browser is. */
    anySite?: boolean;
  }
}

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The name in a Host header, without the port; null if it is none. */
export function hostName(header: string | undefined): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(header ?? '');
  return match?.[1]?.toLowerCase() ?? null;
}

export function addGuards(app: FastifyInstance, deps: Pick<HttpDeps, 'allowedHosts' | 'phase'>): void {
  const hosts = deps.allowedHosts === null ? null : new Set(deps.allowedHosts.map((host) => host.toLowerCase()));
  // A client sends the same Host every time; the last good one spares the parsing.
  let lastGood = '';

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    const isStopping = deps.phase() === 'stopping';
    if (isStopping) reply.header('connection', 'close'); // a connection kept would be cut before its next request is read
    const { host } = request.headers;
    if (host === undefined && request.raw.httpVersionMinor !== 0) return done(new Refusal('invalid_request', 'An HTTP/1.1 request has a Host header.', { hint: 'Send the name or address of this server as Host.' }));
    // Node keeps the first of several; whoever stands in front of us may have judged the last (RFC 9112 3.2).
    if (hasTwoHosts(request.raw.rawHeaders)) return done(new Refusal('invalid_request', 'A request has one Host header, not several.', { hint: 'Send the name or address of this server as Host, once.' }));
    if (hosts !== null && host !== lastGood) {
      const name = hostName(host);
      if (name === null || !hosts.has(name)) {
        return done(new Refusal('misdirected', `This server does not answer for the host ${JSON.stringify((host ?? '').slice(0, 100))}.`));
      }
      lastGood = host ?? '';
    }
    const target = request.raw.url ?? '';
    if (hosts !== null && !target.startsWith('/')) { // GET http://name/path: routed by its path, so its name is judged too
      const name = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1];
      if (name !== undefined && !hosts.has(hostName(name) ?? '')) return done(new Refusal('misdirected', `This server does not answer for the host ${JSON.stringify(name.slice(0, 100))}.`));
    }
    if (!READS.has(request.method)) {
      if (request.routeOptions.config.anySite !== true && isForeign(request)) return done(new Refusal('cross_site', 'A browser sent this on behalf of another web site.'));
      if (isStopping) return done(new DomainError('unavailable', 'The server is stopping and takes no changes.'));
    }
    return done();
  });
}

function hasTwoHosts(raw: readonly string[]): boolean {
  let count = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count > 1;
}

/** Browsers say where a request comes from; programs say nothing. No page of another site may change anything. */
export function isForeign({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  const { origin } = headers;
  return origin !== undefined && URL.parse(origin)?.host !== headers.host;
}
