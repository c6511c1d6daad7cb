// The arena's success criteria, over real HTTP against the real process: verify and batches whose participants answer
// "pending", seen alike by polling and by SSE; callbacks; restarts.
import { spawn, spawnSync } from 'node:child_process';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ServerProcess } from '../fault/server.ts';
import { openStream } from '../support/sse.ts';

let folder: string;
let server: ServerProcess;
let url: string;
/** A receiver for callbacks and final calls. */
let receiver: Server;
let receiverUrl: string;
let inbox: { path: string; headers: IncomingMessage['headers']; body: any }[] = [];
const arrived: (() => void)[] = [];
let answerWith: (path: string) => { status: number; body: unknown } | null = () => ({ status: 200, body: { ok: true } });

const start = async (): Promise<void> => {
  server = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'));
  ({ url } = await server.ready);
};
beforeAll(async () => {
  receiver = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => { text += part; }).on('end', () => {
      inbox.push({ path: request.url ?? '', headers: request.headers, body: text === '' ? null : JSON.parse(text) });
      for (const wake of arrived.splice(0)) wake();
      const answer = answerWith(request.url ?? '');
      if (answer !== null) response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => { receiver.once('listening', resolve); });
  receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
});
afterAll(() => { receiver.closeAllConnections(); receiver.close(); });
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-e2e-'));
  inbox = [];
  answerWith = () => ({ status: 200, body: { ok: true } });
  await start();
});
afterEach(async () => {
  await server.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: any }> => {
  const answer = await fetch(url + path, { method, headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
};
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise<void>((resolve) => { arrived.push(resolve); });
};
const ask = (query: string) => ({ type: 'request', input: { url: `$ARENA$/api/debug/participant/$JOB$?${query}` } });
const finish = async (id: string): Promise<any> => {
  for (;;) {
    const { body } = await call('GET', `/api/jobs/${id}?wait=30`);
    if (body.state !== 'PENDING') return body;
  }
};

describe('a tree three levels deep of requests', () => {
  const tree = {
    type: 'batch', input: {}, children: [
      ask('pending=1&delay=1'),
      { type: 'batch', input: {}, children: [ask('pending=0'), { type: 'batch', input: {}, children: [ask('pending=2&delay=1'), ask('pending=1&delay=1')] }] },
    ],
  };

  test('goes from PENDING to COMPLETE for a poller and for two curl clients that see the same bytes', async () => {
    const made = await call('POST', '/api/jobs', tree);
    expect(made).toMatchObject({ status: 201, body: { state: 'PENDING', children: { total: 2, open: 2 } } });
    const follow = (): Promise<string> => new Promise((resolve) => {
      const curl = spawn('curl', ['-sN', `${url}/api/jobs/${made.body.id}/stream`]);
      let text = '';
      curl.stdout.setEncoding('utf8').on('data', (part: string) => { text += part; });
      curl.on('close', () => resolve(text.split('\n').filter((line) => /^(id|data): /.test(line)).join('\n')));
    });
    const curls = Promise.all([follow(), follow()]);
    const states = new Set<string>();
    for (;;) {
      const { body } = await call('GET', `/api/jobs/${made.body.id}`);
      states.add(body.state);
      if (body.state !== 'PENDING') break;
      await call('GET', `/api/jobs/${made.body.id}?wait=1`);
    }
    expect([...states]).toEqual(['PENDING', 'COMPLETE']);
    const [one, two] = await curls;
    expect(one).toBe(two);
    expect(one).toContain(`"type":"job:complete","jobId":"${made.body.id}"`);

    const inner = (await call('GET', `/api/jobs?root=${made.body.id}&limit=50`)).body.jobs;
    expect(inner).toHaveLength(7);
    expect(inner.every((job: any) => job.state === 'COMPLETE')).toBe(true);
    const events = (await call('GET', `/api/jobs/${made.body.id}/events?limit=500`)).body.events;
    const ended = events.filter((event: any) => event.type === 'job:complete').map((event: any) => event.jobId);
    expect(new Set(ended).size).toBe(7); // once each
    for (const job of inner) if (job.parentId !== null) expect(ended.indexOf(job.id)).toBeLessThan(ended.indexOf(job.parentId));
  });

  test('is followed without a hole or a repeat across a kill of the server', async () => {
    const { body: made } = await call('POST', '/api/jobs', tree);
    const before = await openStream(`${url}/api/jobs/${made.id}/stream`);
    await before.until((event) => event.data?.data?.reason === 'pending');
    before.ended.catch(() => {}); // cut by the kill, as meant
    await server.kill('SIGKILL');
    const seen = before.ids();
    await start();
    const after = await openStream(`${url}/api/jobs/${made.id}/stream`, { lastEventId: seen.at(-1)! });
    await after.ended;
    const whole = await openStream(`${url}/api/jobs/${made.id}/stream?after=0`);
    await whole.ended;
    expect([...seen, ...after.ids()]).toEqual(whole.ids());
    expect((await finish(made.id)).state).toBe('COMPLETE');
  });
});

describe('verify', () => {
  test('asks every participant and answers with what each said', async () => {
    answerWith = (path) => (path === '/no' ? { status: 200, body: { job_id: 'x', state: 'FAIL', message: 'not ready', data: { why: 'asleep' } } } : { status: 200, body: { job_id: 'x', state: 'completed', data: { name: path } } });
    const { body } = await call('POST', '/api/jobs', { type: 'verify', input: { participants: [{ id: 'a', url: `${receiverUrl}/yes` }, { id: 'b', url: `${receiverUrl}/no` }] } }, { prefer: 'wait=30' });
    expect(body).toMatchObject({ state: 'FAIL', error: { code: 'child_failed' }, result: { participants: [{ id: 'a', state: 'COMPLETE', data: { name: '/yes' } }, { id: 'b', state: 'FAIL', data: { why: 'asleep' } }] } });
  });
});

describe('a batch with a url', () => {
  test('makes its own final call with the children\'s results, and the answer decides it', async () => {
    const asked: number[] = [];
    answerWith = (path) => {
      if (path !== '/final') return { status: 200, body: { part: path } };
      asked.push(Date.now());
      return { status: 200, body: asked.length === 1 ? { job_id: 'x', state: 'pending', delay: 1 } : { job_id: 'x', state: 'Complete', data: 'agreed' } };
    };
    const { body: made } = await call('POST', '/api/jobs', { type: 'batch', input: { url: `${receiverUrl}/final`, body: { round: 7 } }, children: [{ type: 'request', input: { url: `${receiverUrl}/1` } }, { type: 'request', input: { url: `${receiverUrl}/2` } }] });
    const done = await finish(made.id);
    expect(done).toMatchObject({ state: 'COMPLETE', result: { children: [{ result: { part: '/1' } }, { result: { part: '/2' } }] } });
    const calls = inbox.filter(({ path }) => path === '/final');
    expect(calls).toHaveLength(2);
    expect(calls[0]!.body).toMatchObject({ jobId: made.id, data: { round: 7 }, children: [{ ordinal: 0, state: 'COMPLETE', result: { part: '/1' } }, { ordinal: 1, result: { part: '/2' } }] });
  });
});

describe('a callback', () => {
  test('is a request job of its own that carries the original data and the final results, also after a failure', async () => {
    answerWith = (path) => (path === '/bad' ? { status: 400, body: { no: true } } : { status: 200, body: {} });
    const { body: made } = await call('POST', '/api/jobs', { type: 'batch', input: {}, callback: `${receiverUrl}/back`, children: [{ type: 'request', input: { url: `${receiverUrl}/good` } }, { type: 'request', input: { url: `${receiverUrl}/bad` } }] });
    await until(() => inbox.some(({ path }) => path === '/back'));
    const { body, headers } = inbox.find(({ path }) => path === '/back')!;
    expect(body).toMatchObject({ jobId: made.id, type: 'batch', state: 'FAIL', status: 'failed', input: {}, error: { code: 'child_failed' }, children: [{ ordinal: 0, state: 'COMPLETE' }, { ordinal: 1, state: 'FAIL', error: { code: 'http_status' } }] });
    const { body: list } = await call('GET', '/api/jobs?tag=callback');
    expect(list.jobs).toHaveLength(1);
    expect(list.jobs[0]).toMatchObject({ type: 'request', parentId: null });
    expect(headers['idempotency-key']).toBe(list.jobs[0].id);
  });
});

describe('the process', () => {
  test('takes up a job that a dead process was running, without burning a retry', async () => {
    answerWith = () => null; // hangs
    const { body: made } = await call('POST', '/api/jobs', { type: 'request', input: { url: `${receiverUrl}/slow` }, maxAttempts: 1 });
    await until(() => inbox.length === 1);
    await server.kill('SIGKILL');
    answerWith = () => ({ status: 200, body: 'at last' });
    await start();
    expect(await finish(made.id)).toMatchObject({ state: 'COMPLETE', result: 'at last', attempt: 2, attempts: [{ number: 1, outcome: 'interrupted' }, { number: 2, outcome: 'completed' }] });
  });

  test('stops on SIGTERM with exit code 0, tells streams to come back, and interrupts what runs', async () => {
    answerWith = () => null;
    const { body: made } = await call('POST', '/api/jobs', { type: 'request', input: { url: `${receiverUrl}/slow` } });
    const stream = await openStream(`${url}/api/stream?after=0`);
    await until(() => inbox.length === 1);
    const exit = server.kill('SIGTERM');
    await stream.ended; // properly, not reset
    expect(stream.events.at(-1)).toMatchObject({ retry: 2000 });
    expect(await exit).toEqual({ code: 0, signal: null });
    await start();
    expect((await call('GET', `/api/jobs/${made.id}`)).body.attempts[0]).toMatchObject({ outcome: 'interrupted' });
  });

  test('is refused a database that another process owns, with exit code 73', async () => {
    const second = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'));
    expect(await second.exited).toEqual({ code: 73, signal: null });
    expect(second.log()).toContain('Another process has');
    expect((await call('GET', '/health')).status).toBe(200);
  });

  test('says which Node it needs where the system has an older one', () => {
    const old = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path) && Number(/^v(\d+)/.exec(spawnSync(path, ['-v']).stdout.toString())?.[1]) < 24);
    // Where every Node is new enough there is nothing to refuse: the same script is told that it is old.
    const ran = old === undefined
      ? spawnSync(process.execPath, ['--import', 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.1.0"})', 'src/start.mjs'])
      : spawnSync(old, ['src/start.mjs']);
    expect(ran.status).toBe(78);
    expect(ran.stderr.toString()).toContain('Muster needs Node 24 or newer');
  });
});

describe('the file', () => {
  test('has one owner whatever name it is called by', async () => {
    const link = join(folder, 'link.db');
    symlinkSync(join(folder, 'muster.db'), link);
    const second = new ServerProcess(['src/start.mjs'], link);
    expect(await second.exited).toEqual({ code: 73, signal: null });
  });
});

describe('npm start', () => {
  test('passes SIGTERM on: the server stops with it', async () => {
    const npm = spawn('npm', ['start'], { env: { ...process.env, PORT: '0', MUSTER_DB: join(folder, 'npm.db') }, stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    const closed = new Promise<void>((resolve) => { npm.stdout.once('close', () => resolve()); }); // when the server, too, has let go of it
    await new Promise<void>((resolve) => {
      npm.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('Muster listens on')) resolve();
      });
    });
    npm.kill('SIGTERM');
    await closed;
    expect(said).toContain('"msg":"Stopped"');
  });
});
