import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpBench, httpBench } from '../support/http.ts';

let bench: HttpBench;
beforeAll(async () => { bench = await httpBench({ debug: true }); });
afterAll(() => bench.close());

const post = (url: string, payload: unknown) => bench.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: JSON.stringify(payload) });
const ROW = ['active', 'command', 'created_at', 'data', 'deleted_at', 'finished_at', 'id', 'method', 'parent_id', 'priority', 'send_at', 'started_at', 'state', 'updated_at', 'url'];

test('a request is created and followed by the names of the contract', async () => {
  const answer = await post('/api/debug/request', { url: 'http://127.0.0.1:8000/x', method: 'POST', data: '{"a":1}', delay: 5 });
  const row = answer.json();
  expect([answer.statusCode, Object.keys(row).sort()]).toEqual([200, ROW]);
  expect(row).toMatchObject({ active: true, command: 'request', data: '{"a":1}', method: 'POST', priority: 5, send_at: row.created_at + 5, state: 'idle', started_at: 0, finished_at: 0, url: 'http://127.0.0.1:8000/x', parent_id: null });
  expect((await bench.get(`/api/jobs/${row.id}`)).input).toEqual({ url: 'http://127.0.0.1:8000/x', method: 'POST', body: { a: 1 } });
  bench.clock.advance(5_000);
  await bench.store.execute({ kind: 'tick', limit: 10, spareLeases: false });
  const claim = await bench.claim('request');
  expect((await bench.get(`/api/debug/job/${row.id}`)).state).toBe('request');
  await bench.end(claim, { kind: 'done', result: '1' });
  expect(await bench.get(`/api/debug/job/${row.id}`)).toMatchObject({ state: 'complete', finished_at: row.created_at + 5 });
});

test('a batch asks its urls, then posts its data to the event path', async () => {
  const row = (await post('/api/debug/batch', { url: 'http://127.0.0.1:8000/', urls: ['http://127.0.0.1:8000/a', 'http://127.0.0.1:8000/b'], data: 'all done' })).json();
  expect(row).toMatchObject({ command: 'batch', state: 'idle', url: '$ARENA$/api/debug/event/$JOB$', method: 'POST', data: 'all done' });
  const children = (await bench.get(`/api/jobs/${row.id}/children`)).jobs;
  expect(children.map((child: any) => child.input)).toEqual([{ url: 'http://127.0.0.1:8000/a', method: 'GET' }, { url: 'http://127.0.0.1:8000/b', method: 'GET' }]);
  expect((await post(`/api/debug/event/${row.id}`, 'all done')).json()).toEqual({ job_id: row.id, delay: 0, message: 'OK', state: 'completed', data: '' });
});

test('data must be named, and a url that may not be called is refused', async () => {
  const before = await bench.seq();
  expect((await post('/api/debug/request', { url: 'http://127.0.0.1:8000/x' })).statusCode).toBe(400);
  expect((await post('/api/debug/request', { url: 'http://10.0.0.1/', data: null })).statusCode).toBe(422);
  expect((await post('/api/debug/batch', { url: 'x', urls: ['http://127.0.0.1:8000/', 'gopher://x'], data: null })).json().errors[0].pointer).toBe('#/urls/1/input/url');
  expect((await bench.inject({ method: 'GET', url: '/api/debug/job/job_01jv5x9k3qf0bsx1r4y7m2n8ga' })).statusCode).toBe(404);
  expect(await bench.seq()).toBe(before);
});

test('debug health is the literal of the contract', async () => {
  expect(await bench.get('/api/debug/health')).toEqual({ job_id: '1', delay: 0, message: 'test', state: 'completed', data: { name: 'debug_controller', state: 'OK', version: '1' } });
});

test('the participant answers PENDING n times for each job, then its end for ever', async () => {
  const ask = async (job: string, query: string, method: 'GET' | 'POST' = 'GET') => (await bench.inject({ method, url: `/api/debug/participant/${job}?${query}`, ...(method === 'POST' ? { payload: { any: 'thing' } } : {}) })).json();
  const script = 'pending=2&delay=3&data=%7B%22x%22%3A1%7D';
  const states = [await ask('a', script), await ask('a', script, 'POST'), await ask('b', script), await ask('a', script), await ask('a', script)];
  expect(states.map((one) => [one.job_id, one.state, one.delay])).toEqual([['a', 'PENDING', 3], ['a', 'PENDING', 3], ['b', 'PENDING', 3], ['a', 'COMPLETE', 0], ['a', 'COMPLETE', 0]]);
  expect(states[4]?.data).toEqual({ x: 1 });
  expect(await ask('c', 'end=fail&data=text')).toMatchObject({ state: 'FAIL', data: 'text' });
  expect((await bench.inject({ method: 'GET', url: '/api/debug/participant/c?end=maybe' })).statusCode).toBe(400);
  expect((await bench.inject({ method: 'GET', url: '/api/debug/participant/c?pending=-1' })).statusCode).toBe(400);
});

test.each([
  ['100,000 levels', '['.repeat(100_000) + ']'.repeat(100_000), /data: .*deeper than 64/], ['65 levels', '['.repeat(65) + ']'.repeat(65), /deeper than 64/],
  ['a duplicate key', '{"a":1,"a":2}', /stands twice/], ['a prototype key', '{"__proto__":{}}', /__proto__/], ['a number too large', '1e999', /too large/],
  ['half a surrogate pair', '"\\ud800"', /surrogate/],
])('data is held to the rules of a body: %s', async (_name, data, says) => {
  const before = await bench.seq();
  const answers = [
    await post('/api/debug/request', { url: 'http://127.0.0.1:8000/', method: 'POST', data }),
    await post('/api/debug/batch', { url: 'x', urls: ['http://127.0.0.1:8000/'], data }),
    ...(data.length > 10_000 ? [] : [await bench.inject({ method: 'GET', url: `/api/debug/participant/d?data=${encodeURIComponent(data)}` })]),
  ];
  for (const answer of answers) {
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'malformed_body']);
    expect(answer.json().detail).toMatch(says);
  }
  expect(await bench.seq()).toBe(before);
});

test('data that is text has no NUL either', async () => {
  expect((await bench.inject({ method: 'GET', url: '/api/debug/participant/d?data=a%00b' })).statusCode).toBe(400);
  expect(await bench.get('/api/debug/participant/d?data=%5Bnot%20json')).toMatchObject({ data: '[not json' });
});
