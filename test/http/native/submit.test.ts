import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bulkAnswer, jobSchema } from '../../../src/http/native/schemas.ts';
import { preferredWait, prefersMinimal } from '../../../src/http/native/submit.ts';
import { START } from '../../support/clock.ts';
import { type HttpBench, httpBench, whenWaiting } from '../../support/http.ts';

let bench: HttpBench;
beforeAll(async () => { bench = await httpBench(); });
afterAll(() => bench.close());

const strictJob = jobSchema.strict();
const post = (payload: unknown, headers: Record<string, string> = {}, url = '/api/jobs') => bench.inject({ method: 'POST', url, headers, payload: payload as object });

test('a job is answered as it was stored, with the path it has from now on', async () => {
  const answer = await post({ type: 'noop', input: { result: { deep: [1] } }, priority: 9, tags: ['a', 'b'], ttl: 60_000, maxAttempts: 7 });
  expect(answer.statusCode).toBe(201);
  const job = strictJob.parse(answer.json());
  expect(job).toMatchObject({
    type: 'noop', status: 'queued', state: 'PENDING', priority: 9, tags: ['a', 'b'], input: { result: { deep: [1] } }, result: null, error: null, attempt: 0, maxAttempts: 7, attempts: [],
    parentId: null, rootId: job.id, ordinal: null, children: null, createdAt: new Date(START).toISOString(), dueAt: new Date(START).toISOString(), options: { ttl: 60_000, maxAttempts: 7 },
  });
  expect(answer.headers.location).toBe(`/api/jobs/${job.id}`);
  const read = strictJob.parse(await bench.get(answer.headers.location as string));
  expect({ ...read, cursor: null }).toEqual({ ...job, cursor: null });
});

test('the cursor of a fresh job stands before its first event', async () => {
  const job = await bench.submit({ type: 'noop' });
  const events = await bench.store.events({ jobId: job.id }, Number(job.cursor), 10);
  expect(events.map((event) => event.type)).toEqual(['job:status']);
});

test('a tree comes in at once, children in order, batches counted', async () => {
  const job = await bench.submit({ type: 'batch', width: 1, children: [{ type: 'noop', tags: ['first'] }, { type: 'batch', completion: { percent: 50 }, children: [{ type: 'noop' }] }] });
  expect(job.children).toEqual({ total: 2, open: 2, completed: 0, failed: 0, cancelled: 0 });
  const { jobs } = await bench.get(`/api/jobs/${job.id}/children`);
  expect(jobs.map((child: any) => [child.ordinal, child.type, child.parentId, child.rootId])).toEqual([[0, 'noop', job.id, job.id], [1, 'batch', job.id, job.id]]);
});

test('hold, delay and dueAt become a due time', async () => {
  const due = async (body: object) => (await bench.submit({ type: 'noop', ...body })).dueAt;
  expect(await due({ hold: true })).toBeNull();
  expect(await due({ hold: false })).toBe(new Date(START).toISOString());
  expect(await due({ delay: 5_000 })).toBe(new Date(START + 5_000).toISOString());
  expect(await due({ dueAt: '2026-01-02T03:04:05+02:00' })).toBe('2026-01-02T01:04:05.000Z');
});

test('children are added to a batch that is not sealed', async () => {
  const batch = await bench.submit({ type: 'batch', sealed: false });
  const child = await bench.submit({ type: 'noop', parentId: batch.id });
  expect(child).toMatchObject({ parentId: batch.id, rootId: batch.id, ordinal: 0 });
  expect((await bench.get(`/api/jobs/${batch.id}`)).children.total).toBe(1);
});

describe('Idempotency-Key', () => {
  test('the same key and body answer the same job, another body is refused', async () => {
    const headers = { 'idempotency-key': 'order-17' };
    const first = await post({ type: 'noop', tags: ['x'] }, headers);
    const before = await bench.seq();
    const again = await post({ type: 'noop', tags: ['x'] }, headers);
    expect([again.statusCode, again.headers['idempotency-replayed'], again.json().id, again.headers.location]).toEqual([200, 'true', first.json().id, first.headers.location]);
    const other = await post({ type: 'noop', tags: ['y'] }, headers);
    expect([other.statusCode, other.json().code, other.json().jobIds]).toEqual([422, 'idempotency_mismatch', [first.json().id]]);
    expect(await bench.seq()).toBe(before);
    expect(first.headers['idempotency-replayed']).toBeUndefined();
  });

  test('a key whose job was deleted says so, and stays used', async () => {
    const headers = { 'idempotency-key': 'deleted' };
    const { id } = (await post({ type: 'noop', hold: true }, headers)).json();
    await bench.inject({ method: 'POST', url: `/api/jobs/${id}/cancel` });
    expect((await bench.inject({ method: 'DELETE', url: `/api/jobs/${id}` })).statusCode).toBeLessThan(300);
    const before = await bench.seq();
    for (const more of [{}, { prefer: 'wait=5' }]) {
      const again = await post({ type: 'noop', hold: true }, { ...headers, ...more });
      expect([again.statusCode, again.json().code, again.json().jobIds, again.headers.location]).toEqual([409, 'conflict', [id], undefined]);
      expect([again.json().detail, again.json().hint]).toEqual([expect.stringContaining('deleted'), expect.stringContaining('new key')]);
    }
    expect(await bench.seq()).toBe(before);
  });

  test('eight at once make one job', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => post({ type: 'noop' }, { 'idempotency-key': 'race' })));
    expect(new Set(answers.map((answer) => answer.json().id)).size).toBe(1);
    expect(answers.filter((answer) => answer.statusCode === 201)).toHaveLength(1);
  });

  test('a bulk is replayed with its ids', async () => {
    const send = () => post({ jobs: [{ type: 'noop' }, { type: 'noop' }] }, { 'idempotency-key': 'bulk-1' }, '/api/jobs/bulk');
    const first = await send();
    const again = await send();
    expect([first.statusCode, again.statusCode, again.json()]).toEqual([201, 200, first.json()]);
  });
});

describe('bulk', () => {
  test('JSON and NDJSON store the same jobs in order', async () => {
    const json = await post({ jobs: [{ type: 'noop', priority: 1 }, { type: 'noop', priority: 2 }] }, {}, '/api/jobs/bulk');
    const lines = await bench.inject({ method: 'POST', url: '/api/jobs/bulk', headers: { 'content-type': 'application/x-ndjson' }, payload: '{"type":"noop","priority":1}\r\n\n{"type":"noop","priority":2}' });
    for (const answer of [json, lines]) {
      expect(answer.statusCode).toBe(201);
      const { ids } = bulkAnswer.strict().parse(answer.json());
      const priorities = await Promise.all(ids.map(async (id) => (await bench.get(`/api/jobs/${id}`)).priority));
      expect(priorities).toEqual([1, 2]);
    }
  });

  test('10,000 jobs come in with one request', async () => {
    const answer = await bench.inject({ method: 'POST', url: '/api/jobs/bulk', headers: { 'content-type': 'application/x-ndjson' }, payload: '{"type":"noop","hold":true}\n'.repeat(10_000) });
    expect(answer.statusCode).toBe(201);
    expect(new Set(answer.json().ids).size).toBe(10_000);
  });
});

describe('Prefer: return=minimal', () => {
  test('the answer is the id alone, and says so; the job is the same', async () => {
    const answer = await post({ type: 'noop', tags: ['small'] }, { prefer: 'return=minimal' });
    const { id } = answer.json();
    expect([answer.statusCode, answer.headers.location, answer.headers['preference-applied'], answer.json()]).toEqual([201, `/api/jobs/${id}`, 'return=minimal', { id }]);
    expect(await bench.get(`/api/jobs/${id}`)).toMatchObject({ id, type: 'noop', tags: ['small'], status: 'queued' });
  });

  test('a known Idempotency-Key is answered alike, as a replay', async () => {
    const headers = { prefer: 'return=minimal', 'idempotency-key': 'minimal' };
    const first = await post({ type: 'noop' }, headers);
    const again = await post({ type: 'noop' }, headers);
    expect([again.statusCode, again.headers['idempotency-replayed'], again.json()]).toEqual([200, 'true', first.json()]);
  });

  test.each([['return=minimal', true], ['respond-async, Return = "Minimal"', true], ['return=minimal; x=1', true], ['return=representation, return=minimal', false], ['returns=minimal', false], ['x; return=minimal', false], ['return=minimalist', false], [undefined, false]])('%s: %s', (header, is) => {
    expect(prefersMinimal(header)).toBe(is);
  });
});

describe('Prefer: wait', () => {
  test('the answer comes with the end of the job', async () => {
    const own = await httpBench();
    const pending = own.inject({ method: 'POST', url: '/api/jobs', headers: { prefer: 'wait=30' }, payload: { type: 'noop' } });
    await whenWaiting(own);
    await own.end(await own.claim('noop'), { kind: 'done', result: '{"x":1}' });
    const answer = await pending;
    expect([answer.statusCode, answer.json().state, answer.json().result, answer.headers['preference-applied']]).toEqual([201, 'COMPLETE', { x: 1 }, 'wait=30']);
    expect(own.waiters.count).toBe(0);
    await own.close();
  });

  test.each(['respond-async, wait=2', 'return=minimal, wait=2'])('%s: after the time the answer is the job as it is', async (prefer) => {
    const own = await httpBench();
    const pending = own.inject({ method: 'POST', url: '/api/jobs', headers: { prefer }, payload: { type: 'noop' } });
    await whenWaiting(own);
    own.clock.advance(2_000);
    const answer = await pending;
    expect([answer.headers['preference-applied'], answer.json().status]).toEqual(['wait=2', 'queued']);
    await own.close();
  });

  test.each([['wait=5', 5_000], ['respond-async, wait=5', 5_000], ['wait="7"', 7_000], ['WAIT=5; foo', 5_000], ['wait=100000', 60_000], ['wait=-1', null], ['wait=abc', null], ['await=5', null]])('%s is %s ms', (header, ms) => {
    expect(preferredWait(header)).toBe(ms);
  });
});

test('more than the writer can take is refused with Retry-After, and what was accepted is there', async () => {
  const own = await httpBench({ queueMax: 3 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => own.inject({ method: 'POST', url: '/api/jobs', payload: { type: 'noop' } })));
  const refused = answers.filter((answer) => answer.statusCode === 503);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.map((answer) => [answer.json().code, answer.headers['retry-after']])).toEqual(refused.map(() => ['overloaded', '1']));
  expect((await own.get('/api/jobs')).jobs).toHaveLength(10 - refused.length);
  await own.close();
});

test('a refusal that brings a sentence of its own ends with one full stop', async () => {
  const answer = await bench.inject({ method: 'POST', url: '/api/jobs', payload: { type: 'request', input: { url: 'https://a.example/', headers: { host: 'b' } } } });
  expect(answer.json().detail).toMatch(/leave it out\.$/);
});
