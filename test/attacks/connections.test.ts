// Cases 44 to 46: senders that take their time, crowds that say nothing, and who asks without reading.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { type App, startApp } from '../../src/app.ts';
import { HTTP_LIMITS } from '../../src/http/server.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { httpBench } from '../support/http.ts';
import { tempFolder } from '../support/store.ts';
import { answersIn, bytesOf, expectProblem, expectUnharmed, get } from './attack.ts';
import { startTarget } from './target.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => { for (const clean of cleanups.splice(0).reverse()) await clean(); });

describe('slow senders', () => {
  /** A byte each time, for ever: only the server can end it. */
  const DRIP = 50;
  /** Long enough for a machine that is busy with other things: what comes at once is never late. */
  const LIMITS = { headers: 2_000, request: 3_000, check: 200 };
  const HEAD = 'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
  const CASES: readonly [what: string, first: string, drip: string, answers: number[]][] = [
    ['a connection that says nothing', '', '', [408]],
    ['headers a byte at a time', 'GET /health HTTP/1.1\r\nX: ', 'a', [408]],
    ['a request line a byte at a time', 'GET /', 'a', [408]],
    ['empty lines before the request', '', '\r\n', [408]],
    ['headers that stop', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n', '', [408]],
    ['headers a byte at a time in the second request', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /health HTTP/1.1\r\nX: ', 'a', [200, 408]],
    ['a body a byte at a time', `${HEAD}Content-Length: 100000\r\n\r\n`, ' ', [408]],
    ['a body in chunks of a byte', `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n', [408]],
    ['a body that stops', `${HEAD}Content-Length: 100000\r\n\r\n{`, '', [408]],
    ['a body that was invited and never comes', `${HEAD}Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n`, '', [408]],
    ['a body that nobody wants', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n', ' ', [200, 408]],
  ];
  const folder = tempFolder();
  let app: App;
  beforeAll(async () => {
    app = await startApp({
      config: readConfig({ PORT: '0', MUSTER_DB: folder.file('a.db') }), clock: systemClock, log: createLogger({ level: 'silent' }), version: '0',
      onFailure: (error) => { throw error; }, http: LIMITS,
    });
  });
  afterAll(async () => {
    await app.stop();
    folder.remove();
  });

  test.concurrent.each(CASES)('case 44: %s is cut', async (_what, first, drip, expected) => {
    const { port } = new URL(app.url);
    const socket = connect(Number(port), '127.0.0.1').setEncoding('latin1');
    socket.on('error', () => {});
    let said = '';
    socket.on('data', (part: string) => { said += part; });
    if (first !== '') socket.write(first);
    const timer = setInterval(() => { if (drip !== '') socket.write(drip); }, DRIP);
    await new Promise((resolve) => { socket.on('close', resolve); });
    clearInterval(timer);
    const answers = answersIn(said);
    expect(answers.map(({ status }) => status)).toEqual(expected);
    for (const answer of answers) if (answer.status === 408) expectProblem(answer);
    expect((await (await fetch(`${app.url}/api/jobs`)).json() as { jobs: unknown[] }).jobs).toEqual([]);
  });

  test('case 44: what is shipped cuts headers at 10 s and a request at 30 s, and looks every 2 s', async () => {
    expect(HTTP_LIMITS).toEqual({ headers: 10_000, request: 30_000, check: 2_000, keepAlive: 72_000 });
    const bench = await httpBench();
    cleanups.push(() => bench.close());
    const { server } = bench.app;
    expect([server.headersTimeout, server.requestTimeout, server.keepAliveTimeout]).toEqual([10_000, 30_000, 72_000]);
  });
});

describe('crowds', () => {
  const ASK = 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  /** Files that this process may open, less what it needs itself. */
  const FILES = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1_024);
  const CROWD = Math.min(10_000, FILES - 1_000);

  /** A connection kept alive after one answer; null if it was closed instead. */
  const kept = (port: number, sockets: Set<Socket>): Promise<Socket | null> => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => resolve(socket));
    socket.once('close', () => { sockets.delete(socket); resolve(null); });
    socket.write(ASK);
  });

  test(`case 45: ${CROWD} idle connections are all there may be, and health still answers (this machine allows ${FILES} files)`, async () => {
    const target = await startTarget({ MUSTER_CONNECTIONS: String(CROWD) });
    const sockets = new Set<Socket>();
    cleanups.push(() => target.stop(), () => { for (const socket of sockets) socket.destroy(); });
    const before = target.state();
    const room = 10;
    for (let left = CROWD - room; left > 0; left -= 500) {
      const opened = await Promise.all(Array.from({ length: Math.min(500, left) }, () => kept(target.port, sockets)));
      expect(opened.includes(null)).toBe(false);
    }
    await expectUnharmed(target, before); // by a connection of its own
    const wave = (): Promise<(Socket | null)[]> => Promise.all(Array.from({ length: 100 }, () => kept(target.port, sockets)));
    expect(await wave()).toContain(null); // there is no room for all of them
    expect(await wave()).not.toContain(null); // nobody went by himself: who only kept his connection gave way
    expect(target.rss()).toBeLessThan(1_024);
    await expectUnharmed(target, before);
  });

  test('case 46: who asks 20,000 times for the largest page and never reads is not read any further', async () => {
    const target = await startTarget();
    cleanups.push(() => target.stop());
    const before = target.state();
    const size = answersIn(await new Promise<string>((resolve) => {
      let said = '';
      const reader = connect(target.port, '127.0.0.1').setEncoding('latin1').on('data', (part: string) => { said += part; }).on('close', () => resolve(said));
      reader.write(bytesOf(get('/openapi.json')));
    }))[0]?.body.length ?? 0;
    const rss = target.rss();
    const socket = connect(target.port, '127.0.0.1');
    cleanups.push(() => socket.destroy());
    socket.pause();
    socket.on('error', () => {});
    const ask = 'GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nX: '.padEnd(2_000, 'x');
    for (let i = 0; i < 20_000; i++) socket.write(`${ask}\r\n\r\n`);
    // 40 MB of questions do not fit the kernel's buffers: what is left here stays here once the server has stopped reading.
    for (let still = 0, last = -1; still < 20;) {
      still = socket.writableLength === last ? still + 1 : 0;
      last = socket.writableLength;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    expect(socket.writableLength).toBeGreaterThan(20_000_000);
    expect(20_000 * size / 1_048_576).toBeGreaterThan(500); // MiB that would have been kept
    expect(target.rss() - rss).toBeLessThan(200);
    socket.destroy();
    await expectUnharmed(target, before);
  });
});
