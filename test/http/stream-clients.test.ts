// The clients that people use: each sees everything once, and stops by itself after the end of the job.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventSource } from 'eventsource';
import { createEventSource } from 'eventsource-client';
import { chromium } from 'playwright-core';
import { afterEach, describe, expect, type TestContext, test } from 'vitest';
import { openStream } from '../support/sse.ts';
import { type HandJob, runningJob, startStreamServer, type StreamServer } from '../support/stream-server.ts';

const CHROMIUM = '/usr/bin/chromium';
const NGINX = '/usr/sbin/nginx';
/** A browser starts, and every client waits the 2 s of `retry` before it asks once more. */
const TIMEOUT = 60_000;

let server: StreamServer;
afterEach(() => server.close());

/** What is missing on a developer's machine is skipped aloud; in CI it is a failure. */
function needs(path: string, context: TestContext): void {
  if (existsSync(path)) return;
  if (process.env['CI'] === 'true') throw new Error(`${path} is missing; CI must have it`);
  console.warn(`SKIPPED: ${context.task.name} (there is no ${path})`);
  context.skip(`there is no ${path}`);
}

interface Message { readonly type: string; readonly data?: { readonly lines?: readonly string[] } }
const WORDS = ['connected', 'job:status', 'job:status', 'job:log', 'job:log', 'job:complete'];

/** The first line is written before the client comes, the second once it has seen the first, then the job ends. */
async function play(job: HandJob, seen: Promise<unknown>): Promise<void> {
  await seen;
  await job.say('second');
  await job.done();
}

function answersTo(job: HandJob): number[] {
  return server.requests.filter(({ url }) => url.includes(job.id)).map(({ status }) => status);
}

async function begin(): Promise<{ job: HandJob; url: string }> {
  const job = await runningJob(server.store);
  await job.say('first');
  return { job, url: `${server.url}/api/jobs/${job.id}/stream` };
}

/** Gathers messages; `first` resolves when the first log line is there. */
function gatherer(): { take(text: string): void; readonly words: string[]; readonly first: Promise<void> } {
  const words: string[] = [];
  let tell = (): void => {};
  const first = new Promise<void>((resolve) => { tell = resolve; });
  return { words, first, take(text) { const { type } = JSON.parse(text) as Message; words.push(type); if (type === 'job:log') tell(); } };
}

describe('after the end of the job', () => {
  test('the npm package eventsource asks once more, is answered 204 and closes', { timeout: TIMEOUT }, async () => {
    server = await startStreamServer();
    const { job, url } = await begin();
    const got = gatherer();
    const source = new EventSource(url);
    const closed = new Promise<void>((resolve) => { source.onerror = () => { if (source.readyState === source.CLOSED) resolve(); }; });
    source.onmessage = ({ data }) => got.take(data as string);
    await play(job, got.first);
    await closed;
    await server.until('the answer to the last request is out', () => answersTo(job).every((status) => status > 0));
    expect([got.words, answersTo(job)]).toEqual([WORDS, [200, 204]]);
  });

  test('the npm package eventsource-client asks once more, is answered 204 and closes', { timeout: TIMEOUT }, async () => {
    server = await startStreamServer();
    const { job, url } = await begin();
    const got = gatherer();
    const closed = new Promise<void>((resolve) => {
      const client = createEventSource({ url, onMessage: ({ data }) => got.take(data), onDisconnect: () => { setImmediate(() => { if (client.readyState === 'closed') resolve(); }); } });
    });
    await play(job, got.first);
    await closed;
    await server.until('the answer to the last request is out', () => answersTo(job).every((status) => status > 0));
    expect([got.words, answersTo(job)]).toEqual([WORDS, [200, 204]]);
  });

  test('curl -N ends, with success and without asking again', { timeout: TIMEOUT }, async () => {
    server = await startStreamServer();
    const { job, url } = await begin();
    const got = gatherer();
    const child = spawn('curl', ['-sN', '--fail', url], { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data: ')) got.take(line.slice(6));
    });
    const closed = once(child, 'close');
    await play(job, got.first);
    expect([(await closed)[0], got.words, answersTo(job)]).toEqual([0, WORDS, [200]]);
  });

  test('the EventSource of Chromium asks once more, is answered 204 and closes', { timeout: TIMEOUT }, async (context) => {
    needs(CHROMIUM, context);
    server = await startStreamServer({ html: '<!doctype html><title>stream</title>' });
    const { job } = await begin();
    const profile = mkdtempSync(join(tmpdir(), 'muster-chromium-'));
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    try {
      const page = await browser.newPage();
      await page.goto(`${server.url}/page`);
      await page.evaluate(`
        words = []; ended = false;
        source = new EventSource('/api/jobs/${job.id}/stream');
        source.onmessage = (event) => { words.push(JSON.parse(event.data).type); };
        source.onerror = () => { ended = source.readyState === EventSource.CLOSED; };
        undefined`);
      await play(job, page.waitForFunction('words.includes("job:log")'));
      await page.waitForFunction('ended');
      await server.until('the answer to the last request is out', () => answersTo(job).every((status) => status > 0));
      expect([await page.evaluate('words'), answersTo(job)]).toEqual([WORDS, [200, 204]]);
    } finally {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    }
  });
});

describe('behind nginx with its defaults', () => {
  test('events arrive while the job runs, and the end arrives as an end', { timeout: TIMEOUT }, async (context) => {
    needs(NGINX, context);
    server = await startStreamServer();
    const { job } = await begin();
    const nginx = await startNginx(server.port);
    try {
      const client = await openStream(`http://127.0.0.1:${nginx.port}/api/jobs/${job.id}/stream`);
      // What is held back until the end never comes here, for the job ends only when it has come.
      await client.until((event) => event.data?.type === 'job:log');
      await job.say('second');
      await client.until((event) => event.data?.data?.lines?.[0] === 'second');
      await job.done();
      await client.ended;
      expect(client.types()).toEqual(WORDS.slice(1));
      const again = await openStream(`http://127.0.0.1:${nginx.port}/api/jobs/${job.id}/stream`, { lastEventId: client.ids().at(-1) ?? 0 });
      expect(again.status).toBe(204);
    } finally {
      await nginx.stop();
    }
  });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function startNginx(upstream: number): Promise<{ port: number; stop(): Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'muster-nginx-'));
  const port = await freePort();
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
  // As Debian ships it: buffering on, gzip on, HTTP/1.0 to the server behind. In one process, which ends with us.
  writeFileSync(join(dir, 'nginx.conf'), `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log; events {}
    http { access_log off; gzip on; ${temp} server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${upstream}; } } }\n`);
  const child = spawn(NGINX, ['-p', dir, '-e', join(dir, 'error.log'), '-c', join(dir, 'nginx.conf')], { stdio: 'inherit' });
  const closed = once(child, 'close');
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await new Promise<boolean>((resolve) => { socket.once('connect', () => resolve(true)); socket.once('error', () => resolve(false)); });
    socket.destroy();
    if (isUp) break;
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
  }
  return { port, stop: async () => { child.kill(); await closed; rmSync(dir, { recursive: true, force: true }); } };
}
