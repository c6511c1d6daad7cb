// Bad input through the front door: always problem+json that says what to do, never a 5xx, and nothing is written.
// What has a number among the security cases stands in test/attacks.
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problemSchema } from '../../src/http/native/schemas.ts';
import { type HttpBench, httpBench } from '../support/http.ts';

let bench: HttpBench;
let ended = '';
let open = '';
beforeAll(async () => {
  bench = await httpBench();
  ended = (await bench.submit({ type: 'noop' })).id;
  await bench.end(await bench.claim('noop'), { kind: 'done', result: '1' });
  open = (await bench.submit({ type: 'batch', sealed: true, hold: true, children: [{ type: 'noop' }] })).id;
});
afterAll(() => bench.close());

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (payload: string | Buffer, url = '/api/jobs', headers: Record<string, string> = JSON_TYPE): InjectOptions => ({ method: 'POST', url, headers, payload });
const submit = (body: unknown): InjectOptions => post(JSON.stringify(body));
const get = (url: string, headers: Record<string, string> = {}): InjectOptions => ({ method: 'GET', url, headers });
const GONE = 'job_01jv5x9k3qf0bsx1r4y7m2n8ga';
const noop = (more: object): InjectOptions => submit({ type: 'noop', ...more });

type Row = [name: string, request: () => InjectOptions, status: number, says: RegExp];
const rows: Row[] = [
  ['too many tags', () => noop({ tags: Array.from({ length: 65 }, () => 'x') }), 422, /at most 64 items/],
  ['a long tag', () => noop({ tags: ['x'.repeat(129)] }), 422, /at most 128 characters/],
  ['an empty tag', () => noop({ tags: [''] }), 422, /at least 1 characters/],
  ['delay and hold at once', () => noop({ delay: 5, hold: true }), 422, /only one/],
  ['delay and dueAt at once', () => noop({ delay: 5, dueAt: '2026-01-01T00:00:00Z' }), 422, /only one/],
  ['a date without a zone', () => noop({ dueAt: '2026-01-01T00:00:00' }), 422, /dueAt/],
  ['no date', () => noop({ dueAt: 'tomorrow' }), 422, /dueAt/],
  ['no type', () => submit({}), 400, /is required/],
  ['an unknown type', () => submit({ type: 'shell' }), 422, /must be one of request/],
  ['type as a number', () => submit({ type: 5 }), 400, /type/],
  ['children of a noop', () => noop({ children: [] }), 400, /children/],
  ['width of a noop', () => noop({ width: 2 }), 400, /width/],
  ['width 0', () => submit({ type: 'batch', width: 0 }), 422, /at least 1/],
  ['count 0', () => submit({ type: 'batch', completion: { count: 0 } }), 422, /at least 1/],
  ['count beyond its children', () => submit({ type: 'batch', completion: { count: 5 }, children: [{ type: 'noop' }] }), 422, /wants 5 completed children and has 1/],
  ['percent 101', () => submit({ type: 'batch', completion: { percent: 101 } }), 422, /at most 100/],
  ['count and percent', () => submit({ type: 'batch', completion: { count: 1, percent: 1 } }), 400, /completion/],
  ['no participants', () => submit({ type: 'verify', input: { participants: [] } }), 422, /at least 1 items/],
  ['an array', () => submit([]), 400, /must be an object, not array/],
  ['an empty body', () => post(''), 400, /JSON body/],
  ['broken JSON', () => post('{"type":'), 400, /not JSON/],
  ['an idempotency key with a space', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'idempotency-key': 'a b' }), 400, /Idempotency-Key/],
  ['an empty idempotency key', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'idempotency-key': '' }), 400, /Idempotency-Key/],
  ['a long idempotency key', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'idempotency-key': 'k'.repeat(256) }), 400, /Idempotency-Key/],
  ['an empty bulk', () => post('{"jobs":[]}', '/api/jobs/bulk'), 422, /at least 1/],
  ['a bulk that is a list', () => post('[{"type":"noop"}]', '/api/jobs/bulk'), 400, /must be an object/],
  ['a bulk with one bad job', () => post('{"jobs":[{"type":"noop"},{"type":"noop","priority":99}]}', '/api/jobs/bulk'), 422, /#\/jobs\/1\/priority/],
  ['a bulk with two parents', () => post(JSON.stringify({ jobs: [{ type: 'noop' }, { type: 'noop', parentId: open }] }), '/api/jobs/bulk'), 422, /same parent/],
  ['bulk lines, the second broken', () => post('{"type":"noop"}\n{"type":\n', '/api/jobs/bulk', { 'content-type': 'application/x-ndjson' }), 400, /Line 2/],
  ['a job that is not there', () => get(`/api/jobs/${GONE}`), 404, /no job/],
  ['its children', () => get(`/api/jobs/${GONE}/children`), 404, /no job/],
  ['its events', () => get(`/api/jobs/${GONE}/events`), 404, /no job/],
  ['its logs', () => get(`/api/jobs/${GONE}/logs`), 404, /no job/],
  ['its explanation', () => get(`/api/jobs/${GONE}/explain`), 404, /no job/],
  ['its start', () => ({ method: 'POST', url: `/api/jobs/${GONE}/start` }), 404, /no job/],
  ['its end', () => ({ method: 'DELETE', url: `/api/jobs/${GONE}` }), 404, /no job/],
  ['a wait of a day', () => get(`/api/jobs/${ended}?wait=86400`), 400, /from 0 to 60/],
  ['tail and offset', () => get(`/api/jobs/${ended}/logs?tail=1&offset=1`), 400, /exclude/],
  ['an unknown path', () => get('/api/nothing'), 404, /GET \/docs/],
  ['a path in capitals', () => get('/API/jobs'), 404, /GET \/docs/],
  ['DELETE of a list', () => ({ method: 'DELETE', url: '/api/jobs' }), 405, /POST/],
  ['POST to one job', () => ({ method: 'POST', url: `/api/jobs/${ended}` }), 405, /DELETE, GET, HEAD, PATCH/],
  ['GET of a verb', () => get(`/api/jobs/${ended}/cancel`), 405, /POST/],
  ['start of what has ended', () => ({ method: 'POST', url: `/api/jobs/${ended}/start` }), 409, /completed/],
  ['pause of what has ended', () => ({ method: 'POST', url: `/api/jobs/${ended}/pause` }), 409, /completed/],
  ['resume of what is not paused', () => ({ method: 'POST', url: `/api/jobs/${open}/resume` }), 409, /paused/],
  ['cancel of what has ended', () => ({ method: 'POST', url: `/api/jobs/${ended}/cancel` }), 409, /ended already/],
  ['retry of what went well', () => ({ method: 'POST', url: `/api/jobs/${ended}/retry` }), 409, /failed or cancelled/],
  ['a body with a verb that takes none', () => ({ method: 'POST', url: `/api/jobs/${open}/start`, payload: { force: true } }), 400, /force/],
  ['a cancel reason that is a number', () => ({ method: 'POST', url: `/api/jobs/${open}/cancel`, payload: { reason: 5 } }), 400, /must be a string/],
  ['an empty patch', () => ({ method: 'PATCH', url: `/api/jobs/${open}`, payload: {} }), 422, /nothing to change/],
  ['unsealing', () => ({ method: 'PATCH', url: `/api/jobs/${open}`, payload: { sealed: false } }), 422, /must be true/],
  ['a new deadline for what has ended', () => ({ method: 'PATCH', url: `/api/jobs/${ended}`, payload: { deadline: 5 } }), 409, /only the tags/],
  ['DELETE of what is open', () => ({ method: 'DELETE', url: `/api/jobs/${open}` }), 409, /Cancel it first/],
  ['concurrency of a type that is not there', () => ({ method: 'PATCH', url: '/api/types/shell', payload: { concurrency: 1 } }), 404, /The types are/],
  ['a concurrency of -1', () => ({ method: 'PATCH', url: '/api/types/noop', payload: { concurrency: -1 } }), 422, /at least 0/],
  ['a debug path in production', () => get('/api/debug/health'), 404, /no path/],
  ['a page of another site', () => ({ ...submit({ type: 'noop' }), headers: { ...JSON_TYPE, 'sec-fetch-site': 'cross-site' } }), 403, /another web site/],
  ['a verb from another origin', () => ({ method: 'POST', url: `/api/jobs/${open}/cancel`, headers: { origin: 'https://evil.example' } }), 403, /another web site/],
  ['a verb from no origin', () => ({ method: 'POST', url: `/api/jobs/${open}/cancel`, headers: { origin: 'null' } }), 403, /another web site/],
];

describe('refused with advice, and nothing is written', () => {
  test.each(rows)('%s', async (_name, request, status, says) => {
    const before = await bench.seq();
    const stats = JSON.stringify((await bench.store.stats()).jobs);
    const answer = await bench.inject(request());
    expect(answer.body).toMatch(says);
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    const problem = problemSchema.parse(answer.json());
    expect(problem.status).toBe(status);
    expect(problem.hint.length).toBeGreaterThan(10);
    expect(problem.requestId).toBe(answer.headers['x-request-id']);
    expect(answer.body).not.toMatch(/node_modules|\/src\/|SQLITE|    at /);
    if (status === 405) expect(answer.headers.allow).toMatch(/[A-Z]/);
    expect(await bench.seq()).toBe(before);
    expect(JSON.stringify((await bench.store.stats()).jobs)).toBe(stats);
  });
});

test('a body that is said to be itself is read', async () => {
  expect((await bench.inject(post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'content-encoding': 'Identity' }))).statusCode).toBe(201);
});

test('a defect answers 500 without telling its insides, and the log has them under the request id', async () => {
  const broken = await httpBench();
  Object.assign(broken.store, { lineage: () => Promise.reject(new Error('secret detail in SELECT')) });
  const answer = await broken.inject(get(`/api/jobs/${ended}/explain`));
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toMatch(/secret/);
  const line = JSON.parse(broken.logged.at(-1) ?? '{}');
  expect([line.requestId, line.err.message]).toEqual([answer.json().requestId, 'secret detail in SELECT']);
  await broken.close();
});
