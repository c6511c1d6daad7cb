// The job types against real servers: what is sent, what comes of it, what is logged.
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, it } from 'vitest';
import { NO_CHILDREN } from '../../src/domain/job.ts';
import type { FinalBody, Registry } from '../../src/handlers/handler.ts';
import { expandUrl, INPUTS, inputsFor, PARTICIPANTS_MAX, requestInput, requestStored, verifyInput } from '../../src/handlers/inputs.ts';
import { createRegistry } from '../../src/handlers/registry.ts';
import { bodyOf, claim, clock, contextFor, egressFor, type Listening, manualClock, serve, serveRaw } from './support.ts';

const registry = (arenaUrl = 'http://127.0.0.1:1/', at = clock): Registry => createRegistry({ egress: egressFor(), clock: at, arenaUrl });
const row = (types: Registry, type: string) => types[type] ?? expect.unreachable(type);

interface Seen { method: string | undefined; url: string | undefined; headers: IncomingHttpHeaders; body: string }
async function recorder(answers: readonly (readonly [number, unknown, Record<string, string>?])[] = [[200, 'ok']]): Promise<Listening & { readonly seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = await serve(async (request, response) => {
    seen.push({ method: request.method, url: request.url, headers: request.headers, body: await bodyOf(request) });
    const [status, body, headers] = answers[Math.min(seen.length, answers.length) - 1] as readonly [number, unknown, Record<string, string>?];
    response.writeHead(status, typeof body === 'string' ? { 'content-type': 'text/plain', ...headers } : { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  return { ...server, seen };
}

const final: FinalBody = {
  jobId: 'job_b', type: 'batch', state: 'PENDING', status: 'running', input: { body: { round: 1 } }, result: null, error: null, endedAt: null,
  children: [{ id: 'job_c', ordinal: 0, state: 'COMPLETE', result: 7 }],
};

describe('request', () => {
  it('asks again after PENDING with the same id until COMPLETE, and logs each ask', async () => {
    const server = await recorder([[200, { job_id: 'job_01', state: 'PENDING', delay: 2, message: 'writing' }], [200, { job_id: 'job_01', state: 'COMPLETE', data: { text: 'hi' } }]]);
    const { run } = row(registry(), 'request');
    const context = contextFor();
    const job = claim({ url: `${server.url}/ask?key=secret`, body: { prompt: 'x' } }, { attempt: 2 });
    expect(await run(job, context)).toEqual({ kind: 'later', delay: 2_000 });
    expect(await run(job, context)).toEqual({ kind: 'done', result: '{"text":"hi"}' });
    for (const seen of server.seen) {
      expect(seen).toMatchObject({ method: 'POST', url: '/ask?key=secret', body: '{"prompt":"x"}' });
      expect(seen.headers).toMatchObject({ 'content-type': 'application/json', 'muster-job-id': 'job_01', 'muster-attempt': '2' });
      expect(seen.headers).not.toHaveProperty('idempotency-key');
    }
    expect(context.lines).toEqual([expect.stringMatching(/^POST http:\/\/127\.0\.0\.1:\d+\/ask → 200 PENDING, asked again in 2000 ms: writing \(\d+ ms\)$/), expect.stringContaining('→ 200 COMPLETE')]);
    expect(context.lines.join()).not.toContain('secret');
  });

  it('sends GET without a body, and what it is told to', async () => {
    const server = await recorder();
    const { run } = row(registry(), 'request');
    await run(claim({ url: server.url }), contextFor());
    await run(claim({ url: server.url, method: 'PUT', body: 'plain', headers: { 'Content-Type': 'text/plain', Authorization: 'Bearer x' } }), contextFor());
    await run(claim({ url: server.url, body: 'quoted', headers: { 'Content-Type': 'application/vnd.x+json' } }), contextFor());
    await run(claim({ url: server.url, body: null }), contextFor());
    expect(server.seen.map(({ method, body, headers }) => [method, body, headers['content-type']])).toEqual([
      ['GET', '', undefined], ['PUT', 'plain', 'text/plain'], ['POST', '"quoted"', 'application/vnd.x+json'], ['POST', 'null', 'application/json'],
    ]);
    expect(server.seen[1]?.headers.authorization).toBe('Bearer x');
  });

  it('fills in its placeholders', async () => {
    const server = await recorder();
    await row(registry(`${server.url}/`), 'request').run(claim({ url: '$ARENA$/api/$JOB$/x?j=$JOB$' }, { id: 'job_42' }), contextFor());
    expect(server.seen[0]?.url).toBe('/api/job_42/x?j=job_42');
    expect(expandUrl('$ARENA$/$JOB$', 'job_$&', 'http://h/$`')).toBe('http://h/$`/job_%24%26');
    expect(expandUrl('$ARENA$/?to=$ARENA$', 'job_1', 'http://h')).toBe('http://h/?to=$ARENA$');
  });

  it('reports a job as its callback, once per key', async () => {
    const server = await recorder([[204, '']]);
    const { run } = row(registry(), 'request');
    const job = claim({ url: server.url, method: 'POST', about: 'job_b' }, { id: 'job_cb' });
    expect(await run(job, contextFor({ final }))).toEqual({ kind: 'done', result: null });
    expect(JSON.parse(server.seen[0]?.body ?? '')).toEqual(final);
    expect(server.seen[0]?.headers).toMatchObject({ 'idempotency-key': 'job_cb', 'muster-job-id': 'job_cb' });
    expect(await run(job, contextFor({ final: null }))).toMatchObject({ kind: 'fail', error: { retryable: false, message: expect.stringContaining('job_b') } });
  });

  it('honours Retry-After, and refuses what the guard refuses', async () => {
    const server = await recorder([[429, 'slow down', { 'retry-after': '7' }]]);
    const { run } = row(registry(), 'request');
    expect(await run(claim({ url: server.url }), contextFor())).toMatchObject({ kind: 'fail', delay: 7_000, error: { code: 'http_status', retryable: true } });
    const context = contextFor();
    expect(await run(claim({ url: 'http://169.254.169.254/' }), context)).toMatchObject({ kind: 'fail', error: { code: 'egress_refused', retryable: false } });
    expect(context.lines[0]).toContain('egress_refused');
  });

  it('ends by its own timeout or the shorter one of the job', async () => {
    const server = await serveRaw(() => {});
    const { run } = row(registry(), 'request');
    for (const [timeout, spec] of [[40, {}], [60_000, { timeout: 40 }], [undefined, { timeout: 40 }]] as const) {
      expect(await run(claim({ url: server.url, timeout }, { spec }), contextFor())).toMatchObject({ kind: 'fail', error: { code: 'timeout', retryable: true, message: expect.stringContaining('40 ms') } });
    }
  });

  it('answers interrupted when it is stopped', async () => {
    const stop = new AbortController();
    const server = await serveRaw(() => stop.abort(new Error('the server is stopping')));
    expect(await row(registry(), 'request').run(claim({ url: server.url }), contextFor({ signal: stop.signal }))).toEqual({ kind: 'interrupted', reason: 'the server is stopping' });
    await server.idle();
  });
});

describe('verify', () => {
  const participants = [{ id: 'one', url: 'http://a.example/' }, { id: 'two', url: 'http://b.example/$JOB$', method: 'PUT', body: { x: 1 } }] as const;
  it('becomes one request per participant, in order', async () => {
    const outcome = await row(registry(), 'verify').run(claim({ participants }, { type: 'verify' }), contextFor());
    expect(outcome).toEqual({ kind: 'spawn', children: [
      { type: 'request', input: '{"url":"http://a.example/"}', spec: {} }, { type: 'request', input: '{"url":"http://b.example/$JOB$","method":"PUT","body":{"x":1}}', spec: {} },
    ] });
    if (outcome.kind === 'spawn') for (const child of outcome.children) requestInput.parse(JSON.parse(child.input));
  });
  it('adds no children a second time', async () => {
    const job = claim({ participants }, { type: 'verify', children: { ...NO_CHILDREN, total: 2, completed: 2 } });
    expect(await row(registry(), 'verify').run(job, contextFor())).toEqual({ kind: 'spawn', children: [] });
  });
});

describe('batch', () => {
  it('calls with its data and what its children came to, and the answer decides', async () => {
    const server = await recorder([[200, { job_id: 'x', state: 'pending', delay: 1 }], [200, { job_id: 'x', state: 'fail', message: 'no quorum' }]]);
    const { run } = row(registry(), 'batch');
    const job = claim({ url: `${server.url}/done/$JOB$`, body: { round: 1 } }, { type: 'batch', id: 'job_b' });
    expect(await run(job, contextFor({ final }))).toEqual({ kind: 'later', delay: 1_000 });
    expect(await run(job, contextFor({ final }))).toMatchObject({ kind: 'fail', error: { code: 'participant_failed', message: 'no quorum' } });
    expect(server.seen[0]).toMatchObject({ method: 'POST', url: '/done/job_b' });
    expect(JSON.parse(server.seen[0]?.body ?? '')).toEqual({ ...final, data: { round: 1 } });
  });
  it('without a url has nothing to do', async () => {
    expect(await row(registry(), 'batch').run(claim({}, { type: 'batch' }), contextFor())).toEqual({ kind: 'done', result: null });
  });
});

describe('noop', () => {
  it('is done, with what it was given, or fails', async () => {
    const { run } = row(registry(), 'noop');
    expect(await run(claim({}), contextFor())).toEqual({ kind: 'done', result: null });
    expect(await run(claim({ result: null }), contextFor())).toEqual({ kind: 'done', result: 'null' });
    expect(await run(claim({ result: { a: 1 } }), contextFor())).toEqual({ kind: 'done', result: '{"a":1}' });
    expect(await run(claim({ fail: 'on purpose' }), contextFor())).toEqual({ kind: 'fail', error: { code: 'handler_error', message: 'on purpose', retryable: false } });
  });
  it('sleeps by the clock it was given, and wakes when stopped', async () => {
    const at = manualClock();
    const { run } = row(registry('', at), 'noop');
    let ended = false;
    const sleeping = run(claim({ sleep: 500, result: 1 }), contextFor()).then((outcome) => { ended = true; return outcome; });
    at.advance(499);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
    at.advance(1);
    expect(await sleeping).toEqual({ kind: 'done', result: '1' });
    for (const early of [true, false]) {
      const stop = new AbortController();
      if (early) stop.abort('cancelled');
      const stopped = run(claim({ sleep: 500 }), contextFor({ signal: stop.signal }));
      stop.abort('cancelled');
      expect(await stopped).toEqual({ kind: 'interrupted', reason: 'cancelled' });
    }
    expect(at.timers).toBe(0);
  });
});

describe('inputs', () => {
  const participant = { id: 'a', url: 'http://a.example' };
  it.each<[keyof typeof INPUTS, unknown]>([
    ['request', {}], ['request', { url: '' }], ['request', { url: `http://${'a'.repeat(2_048)}` }], ['request', { url: 'http://a', about: 'job_1' }], ['request', { url: 'http://a', method: 'get' }],
    ['request', { url: 'http://a', method: 'CONNECT' }], ['request', { url: 'http://a', timeout: 0 }], ['request', { url: 'http://a', timeout: 600_001 }], ['request', { url: 'http://a', timeout: 1.5 }], ['request', { url: 'http://a', timeout: '5' }],
    ['request', { url: 'http://a', headers: { Host: 'evil' } }], ['request', { url: 'http://a', headers: { x: 'a\r\nb' } }], ['request', { url: 'http://a', headers: { x: 1 } }], ['request', { url: 'http://a', extra: 1 }],
    ['request', { url: 'http://a', headers: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x${i}`, ''])) }],
    ['verify', {}], ['verify', { participants: [] }], ['verify', { participants: Array(PARTICIPANTS_MAX + 1).fill(participant) }], ['verify', { participants: [{ url: 'http://a' }] }], ['verify', { participants: [{ ...participant, headers: {} }] }],
    ['batch', { url: 5 }], ['batch', { participants: [] }], ['noop', { sleep: -1 }], ['noop', { sleep: 86_400_001 }], ['noop', { fail: true }], ['noop', null], ['noop', []],
  ])('%s refuses %j', (type, input) => expect(INPUTS[type].safeParse(input).success).toBe(false));

  it('let through what fits, unchanged', () => {
    const full = { url: '$ARENA$/x', method: 'PATCH', headers: { a: 'b' }, body: { deep: [null] }, timeout: 600_000 };
    expect(requestInput.parse(full)).toEqual(full);
    expect(verifyInput.parse({ participants: Array(PARTICIPANTS_MAX).fill(participant) }).participants).toHaveLength(PARTICIPANTS_MAX);
    expect(requestStored.parse({ url: 'http://a', about: 'job_1' })).toEqual({ url: 'http://a', about: 'job_1' });
  });
});

describe('the registry', () => {
  it('has a row for every type that has an input, and the policy never cuts a call before its own timeout', () => {
    const types = registry();
    expect(Object.keys(types).sort()).toEqual(Object.keys(inputsFor({ images: [], network: 'none' })).sort());
    for (const type of ['request', 'batch']) expect(row(types, type).policy.timeout).toBeGreaterThan(600_000);
  });
});
