// Real bytes on real sockets: what inject cannot send.
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpBench, httpBench } from '../support/http.ts';
import { rawExchange, statusOf } from '../support/raw.ts';

let bench: HttpBench;
let base = '';
beforeAll(async () => {
  bench = await httpBench();
  base = await bench.listen();
});
afterAll(() => bench.close());

const head = (line: string, more = ''): string => `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}`;
const noop = '{"type":"noop"}';
const GOOD = `${head('POST /api/jobs', `Content-Type: application/json\r\nContent-Length: ${noop.length}\r\n`)}Connection: close\r\n\r\n${noop}`;

test.each([
  ['both Content-Length and Transfer-Encoding', `${head('POST /api/jobs', 'Content-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n')}\r\n0\r\n\r\n`, 400],
  ['two Content-Lengths', `${head('POST /api/jobs', 'Content-Length: 2\r\nContent-Length: 3\r\n')}\r\n{}`, 400],
  ['a chunk size that is none', `${head('POST /api/jobs', 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n')}\r\nzz\r\n`, 400],
  ['no HTTP at all', 'hello\r\n\r\n', 400],
  ['a header without a name', head('GET /health', ': x\r\n') + '\r\n', 400],
  ['HTTP/1.1 without Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ['20 KiB of headers', `${head('GET /health', `X-A: ${'a'.repeat(20_000)}\r\n`)}\r\n`, 431],
  ['a body announced over the limit', `${head('POST /api/jobs', 'Content-Type: application/json\r\nContent-Length: 1048577\r\n')}\r\n{`, 413],
  ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n', 405],
  ['TRACE', `${head('TRACE /api/jobs')}Connection: close\r\n\r\n`, 405],
  ['OPTIONS *', `${head('OPTIONS *')}Connection: close\r\n\r\n`, 404],
  ['an unknown Expect', `${head('POST /api/jobs', 'Expect: magic\r\nContent-Length: 0\r\n')}\r\n`, 400],
  ['bad percent encoding', `${head('GET /api/jobs/%E0%A4%A')}Connection: close\r\n\r\n`, 400],
  ['a tab in the content type', `${head('POST /api/jobs', `Content-Type: application/json\ta\r\nContent-Length: ${noop.length}\r\n`)}Connection: close\r\n\r\n${noop}`, 415],
])('%s is refused as a problem, the connection ends, and nothing is written', async (_name, bytes, status) => {
  const before = await bench.seq();
  const text = await rawExchange(base, bytes);
  expect(statusOf(text)).toBe(status);
  expect(text).toMatch(/content-type: application\/problem\+json/i);
  expect(await bench.seq()).toBe(before);
});

test('a body that grows over the limit is cut off', async () => {
  const before = await bench.seq();
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.on('error', () => {}); // the server stops reading
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => { text += part; });
  socket.write(`${head('POST /api/jobs', 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n')}\r\n`);
  const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
  for (let i = 0; i < 20 && !socket.destroyed; i++) socket.write(chunk);
  await once(socket, 'close');
  expect([statusOf(text), /connection: close/i.test(text)]).toEqual([413, true]);
  expect(await bench.seq()).toBe(before);
});

test('a client that goes away in the middle of a body leaves nothing behind', async () => {
  const before = await bench.seq();
  const gone = new Promise<void>((resolve) => { bench.app.server.once('connection', (peer: Socket) => { peer.once('close', () => resolve()); }); });
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.write(`${head('POST /api/jobs', 'Content-Type: application/json\r\nContent-Length: 500\r\n')}\r\n{"type":`, () => socket.destroy());
  await gone;
  expect(await bench.seq()).toBe(before);
});

test('a thousand requests in one go are all answered, in order', async () => {
  const bytes = Array.from({ length: 1_000 }, (_, i) => head(i % 2 === 0 ? 'GET /health' : 'GET /nothing')).join('\r\n') + 'Connection: close\r\n\r\n';
  const text = await rawExchange(base, bytes);
  expect([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1])).toEqual(Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? '200' : '404')));
});

test('Expect: 100-continue is served', async () => {
  const text = await rawExchange(base, GOOD.replace('Connection', 'Expect: 100-continue\r\nConnection'));
  expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201/);
});

test('slow senders have a limit: 10 s for headers, 30 s for all, looked at every 2 s', () => {
  const { server } = bench.app;
  expect([server.headersTimeout, server.requestTimeout, (server as unknown as { connectionsCheckingInterval?: number }).connectionsCheckingInterval ?? 2_000]).toEqual([10_000, 30_000, 2_000]);
});

test('beyond the connection cap new ones are dropped, and there is room again when one leaves', async () => {
  const own = await httpBench({ maxConnections: 5 });
  const at = await own.listen();
  const sockets = await Promise.all(Array.from({ length: 5 }, async () => {
    const socket = connect(Number(new URL(at).port), '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }));
  const request = `${head('GET /health')}Connection: close\r\n\r\n`;
  const ask = () => rawExchange(at, request).catch(() => ''); // dropped without a word, or with a reset
  expect(await ask()).toBe('');
  sockets[0]?.destroy();
  for (let text = ''; text === ''; ) text = await ask();
  for (const socket of sockets) socket.destroy();
  await own.close();
});

test('while the server stops, open requests are finished and changes refused', async () => {
  const own = await httpBench();
  own.phase = 'stopping';
  const refused = await own.inject({ method: 'POST', url: '/api/jobs', payload: { type: 'noop' } });
  expect([refused.statusCode, refused.json().code, refused.headers['retry-after'], refused.headers.connection]).toEqual([503, 'unavailable', '5', 'close']);
  expect((await own.inject({ method: 'GET', url: '/api/jobs' })).statusCode).toBe(200);
  await own.close();
});

test('a request half sent when the server begins to close is answered, and its connection is not kept', async () => {
  const own = await httpBench();
  const socket = connect(Number(new URL(await own.listen()).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => { text += part; });
  const begun = once(own.app.server, 'request');
  socket.write(`${head('POST /api/jobs', `Content-Type: application/json\r\nContent-Length: ${noop.length}\r\n`)}\r\n{`);
  await begun;
  const closed = once(socket, 'close');
  const closing = own.app.close();
  for (let turns = 0; own.app.server.listening && turns < 10_000; turns++) await new Promise((resolve) => { setImmediate(resolve); });
  socket.write(noop.slice(1));
  await closed;
  await closing;
  expect(statusOf(text)).toBe(201);
  await own.close();
});

test('a host name that is not ours is refused where names are listed', async () => {
  const own = await httpBench({ allowedHosts: ['localhost', '127.0.0.1', '[::1]'] });
  const status = async (host: string) => (await own.inject({ method: 'GET', url: '/health', headers: { host } })).statusCode;
  expect(await Promise.all(['localhost', 'LOCALHOST:80', '127.0.0.1:8000', '[::1]:1'].map(status))).toEqual([200, 200, 200, 200]);
  expect(await Promise.all(['evil', 'evil:8000', 'localhost.evil.example', '127.0.0.1.evil', 'localhost:x', 'localhost@evil'].map(status))).toEqual([421, 421, 421, 421, 421, 421]);
  await own.close();
});

test('the host in an absolute request target is judged like Host', async () => {
  const own = await httpBench({ allowedHosts: ['localhost', '127.0.0.1'] });
  const at = await own.listen();
  const ask = async (target: string, host = '127.0.0.1'): Promise<number> => statusOf(await rawExchange(at, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
  expect(await ask('http://localhost:1/health')).toBe(200);
  for (const target of ['http://evil.example/health', 'HTTP://evil.example/health', 'http://localhost@evil.example/health']) expect([target, await ask(target)]).toEqual([target, 421]);
  expect(await ask('http://localhost/health', 'evil.example')).toBe(421);
  await own.close();
});
