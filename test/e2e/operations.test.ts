// The operations dialect on a real engine, over real HTTP against the real process: the documented curl, lines as they are
// printed, a client that comes back, a browser of another origin, a cancel that stops, files that come out whole.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess } from '../fault/server.ts';
import { containersOf, DEMO_IMAGE, noEngine } from '../support/engine.ts';
import { signer } from '../support/signer.ts';

const TIMEOUT = 90_000;
const reason = noEngine();
const GRANTOR = signer('55'.repeat(32));
const GRANTEE = signer('66'.repeat(32));
const STRANGER = signer('77'.repeat(32));
const ZERO = `0x${'0'.repeat(130)}`;

let folder: string;
let server: ServerProcess;
let url: string;
const started: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-operations-'));
  server = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'), { env: { MUSTER_IMAGES: 'muster-demo:*' } });
  ({ url } = await server.ready);
});
afterAll(async () => {
  await server.kill('SIGTERM');
  expect(started.flatMap(containersOf)).toEqual([]); // nothing of ours is left behind
  rmSync(folder, { recursive: true, force: true });
});

const call = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> => {
  const answer = await fetch(url + path, { method, ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
};
const get = async (id: string, query = ''): Promise<any> => (await call('GET', `/api/v1/operations/${id}${query}`)).body;
const isOver = ({ status }: { status: string }): boolean => ['succeeded', 'failed', 'canceled'].includes(status);

/** A grant whose operations run this shell script, and one operation of it, signed by the grantee. */
async function run(script: string, input: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Promise<string> {
  const grant = await call('POST', '/api/grants', { grantor: GRANTOR.address, grantee: GRANTEE.address, operation: 'prompt_demo_agent', template: { type: 'container', input: { image: DEMO_IMAGE, command: ['sh', '-c', script], ...input }, ...more } });
  expect([grant.status, grant.body]).toEqual([201, expect.anything()]);
  const text = JSON.stringify({ permission_id: grant.body.id, parameters: { goal: 'Say hello' } });
  const answer = await call('POST', '/api/v1/operations', { app_signature: GRANTEE.sign(text), operation_request_json: text });
  expect([answer.status, answer.body]).toEqual([202, expect.anything()]);
  started.push(answer.body.id);
  return answer.body.id;
}

interface Message { readonly id: string; readonly data: any }
interface Curl { readonly messages: readonly Message[]; until(holds: (messages: readonly Message[]) => boolean): Promise<void>; readonly closed: Promise<number | null>; cut(): void }

/** `curl -N` as a person types it. */
function curl(id: string, lastEventId?: string): Curl {
  const child = spawn('curl', ['-sN', ...(lastEventId === undefined ? [] : ['-H', `Last-Event-ID: ${lastEventId}`]), `${url}/api/v1/operations/${id}/stream`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const messages: Message[] = [];
  const checks = new Set<() => void>();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    rest += part;
    for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
      const match = /^id: (\S+)\ndata: (.*)$/.exec(rest.slice(0, at));
      if (match !== null) messages.push({ id: match[1] ?? '', data: JSON.parse(match[2] ?? '') });
      rest = rest.slice(at + 2);
    }
    for (const check of checks) check();
  });
  return {
    messages, cut: () => { child.kill(); },
    closed: once(child, 'close').then(([code]) => code as number | null),
    until: (holds) => new Promise((resolve) => { const check = (): void => { if (holds(messages)) { checks.delete(check); resolve(); } }; checks.add(check); check(); }),
  };
}
const linesOf = (messages: readonly Message[]): string[] => messages.flatMap(({ data }) => (data.type === 'log' ? [data.content] : []));
const sees = (line: string) => (messages: readonly Message[]): boolean => linesOf(messages).includes(line);

describe.skipIf(reason !== null)('an operation in a container', () => {
  test('by the documented curl, word for word: polling sees the logs grow, and its files come out', { timeout: TIMEOUT }, async () => {
    const documented = `curl -X POST http://localhost:8080/api/v1/operations \\
  -H "Content-Type: application/json" \\
  -d '{"app_signature":"0x0000...000","operation_request_json":"{\\"permission_id\\": 4096}"}'`;
    const answer = JSON.parse(execFileSync('bash', ['-c', documented.replace('localhost:8080', new URL(url).host)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    expect(answer).toEqual({ kind: 'OperationCreated', id: expect.stringMatching(/^job_/), created_at: expect.any(String) });
    started.push(answer.id);
    const counts = new Set<number>();
    let now = await get(answer.id);
    for (; !isOver(now); now = await get(answer.id)) counts.add(now.result.log_count);
    expect(counts.size).toBeGreaterThan(3);
    expect(now).toMatchObject({ status: 'succeeded', error: null, result: { status: 'ok', summary: 'Took 10 steps', artifacts: ['./out/report.txt'], truncated: false } });
    expect(now.result.logs).toEqual(expect.arrayContaining(['Step 1 of 10', 'Step 10 of 10']));
    const list = await call('POST', `/api/v1/artifacts/${answer.id}/list`, { operation_id: answer.id, signature: ZERO });
    expect([list.status, list.body.artifacts]).toEqual([200, [{ path: 'report.txt', size: expect.any(Number), content_type: 'text/plain; charset=utf-8' }]]);
  });

  test('is followed by curl -N line by line as they are printed, which ends by itself', { timeout: TIMEOUT }, async () => {
    const id = await run('echo one; until [ -e /tmp/never ] || [ $((n = n + 1)) -gt 20 ]; do sleep 0.1; done; echo two; echo three >&2; printf "no end"');
    const client = curl(id);
    await client.until(sees('one'));
    expect((await get(id)).status).toBe('processing'); // it was not kept until the end
    expect(await client.closed).toBe(0);
    expect(linesOf(client.messages).sort()).toEqual(['no end', 'one', 'three', 'two']);
    expect(client.messages.at(-1)?.data).toMatchObject({ type: 'complete', status: 'succeeded' });
  });

  test('is resumed in the middle, again and again, and by a client that was cut off: no line is lost and none comes twice', { timeout: TIMEOUT }, async () => {
    const id = await run('i=0; while [ $i -lt 60 ]; do i=$((i + 1)); echo "line $i"; [ $((i % 9)) -ne 0 ] || sleep 0.2; done; printf "the last"');
    const got: Message[] = [];
    for (let round = 0; ; round++) {
      const client = curl(id, got.at(-1)?.id);
      const want = 1 + (round * 5) % 7;
      let over = false;
      await Promise.race([client.until((messages) => messages.length >= want), client.closed.then(() => { over = true; })]);
      const seen = client.messages.slice(0, over ? undefined : want); // what else came was lost with the connection
      client.cut();
      got.push(...seen);
      if (got.at(-1)?.data.type === 'complete') break;
    }
    expect(linesOf(got)).toEqual([...Array.from({ length: 60 }, (_, i) => `line ${i + 1}`), 'the last']);
    expect(await curl(id, got.at(-1)?.id).closed).toBe(0); // 204: nothing is left to say
  });

  test('is followed by a page of another origin', { timeout: TIMEOUT }, async (context) => {
    const path = '/usr/bin/chromium';
    if (!existsSync(path)) return context.skip(`there is no ${path}`);
    const page = createServer((_request, response) => { response.setHeader('content-type', 'text/html').end('<p>elsewhere'); }).listen(0, '127.0.0.1');
    await once(page, 'listening');
    const profile = mkdtempSync(join(tmpdir(), 'muster-chromium-'));
    const browser = await chromium.launchPersistentContext(profile, { executablePath: path, args: ['--no-sandbox'] });
    try {
      const id = await run('echo one; sleep 1; echo two');
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${(page.address() as AddressInfo).port}/`);
      // As the documentation has it for a browser's console.
      const seen = await tab.evaluate((address) => new Promise<string[]>((resolve) => {
        const words: string[] = [];
        const source = new (globalThis as any).EventSource(address);
        source.onmessage = (event: { data: string }) => {
          const { type, content, status } = JSON.parse(event.data);
          words.push(content ?? `${type} ${status}`);
          if (type === 'complete') { source.close(); resolve(words); }
        };
      }), `${url}/api/v1/operations/${id}/stream`);
      expect(seen.filter((word) => !word.startsWith('status'))).toEqual(['one', 'two', 'complete succeeded']);
      const shown = await tab.evaluate(async (address) => ((await (await fetch(address)).json()) as { status: string }).status, `${url}/api/v1/operations/${id}`);
      expect(shown).toBe('succeeded');
    } finally {
      await browser.close();
      page.close();
      rmSync(profile, { recursive: true, force: true });
    }
  });

  test('is truly stopped by a cancel: its container is gone, what it printed stays', { timeout: TIMEOUT }, async () => {
    const id = await run('echo begun; exec sleep 600');
    const client = curl(id);
    await client.until(sees('begun'));
    expect(containersOf(id)).toHaveLength(1);
    expect((await call('POST', `/api/v1/operations/${id}/cancel`)).status).toBe(204);
    expect(await client.closed).toBe(0);
    expect(client.messages.at(-1)?.data).toMatchObject({ type: 'complete', status: 'canceled' });
    expect(containersOf(id)).toEqual([]);
    expect(await get(id)).toMatchObject({ status: 'canceled', error: { code: 'cancelled' }, result: { logs: ['begun'] } });
    expect((await call('POST', `/api/v1/operations/${id}/cancel`)).status).toBe(404);
  });

  test('goes on when a client is cut off, and its files are byte for byte its own, for its two parties only', { timeout: TIMEOUT }, async () => {
    const id = await run('echo begun; sleep 1; mkdir -p out/deep; i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i + 1)); done > out/deep/bytes.bin; echo "$GOAL" > out/goal.txt', { artifacts: ['out'] }, { deliver: { goalEnv: 'GOAL' } });
    const client = curl(id);
    await client.until(sees('begun'));
    client.cut();
    while (!isOver(await get(id)));
    expect((await get(id)).status).toBe('succeeded');
    const ask = (by: typeof GRANTEE, path?: string) => ({ operation_id: id, signature: by.sign(`{"operation_id":"${id}"}`), ...(path === undefined ? {} : { artifact_path: path }) });
    const list = await call('POST', `/api/v1/artifacts/${id}/list`, ask(GRANTOR));
    expect(list.body.artifacts).toEqual([{ path: 'deep/bytes.bin', size: 256, content_type: 'application/octet-stream' }, { path: 'goal.txt', size: 10, content_type: 'text/plain; charset=utf-8' }]);
    const file = async (by: typeof GRANTEE, path: string): Promise<Response> => fetch(`${url}/api/v1/artifacts/download`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(ask(by, path)) });
    expect(Buffer.from(await (await file(GRANTEE, 'deep/bytes.bin')).arrayBuffer())).toEqual(Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    expect(await (await file(GRANTEE, './out/goal.txt')).text()).toBe('Say hello\n');
    expect([(await file(STRANGER, 'out/goal.txt')).status, (await file(GRANTEE, '../muster.db')).status]).toEqual([403, 404]);
  });

  test('of an image that is not there fails with the command that makes it; an exit code fails it; silence is no failure', { timeout: TIMEOUT }, async () => {
    const missing = await run('true', { image: 'muster-demo:never-made' });
    const failing = await run('echo "oh no" >&2; exit 3');
    const silent = await run('true');
    for (const id of [missing, failing, silent]) while (!isOver(await get(id)));
    expect(await get(missing)).toMatchObject({ status: 'failed', error: { message: expect.stringContaining('scripts/demo-image') } });
    expect(await get(failing)).toMatchObject({ status: 'failed', error: { code: 'container_exit', message: expect.stringContaining('3') }, result: { logs: ['oh no'] } });
    expect(await get(silent)).toMatchObject({ status: 'succeeded', result: { logs: [], log_count: 0 } });
  });

  test('that is not there is 404 before any stream begins', async () => {
    for (const path of ['', '/stream']) expect((await call('GET', `/api/v1/operations/prompt_gemini_agent_1756058318000${path}`)).body.detail).toMatchObject({ kind: 'Error', error_code: 'NOT_FOUND_ERROR' });
  });
});
