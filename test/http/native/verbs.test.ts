import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobSchema, typeListSchema, typeSchema } from '../../../src/http/native/schemas.ts';
import { START } from '../../support/clock.ts';
import { type HttpBench, httpBench } from '../../support/http.ts';

let bench: HttpBench;
beforeAll(async () => { bench = await httpBench(); });
afterAll(() => bench.close());

async function verb(id: string, name: string, payload?: object): Promise<any> {
  const answer = await bench.inject({ method: 'POST', url: `/api/jobs/${id}/${name}`, ...(payload === undefined ? {} : { payload }) });
  expect([name, answer.statusCode, answer.body.slice(0, 0)]).toEqual([name, 200, '']);
  return jobSchema.strict().parse(answer.json());
}

test('start, pause, resume, cancel and retry answer the job as it is after', async () => {
  const job = await bench.submit({ type: 'noop', hold: true });
  expect(await verb(job.id, 'start')).toMatchObject({ status: 'queued', dueAt: new Date(START).toISOString() });
  expect(await verb(job.id, 'pause')).toMatchObject({ status: 'paused', state: 'PENDING' });
  expect(await verb(job.id, 'resume')).toMatchObject({ status: 'queued' });
  expect(await verb(job.id, 'cancel', { reason: 'not needed' })).toMatchObject({ status: 'cancelled', state: 'FAIL', error: { code: 'cancelled', message: 'not needed' } });
  expect(await verb(job.id, 'retry')).toMatchObject({ status: 'queued', error: null, endedAt: null });
});

test('a verb may come with an empty body that says it is JSON', async () => {
  const job = await bench.submit({ type: 'noop', hold: true });
  const answer = await bench.inject({ method: 'POST', url: `/api/jobs/${job.id}/start`, headers: { 'content-type': 'application/json' } });
  expect(answer.statusCode).toBe(200);
});

test('a refused verb says what the job is, and appends nothing', async () => {
  const job = await bench.submit({ type: 'noop' });
  const before = await bench.seq();
  const answer = await bench.inject({ method: 'POST', url: `/api/jobs/${job.id}/resume` });
  expect([answer.statusCode, answer.json().status, answer.json().code, answer.json().jobStatus]).toEqual([409, 409, 'conflict', 'queued']);
  expect(await bench.seq()).toBe(before);
});

test('PATCH changes priority, tags and clocks, and null takes a clock away', async () => {
  const job = await bench.submit({ type: 'noop', hold: true, ttl: 5_000, tags: ['old'] });
  const patched = (await bench.inject({ method: 'PATCH', url: `/api/jobs/${job.id}`, payload: { priority: 1, tags: ['new'], ttl: null, deadline: 60_000 } })).json();
  expect(patched).toMatchObject({ priority: 1, tags: ['new'], options: { deadline: 60_000 } });
  expect(patched.options.ttl).toBeUndefined();
  expect((await bench.get('/api/jobs?tag=new')).jobs).toHaveLength(1);
  expect((await bench.get('/api/jobs?tag=old')).jobs).toHaveLength(0);
});

test('sealing lets an empty batch end', async () => {
  const batch = await bench.submit({ type: 'batch', sealed: false });
  await bench.store.execute({ kind: 'claim', worker: 'local', type: 'batch', limit: 10 });
  expect((await bench.get(`/api/jobs/${batch.id}/explain`)).reasons[0].code).toBe('waiting_for_children');
  const answer = await bench.inject({ method: 'PATCH', url: `/api/jobs/${batch.id}`, payload: { sealed: true } });
  expect(answer.json()).toMatchObject({ status: 'completed', result: { children: [] } });
});

test('DELETE takes a finished tree away, once', async () => {
  const batch = await bench.submit({ type: 'batch', hold: true, children: [{ type: 'noop' }] });
  const [child] = (await bench.get(`/api/jobs/${batch.id}/children`)).jobs;
  await verb(batch.id, 'cancel');
  const part = await bench.inject({ method: 'DELETE', url: `/api/jobs/${child.id}` });
  expect([part.statusCode, part.json().rootId]).toEqual([409, batch.id]);
  const gone = await bench.inject({ method: 'DELETE', url: `/api/jobs/${batch.id}` });
  expect([gone.statusCode, gone.body]).toEqual([204, '']);
  for (const id of [batch.id, child.id]) expect((await bench.inject({ method: 'GET', url: `/api/jobs/${id}` })).statusCode).toBe(404);
  expect((await bench.inject({ method: 'DELETE', url: `/api/jobs/${batch.id}` })).statusCode).toBe(404);
});

test('the limit of a type changes while it runs', async () => {
  await bench.submit({ type: 'noop' });
  const before = typeListSchema.strict().parse(await bench.get('/api/types'));
  expect(before.types.find(({ type }) => type === 'noop')).toMatchObject({ limit: 100, ready: true });
  const answer = await bench.inject({ method: 'PATCH', url: '/api/types/noop', payload: { concurrency: 0 } });
  expect(typeSchema.strict().parse(answer.json())).toMatchObject({ type: 'noop', limit: 0 });
  expect(bench.capacity.list().find(({ type }) => type === 'noop')?.limit).toBe(0);
});
