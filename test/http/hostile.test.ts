// Bad input through the front door: always problem+json that says what to do, never a 5xx, and nothing is written.
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
const tree = (depth: number): unknown => (depth === 0 ? { type: 'noop' } : { type: 'batch', children: [tree(depth - 1)] });
const noop = (more: object): InjectOptions => submit({ type: 'noop', ...more });

type Row = [name: string, request: () => InjectOptions, status: number, says: RegExp];
const rows: Row[] = [
  ['a status from outside', () => noop({ status: 'completed' }), 400, /no property \\"status\\"/],
  ['a state from outside', () => noop({ state: 'COMPLETE' }), 400, /no property \\"state\\"/],
  ['an attempt from outside', () => noop({ attempt: 0 }), 400, /attempt/],
  ['a fence from outside', () => noop({ leaseEpoch: 9 }), 400, /leaseEpoch/],
  ['an unknown property of the input', () => noop({ input: { evil: 1 } }), 400, /#\/input/],
  ['the inside of a callback from outside', () => submit({ type: 'request', input: { url: 'http://127.0.0.1:8000/', about: ended } }), 400, /about/],
  ['an unknown property of a patch', () => ({ method: 'PATCH', url: `/api/jobs/${open}`, payload: { status: 'completed' } }), 400, /status/],
  ['priority null', () => noop({ priority: null }), 400, /must be a number, not null/],
  ['priority as text', () => noop({ priority: '7' }), 400, /must be a number, not string/],
  ['priority with a fraction', () => noop({ priority: 1.5 }), 400, /whole number/],
  ['priority 0', () => noop({ priority: 0 }), 422, /at least 1/],
  ['priority 11', () => noop({ priority: 11 }), 422, /at most 10/],
  ['ttl -1', () => noop({ ttl: -1 }), 422, /at least 1/],
  ['ttl of 32 years', () => noop({ ttl: 1e12 }), 422, /at most 31536000000/],
  ['a million attempts', () => noop({ maxAttempts: 1e6 }), 422, /at most 100/],
  ['too many tags', () => noop({ tags: Array.from({ length: 65 }, () => 'x') }), 422, /at most 64 items/],
  ['a long tag', () => noop({ tags: ['x'.repeat(129)] }), 422, /at most 128 characters/],
  ['an empty tag', () => noop({ tags: [''] }), 422, /at least 1 characters/],
  ['10,001 tags', () => noop({ tags: Array.from({ length: 10_001 }, () => 'x') }), 422, /at most 64/],
  ['10,001 children', () => submit({ type: 'batch', children: Array.from({ length: 10_001 }, () => ({ type: 'noop' })) }), 422, /at most 10000 items/],
  ['10,000 children and their parent', () => submit({ type: 'batch', children: Array.from({ length: 10_000 }, () => ({ type: 'noop' })) }), 422, /at most 10000 jobs/],
  ['a tree of 18 levels', () => submit(tree(17)), 422, /deeper than 16/],
  ['a tree beyond JSON depth', () => submit(tree(40)), 400, /deeper than 64/],
  ['delay and hold at once', () => noop({ delay: 5, hold: true }), 422, /only one/],
  ['delay and dueAt at once', () => noop({ delay: 5, dueAt: '2026-01-01T00:00:00Z' }), 422, /only one/],
  ['a date without a zone', () => noop({ dueAt: '2026-01-01T00:00:00' }), 422, /dueAt/],
  ['no date', () => noop({ dueAt: 'tomorrow' }), 422, /dueAt/],
  ['a date in 2099', () => noop({ dueAt: '2099-01-01T00:00:00Z' }), 422, /more than a year/],
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
  ['a parent in a child', () => submit({ type: 'batch', children: [{ type: 'noop', parentId: open }] }), 400, /children\/0/],
  ['an unknown parent', () => noop({ parentId: GONE }), 404, /no job/],
  ['a parent that is no batch', () => noop({ parentId: ended }), 409, /only a batch/],
  ['a sealed parent', () => noop({ parentId: open }), 409, /sealed/],
  ['a bad parent id', () => noop({ parentId: '../x' }), 422, /not a job id/],
  ['a url with another scheme', () => submit({ type: 'request', input: { url: 'file:///etc/passwd' } }), 422, /#\/input\/url/],
  ['a url with a password', () => submit({ type: 'request', input: { url: 'http://a:b@example.com/' } }), 422, /password/],
  ['$ARENA$ in the middle of a url', () => submit({ type: 'request', input: { url: 'http://example.com/?to=$ARENA$' } }), 422, /only at the start/],
  ['$ARENA$ twice in a callback', () => noop({ callback: '$ARENA$/$ARENA$' }), 422, /#\/callback/],
  ['the address of cloud metadata', () => submit({ type: 'request', input: { url: 'http://169.254.169.254/latest' } }), 422, /#\/input\/url/],
  ['a private callback', () => noop({ callback: 'http://10.0.0.1/x' }), 422, /#\/callback/],
  ['a private participant', () => submit({ type: 'verify', input: { participants: [{ id: 'a', url: 'http://[fe80::1]/' }] } }), 422, /#\/input\/participants\/0\/url/],
  ['a private child', () => submit({ type: 'batch', children: [{ type: 'noop' }, { type: 'request', input: { url: 'http://192.168.0.1/' } }] }), 422, /#\/children\/1\/input\/url/],
  ['no participants', () => submit({ type: 'verify', input: { participants: [] } }), 422, /at least 1 items/],
  ['an array', () => submit([]), 400, /must be an object, not array/],
  ['no body', () => ({ method: 'POST', url: '/api/jobs' }), 400, /JSON body/],
  ['an empty body', () => post(''), 400, /JSON body/],
  ['broken JSON', () => post('{"type":'), 400, /not JSON/],
  ['a duplicate key', () => post('{"type":"noop","type":"request"}'), 400, /stands twice/],
  ['a prototype key', () => post('{"type":"noop","input":{"__proto__":{"x":1}}}'), 400, /__proto__/],
  ['NUL', () => post('{"type":"noop","tags":["a\\u0000b"]}'), 400, /NUL/],
  ['half a surrogate pair', () => post('{"type":"noop","tags":["\\ud800"]}'), 400, /surrogate/],
  ['an inexact integer', () => post('{"type":"noop","input":{"result":9007199254740993}}'), 400, /exactly/],
  ['invalid UTF-8', () => post(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 400, /UTF-8/],
  ['a body over 1 MiB', () => post(`{"type":"noop","input":{"result":"${'x'.repeat(1_048_576)}"}}`), 413, /limit/],
  ['a form', () => post('a=b', '/api/jobs', { 'content-type': 'application/x-www-form-urlencoded' }), 415, /Content-Type: application\/json/],
  ['text', () => post('{"type":"noop"}', '/api/jobs', { 'content-type': 'text/plain' }), 415, /content type/],
  ['NDJSON where there is one job', () => post('{"type":"noop"}', '/api/jobs', { 'content-type': 'application/x-ndjson' }), 415, /content type/],
  ['another charset', () => post('{"type":"noop"}', '/api/jobs', { 'content-type': 'application/json; charset=utf-16' }), 415, /UTF-8/],
  ['garbage after the content type', () => post('{"type":"noop"}', '/api/jobs', { 'content-type': 'application/json garbage' }), 415, /content type/],
  ['a tab and a letter after the content type', () => post('{"type":"noop","x":1}', '/api/jobs', { 'content-type': 'application/json\ta' }), 415, /content type/],
  ['a body said to be compressed', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'content-encoding': 'gzip' }), 415, /uncompressed/],
  ['lines said to be compressed', () => post('{"type":"noop"}', '/api/jobs/bulk', { 'content-type': 'application/x-ndjson', 'content-encoding': 'identity, br' }), 415, /uncompressed/],
  ['an idempotency key with a space', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'idempotency-key': 'a b' }), 400, /Idempotency-Key/],
  ['an empty idempotency key', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'idempotency-key': '' }), 400, /Idempotency-Key/],
  ['a long idempotency key', () => post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'idempotency-key': 'k'.repeat(256) }), 400, /Idempotency-Key/],
  ['an empty bulk', () => post('{"jobs":[]}', '/api/jobs/bulk'), 422, /at least 1/],
  ['a bulk that is a list', () => post('[{"type":"noop"}]', '/api/jobs/bulk'), 400, /must be an object/],
  ['a bulk with one bad job', () => post('{"jobs":[{"type":"noop"},{"type":"noop","priority":99}]}', '/api/jobs/bulk'), 422, /#\/jobs\/1\/priority/],
  ['a bulk with two parents', () => post(JSON.stringify({ jobs: [{ type: 'noop' }, { type: 'noop', parentId: open }] }), '/api/jobs/bulk'), 422, /same parent/],
  ['bulk lines, the second broken', () => post('{"type":"noop"}\n{"type":\n', '/api/jobs/bulk', { 'content-type': 'application/x-ndjson' }), 400, /Line 2/],
  ['a bulk of 10,001 lines', () => post('{"type":"noop"}\n'.repeat(10_001), '/api/jobs/bulk', { 'content-type': 'application/x-ndjson' }), 422, /10000/],
  ['an id that is none', () => get('/api/jobs/x'), 400, /not a job id/],
  ['an id with NUL', () => get('/api/jobs/%00'), 400, /not a job id/],
  ['a way up', () => get('/api/jobs/%2e%2e%2f'), 400, /not a job id/],
  ['SQL for an id', () => get(`/api/jobs/${encodeURIComponent("' OR 1=1 --")}`), 400, /not a job id/],
  ['bad percent encoding', () => get('/api/jobs/%E0%A4%A'), 400, /percent/],
  ['a very long id', () => get(`/api/jobs/${'x'.repeat(200)}`), 414, /longer than 100/],
  ['a job that is not there', () => get(`/api/jobs/${GONE}`), 404, /no job/],
  ['its children', () => get(`/api/jobs/${GONE}/children`), 404, /no job/],
  ['its events', () => get(`/api/jobs/${GONE}/events`), 404, /no job/],
  ['its logs', () => get(`/api/jobs/${GONE}/logs`), 404, /no job/],
  ['its explanation', () => get(`/api/jobs/${GONE}/explain`), 404, /no job/],
  ['its start', () => ({ method: 'POST', url: `/api/jobs/${GONE}/start` }), 404, /no job/],
  ['its end', () => ({ method: 'DELETE', url: `/api/jobs/${GONE}` }), 404, /no job/],
  ['limit 10⁹', () => get('/api/jobs?limit=1000000000'), 400, /from 1 to 200/],
  ['limit 0', () => get('/api/jobs?limit=0'), 400, /from 1 to 200/],
  ['limit 1e2', () => get('/api/jobs?limit=1e2'), 400, /whole number/],
  ['limit twice', () => get('/api/jobs?limit=1&limit=2'), 400, /limit/],
  ['an offset', () => get('/api/jobs?offset=5'), 400, /offset is not a parameter/],
  ['a bad cursor', () => get('/api/jobs?cursor=abc'), 400, /not a cursor/],
  ['the cursor of another list', () => get(`/api/jobs/${open}/children?cursor=j1`), 400, /not a cursor/],
  ['a cursor that is too long', () => get(`/api/jobs?cursor=j${'z'.repeat(400)}`), 400, /not a cursor/],
  ['an unknown status', () => get('/api/jobs?status=queued,done'), 400, /done/],
  ['NUL in a search', () => get('/api/jobs?text=a%00b'), 400, /text/],
  ['a prototype key in a query', () => get('/api/jobs?__proto__=1'), 400, /__proto__/],
  ['a negative event cursor', () => get(`/api/jobs/${ended}/events?after=-1`), 400, /after/],
  ['an event cursor in hex', () => get(`/api/jobs/${ended}/events?after=0x10`), 400, /after/],
  ['an event cursor of 400 digits', () => get(`/api/jobs/${ended}/events?after=${'9'.repeat(400)}`), 400, /after/],
  ['a wait of a day', () => get(`/api/jobs/${ended}?wait=86400`), 400, /from 0 to 60/],
  ['tail and offset', () => get(`/api/jobs/${ended}/logs?tail=1&offset=1`), 400, /exclude/],
  ['an unknown path', () => get('/api/nothing'), 404, /GET \/docs/],
  ['a path in capitals', () => get('/API/jobs'), 404, /GET \/docs/],
  ['PUT of a list', () => ({ method: 'PUT', url: '/api/jobs' }), 405, /GET, HEAD, POST/],
  ['DELETE of a list', () => ({ method: 'DELETE', url: '/api/jobs' }), 405, /POST/],
  ['POST to one job', () => ({ method: 'POST', url: `/api/jobs/${ended}` }), 405, /DELETE, GET, HEAD, PATCH/],
  ['GET of a verb', () => get(`/api/jobs/${ended}/cancel`), 405, /POST/],
  ['OPTIONS', () => ({ method: 'OPTIONS', url: '/api/jobs' }), 405, /GET, HEAD, POST/],
  ['TRACE', () => ({ method: 'TRACE' as never, url: '/api/jobs' }), 405, /GET, HEAD, POST/],
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

test('accepted spellings of the content type are still validated', async () => {
  for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', ' application/json']) {
    const bad = await bench.inject(post('{"type":"noop","x":1}', '/api/jobs', { 'content-type': type }));
    expect([type, bad.statusCode]).toEqual([type, 400]);
  }
});

test('a body that is said to be itself is read', async () => {
  expect((await bench.inject(post('{"type":"noop"}', '/api/jobs', { ...JSON_TYPE, 'content-encoding': 'Identity' }))).statusCode).toBe(201);
});

test('names with bidi and zero-width characters are kept as they are', async () => {
  const tag = 'a\u202e\u200bb<script>';
  expect((await bench.submit({ type: 'noop', tags: [tag] })).tags).toEqual([tag]);
  expect((await bench.get(`/api/jobs?tag=${encodeURIComponent(tag)}`)).jobs).toHaveLength(1);
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
