// The HTTP server: its limits, its one way to refuse, and the list of who adds routes. No route lives here.
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Envelope, HttpDeps } from './deps.ts';
import { addGuards } from './guards.ts';
import { parseJson, refuseEncoding } from './json-body.ts';
import { linger } from './linger.ts';
import { addMeters } from './meters.ts';
import { registerDebug } from './native/debug.ts';
import { registerGrants } from './native/grants.ts';
import { registerReads } from './native/reads.ts';
import { registerArtifacts } from './native/artifacts.ts';
import { registerLogs } from './native/logs.ts';
import { registerSchedules } from './native/schedules.ts';
import { submitSchemas } from './native/schemas.ts';
import { registerSubmit } from './native/submit.ts';
import { registerTypes } from './native/types.ts';
import { registerVerbs } from './native/verbs.ts';
import { openApiBase, transformWith } from './openapi.ts';
import { registerOps } from './ops.ts';
import { FILE_DAMAGED, problem, PROBLEM_TYPE, type Problem, problemOf, Refusal, RETRY_AFTER } from './problem.ts';
import { schemaBook } from './schema-json.ts';
import { validatorCompiler } from './validate.ts';

/** How long a connection may take, ms. */
export interface HttpLimits {
  /** A whole request must have arrived by then, however slowly it is sent. */
  readonly request: number;
  /** Its headers, and the first byte of a new connection. */
  readonly headers: number;
  /** How often Node looks for the two above; its default of 30 s would let a slow sender have 60. */
  readonly check: number;
  /** Longer than the 60 s of most proxies in front of us, so that they close first and no request falls between. */
  readonly keepAlive: number;
}
export const HTTP_LIMITS: HttpLimits = { request: 30_000, headers: 10_000, check: 2_000, keepAlive: 72_000 };
/** While closing. */
const CLOSE_IDLE_EVERY = 20;
export const BODY_LIMIT = 1_048_576;
const HEADER_BYTES = 16_384;

/** Going through all connections takes a millisecond or two, ms. */
const MAKE_ROOM_EVERY = 100;

/** Call ready() or listen() on it. close() lets open requests finish. */
export function buildServer(deps: HttpDeps): FastifyInstance {
  const { log, waiters } = deps;
  const limits = { ...HTTP_LIMITS, ...deps.limits };
  const run = randomBytes(4).toString('hex');
  let count = 0;
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    childLoggerFactory: () => log as FastifyBaseLogger, // a logger for each request costs more than parsing it; errors name the request id
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => `${run}-${(++count).toString(36)}`,
    return503OnClosing: false, // its answer is no problem+json and names no Retry-After; guards.ts refuses what would change something, reads go through
    requestTimeout: limits.request,
    keepAliveTimeout: limits.keepAlive,
    http: { headersTimeout: limits.headers, connectionsCheckingInterval: limits.check, maxHeaderSize: HEADER_BYTES, requireHostHeader: false },
    bodyLimit: BODY_LIMIT,
    clientErrorHandler: refuseBroken,
    frameworkErrors: (error, request, reply) => answer(error, request, reply),
  });
  app.server.maxConnections = deps.maxConnections;
  // No room: who keeps a connection only for later gives way to who asks now; a health probe opens a new one each time.
  let madeRoomAt = -Infinity;
  app.server.on('drop', () => {
    const now = deps.clock.monotonic();
    if (now - madeRoomAt < MAKE_ROOM_EVERY) return;
    madeRoomAt = now;
    app.server.closeIdleConnections();
  });
  app.server.on('connect', (_request, socket) => { refuseBroken({ code: 'METHOD' }, socket as Socket); });
  app.server.on('checkExpectation', (_request, response) => {
    const body = problem('invalid_request', 'Of Expect only 100-continue is known.', { hint: 'Leave the Expect header out.' });
    const text = JSON.stringify(body);
    response.writeHead(body.status, { 'content-type': PROBLEM_TYPE, 'content-length': Buffer.byteLength(text), connection: 'close' }).end(text);
  });

  app.setValidatorCompiler(validatorCompiler);
  // Every answer is text made by hand; the schemas of answers are for the document and the tests.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const type = request.headers['content-type'];
    if (type !== 'application/json' && !isUtf8Json(type ?? '')) return done(new Refusal('unsupported_media_type', 'JSON is UTF-8; no other charset is read.'));
    const buffer = body as Buffer;
    if (buffer.length === 0) return done(null, undefined);
    refuseEncoding(request.headers['content-encoding']);
    return done(null, parseJson(buffer));
  });

  const refuse = (request: FastifyRequest, reply: FastifyReply, body: Problem): void => {
    const path = request.url.split('?', 1)[0] ?? '';
    sendRefusal(request, reply, body, deps.envelopes?.find(({ prefix }) => path.startsWith(prefix)));
  };
  const answer = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const known = problemOf(error);
    if (known?.code === 'damaged') log.error({ err: error, requestId: request.id }, FILE_DAMAGED);
    if (known === null) log.error({ err: error, requestId: request.id, method: request.method, route: request.routeOptions?.url }, 'a request failed through a defect');
    refuse(request, reply, known ?? problem('internal', 'The server failed at this request; nothing is known to have changed.'));
  };
  app.setErrorHandler(answer);

  addGuards(app, deps);
  const allowed = addMeters(app, deps);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const allow = allowed(path);
    if (allow.length === 0) return refuse(request, reply, problem('no_such_route', `There is no path ${path.slice(0, 200)}.`));
    reply.header('allow', allow.join(', '));
    return refuse(request, reply, problem('method_not_allowed', `${request.method} is not a method of this path; it has ${allow.join(', ')}.`));
  });

  const schemas = submitSchemas(deps.inputs);
  const book = schemaBook(schemas.submit, schemas.child, deps.inputs);
  void app.register(swagger, { openapi: openApiBase(deps.version), transform: transformWith(() => book) });
  void app.register((scope, _options, done) => {
    registerSubmit(scope, deps, schemas);
    registerReads(scope, deps);
    registerLogs(scope, deps);
    registerArtifacts(scope, deps);
    registerVerbs(scope, deps);
    registerTypes(scope, deps);
    registerSchedules(scope, deps, schemas);
    registerGrants(scope, deps);
    for (const register of deps.routes ?? []) register(scope);
    if (deps.debug) registerDebug(scope, deps);
    registerOps(scope, deps, book);
    done();
  });
  app.addHook('preClose', (done) => {
    waiters.close(); // long polls are answered with what is known, so that close() need not wait for them
    if (app.server.listening) {
      // A connection that was busy when the closing began would otherwise be kept for its next request.
      const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY);
      app.server.once('close', () => clearInterval(timer));
    }
    done();
  });
  return app;
}

const isUtf8Json = (type: string): boolean => /^application\/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?;?$/i.test(type.trim());

function sendRefusal(request: FastifyRequest, reply: FastifyReply, body: Problem, envelope: Envelope | undefined): void {
  reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff'); // some refusals come before any hook
  const wait = RETRY_AFTER[body.code];
  if (wait !== undefined) reply.header('retry-after', wait);
  // What is left of a body that is too large is not kept.
  if (body.status === 413 || body.status === 408) {
    reply.header('connection', 'close');
    linger(request.raw);
  }
  const { status, contentType, text } = envelope?.render(body) ?? { status: body.status, contentType: PROBLEM_TYPE, text: JSON.stringify({ ...body, error: body.detail, requestId: request.id }) }; // `error`: where the seed's clients look
  if (envelope !== undefined) reply.headers(envelope.headers);
  void reply.code(status).header('content-type', contentType).header('cache-control', 'no-store').send(text);
}

/** Refusals of Node's parser, before there is a request. */
function refuseBroken(error: { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') { socket.destroy(); return; }
  const body = error.code === 'HPE_HEADER_OVERFLOW' ? problem('headers_too_large', 'The headers are over 16 KiB.')
    : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? problem('request_timeout', 'The request did not arrive in time.')
    : error.code === 'METHOD' ? problem('method_not_allowed', 'CONNECT is not a method of this server.')
    : problem('invalid_request', 'This is not HTTP/1.1 as RFC 9112 has it.', { hint: 'Check the request line, the headers and the length of the body.' });
  const text = JSON.stringify(body);
  const allow = body.status === 405 ? 'Allow: GET, HEAD, POST, PATCH, DELETE\r\n' : '';
  socket.end(`HTTP/1.1 ${body.status} ${body.title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n${allow}Connection: close\r\n\r\n${text}`);
}
