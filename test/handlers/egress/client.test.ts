// The way out against servers that mean harm, on real sockets.
import type { Socket } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallResult, EgressRequest } from '../../../src/handlers/egress/client.ts';
import type { Resolved } from '../../../src/handlers/egress/connect.ts';
import { bodyOf, egressFor, never, serve, serveRaw } from '../support.ts';

const get = (url: string, more: Partial<EgressRequest> = {}): EgressRequest => ({ url, method: 'GET', ...more });
const text = (result: CallResult): string => (result.kind === 'answer' ? result.body.toString() : `${result.kind}: ${result.message}`);

describe('an ordinary call', () => {
  it('sends what it was given and answers status, headers and body', async () => {
    const server = await serve(async (request, response) => {
      response.writeHead(201, { 'x-answer': 'yes' });
      response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: await bodyOf(request) }));
    });
    const result = await egressFor().call({ url: `${server.url}/a?b=c#d`, method: 'PUT', headers: { 'X-One': '1', 'Idempotency-Key': 'theirs' }, ownHeaders: { 'idempotency-key': 'ours' }, body: 'hé' }, {}, never);
    expect(result).toMatchObject({ kind: 'answer', status: 201, headers: { 'x-answer': 'yes' } });
    const seen = JSON.parse(text(result)) as { headers: Record<string, string> };
    expect(seen).toMatchObject({ method: 'PUT', url: '/a?b=c', body: 'hé' });
    expect(seen.headers).toMatchObject({ host: `127.0.0.1:${server.port}`, 'x-one': '1', 'idempotency-key': 'ours', 'accept-encoding': 'identity', 'content-length': '3' });
  });

  it('reuses its connection, and lets go of it when closed', async () => {
    const server = await serve((_, response) => response.end('ok'));
    const egress = egressFor();
    for (let i = 0; i < 50; i++) expect(text(await egress.call(get(server.url), {}, never))).toBe('ok');
    expect(server.connections()).toBeLessThanOrEqual(2); // the next call may start before the last one's socket is free again
    await egress.close();
    await server.idle();
    expect(await egress.call(get(server.url), {}, never)).toMatchObject({ kind: 'aborted' });
  });
});

describe('hostile servers', () => {
  const limits = { total: 5_000, headers: 5_000, body: 5_000, maxBytes: 10_000 };

  it('hangs before its headers: the deadline for headers ends it', async () => {
    const server = await serveRaw(() => {});
    expect(await egressFor().call(get(server.url), { ...limits, headers: 40 }, never)).toMatchObject({ kind: 'timeout', message: expect.stringMatching(/headers were not complete within 40 ms/) });
    await server.idle();
  });

  it('sends headers for ever: their size ends it', async () => {
    const server = await serveRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const more = (): void => { if (!socket.destroyed) socket.write(`x-${'a'.repeat(8_000)}: b\r\n`, () => setImmediate(more)); };
      more();
    });
    expect(await egressFor().call(get(server.url), limits, never)).toMatchObject({ kind: 'too_large' });
    await server.idle();
  });

  it('sends one header byte now and then: the deadline for headers ends it', async () => {
    const server = await serveRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx: ');
      const timer = setInterval(() => socket.write('a'), 5);
      socket.on('close', () => clearInterval(timer));
    });
    expect(await egressFor().call(get(server.url), { ...limits, headers: 60 }, never)).toMatchObject({ kind: 'timeout' });
    await server.idle();
  });

  it('answers 103 for ever: the deadline for headers ends it', async () => {
    const server = await serveRaw((socket) => {
      const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'), 5);
      socket.on('close', () => clearInterval(timer));
    });
    expect(await egressFor().call(get(server.url), { ...limits, headers: 60 }, never)).toMatchObject({ kind: 'timeout' });
    await server.idle();
  });

  it.each([['body', { body: 60 }, /within 60 ms/], ['whole call', { total: 60 }, /before the 60 ms of the call were over/]] as const)('drips its body: the deadline of the %s ends it', async (_, limit, message) => {
    const server = await serve((__, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('a'), 5);
      response.on('close', () => clearInterval(timer));
    });
    expect(await egressFor().call(get(server.url), { ...limits, ...limit }, never)).toMatchObject({ kind: 'timeout', message: expect.stringMatching(message) });
    await server.idle();
  });

  it('resets the connection, closes it early, or does not speak HTTP', async () => {
    for (const act of [
      (socket: Socket) => void socket.resetAndDestroy(),
      (socket: Socket) => void socket.end(),
      (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'),
      (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort'),
      (socket: Socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
      (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'),
      (socket: Socket) => void socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ]) {
      const server = await serveRaw(act);
      expect(await egressFor().call(get(server.url), limits, never), String(act)).toMatchObject({ kind: 'network' });
      await server.idle();
    }
  });

  it('is not there at all', async () => {
    const server = await serve(() => {});
    const egress = egressFor({ resolve: async () => { throw Object.assign(new Error('getaddrinfo ENOTFOUND gone.example'), { code: 'ENOTFOUND' }); } });
    expect(await egress.call(get('http://gone.example/'), limits, never)).toMatchObject({ kind: 'network', message: expect.stringContaining('ENOTFOUND') });
    expect(await egress.call(get(`http://127.0.0.2:${server.port}/`), limits, never)).toMatchObject({ kind: 'network', message: expect.stringContaining('ECONNREFUSED') });
  });

  it('never finishes connecting: the deadline for connecting ends it', async () => {
    const egress = egressFor({ connectTimeout: 50, resolve: () => new Promise(() => {}) });
    expect(await egress.call(get('http://slow.example/'), limits, never)).toMatchObject({ kind: 'timeout', message: expect.stringContaining('No connection') });
  });

  it('sends an endless body, with or without saying so: the bound ends it', async () => {
    const chunked = await serve((_, response) => {
      const more = (): void => { if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(more)); };
      more();
    });
    const declared = await serve((_, response) => { response.writeHead(200, { 'content-length': '10737418240' }); response.write('a'); });
    for (const server of [chunked, declared]) {
      expect(await egressFor().call(get(server.url), limits, never)).toMatchObject({ kind: 'too_large' });
      await server.idle();
    }
  });

  it('takes exactly as much as the bound', async () => {
    const server = await serve((request, response) => response.end(Buffer.alloc(Number(request.url?.slice(1)))));
    const egress = egressFor();
    expect(await egress.call(get(`${server.url}/10000`), limits, never)).toMatchObject({ kind: 'answer' });
    expect(await egress.call(get(`${server.url}/10001`), limits, never)).toMatchObject({ kind: 'too_large' });
  });

  it.each([['gzip', gzipSync], ['br', brotliCompressSync], ['deflate', deflateSync], ['zstd', zstdCompressSync]] as const)('sends a %s bomb: what comes out is bounded', async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(20_000_000));
    const server = await serve((_, response) => response.writeHead(200, { 'content-encoding': encoding }).end(bomb));
    expect(await egressFor().call(get(server.url), { ...limits, maxBytes: 1_000_000 }, never)).toMatchObject({ kind: 'too_large', message: expect.stringContaining('decompressed') });
  });

  it.each([
    ['gzip', gzipSync('hello')], ['x-gzip', gzipSync('hello')], ['br', brotliCompressSync('hello')], ['deflate', deflateSync('hello')], ['deflate', deflateRawSync('hello')],
    ['zstd', zstdCompressSync('hello')], ['GZIP, identity', gzipSync('hello')], ['deflate, gzip', gzipSync(deflateSync('hello'))], ['identity', Buffer.from('hello')],
  ] as const)('compresses with %s though nobody asked: it is read', async (encoding, body) => {
    const server = await serve((_, response) => response.writeHead(200, { 'content-encoding': encoding }).end(body));
    expect(text(await egressFor().call(get(server.url), limits, never))).toBe('hello');
  });

  it.each([['gzip', 'not gzip'], ['compress', 'x'], ['__proto__', 'x'], ['gzip, gzip, gzip', 'x']])('says its answer is %s when it is not', async (encoding, body) => {
    const server = await serve((_, response) => response.writeHead(200, { 'content-encoding': encoding }).end(body));
    expect(await egressFor().call(get(server.url), limits, never)).toMatchObject({ kind: 'undecodable' });
  });

  it('leaves nothing behind after 200 bad answers', async () => {
    let n = 0;
    const server = await serveRaw((socket) => {
      if (n++ % 2 === 0) socket.resetAndDestroy(); else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n');
    });
    const egress = egressFor();
    for (let i = 0; i < 200; i++) expect(['network', 'too_large']).toContain((await egress.call(get(server.url), limits, never)).kind);
    await server.idle();
    expect(egress.hosts).toBe(0);
  });
});

describe('stopping', () => {
  const controllers: AbortController[] = [];
  const controlled = (): AbortController => { const controller = new AbortController(); controllers.push(controller); return controller; };
  afterEach(() => controllers.splice(0).forEach((controller) => controller.abort()));

  it('ends a call at once wherever it is: before, connecting, waiting for headers, reading', async () => {
    const stop = controlled();
    stop.abort(new Error('stopping'));
    expect(await egressFor().call(get('http://127.0.0.1:49999/'), {}, stop.signal)).toMatchObject({ kind: 'aborted' });

    const connecting = controlled();
    const resolving = egressFor({ resolve: () => { connecting.abort('cancelled'); return new Promise(() => {}); } });
    expect(await resolving.call(get('http://slow.example/'), {}, connecting.signal)).toEqual({ kind: 'aborted', message: 'cancelled' });

    const waiting = controlled();
    const silent = await serveRaw(() => waiting.abort(new Error('the server is stopping')));
    expect(await egressFor().call(get(silent.url), {}, waiting.signal)).toEqual({ kind: 'aborted', message: 'the server is stopping' });
    await silent.idle();

    const reading = controlled();
    const dripping = await serve((_, response) => { response.write('a', () => setImmediate(() => reading.abort('enough'))); });
    expect(await egressFor().call(get(dripping.url), {}, reading.signal)).toEqual({ kind: 'aborted', message: 'enough' });
    await dripping.idle();
  });

  it('never sends what was given up while it was connecting', async () => {
    const seen: (string | undefined)[] = [];
    const server = await serve((request, response) => { seen.push(request.url); response.end('ok'); });
    const stop = controlled();
    const address: Resolved = { address: '127.0.0.1', family: 4 };
    const first = Promise.withResolvers<Resolved[]>();
    const egress = egressFor({ perHost: 1, resolve: async () => (stop.signal.aborted ? [address] : (stop.abort('cancelled'), await first.promise)) });
    const url = `http://slow.example:${server.port}`;
    expect(await egress.call({ url: `${url}/cancelled`, method: 'POST', body: 'pay' }, {}, stop.signal)).toMatchObject({ kind: 'aborted' });
    const next = egress.call(get(`${url}/next`), {}, never);
    first.resolve([address]);
    expect(text(await next)).toBe('ok');
    expect(seen).toEqual(['/next']);
  });

  it('keeps at most 8 calls per host open, and lets the next in as they end', async () => {
    let open = 0;
    let most = 0;
    const server = await serve((_, response) => {
      most = Math.max(most, ++open);
      setImmediate(() => { open--; response.end('ok'); });
    });
    const egress = egressFor();
    const results = await Promise.all(Array.from({ length: 100 }, () => egress.call(get(server.url), {}, never)));
    expect(results.map(text)).toEqual(Array(100).fill('ok'));
    expect(most).toBeLessThanOrEqual(8);
    expect(server.connections()).toBeLessThanOrEqual(8);
  });
});
