import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventListSchema, explainSchema, jobListSchema, jobSchema, logSchema } from '../../../src/http/native/schemas.ts';
import { wireEvent } from '../../../src/orchestrator/final.ts';
import { type HttpBench, httpBench, whenWaiting } from '../../support/http.ts';
import { rawExchange } from '../../support/raw.ts';

let bench: HttpBench;
beforeAll(async () => { bench = await httpBench(); });
afterAll(() => bench.close());

async function pages(path: string): Promise<any[]> {
  const jobs: any[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = jobListSchema.strict().parse(await bench.get(`${path}${path.includes('?') ? '&' : '?'}limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`));
    jobs.push(...page.jobs);
    cursor = page.nextCursor;
  }
  return jobs;
}

describe('lists', () => {
  test('pages lead through all jobs, newest first, each once', async () => {
    const own = (await bench.inject({ method: 'POST', url: '/api/jobs/bulk', payload: { jobs: Array.from({ length: 8 }, () => ({ type: 'noop', tags: ['paged'], hold: true })) } })).json().ids as string[];
    expect((await pages('/api/jobs?tag=paged')).map((job) => job.id)).toEqual([...own].reverse());
  });

  test('filters narrow', async () => {
    const batch = await bench.submit({ type: 'batch', hold: true, tags: ['filtered'], children: [{ type: 'noop', input: { result: 'needle' } }, { type: 'batch', children: [{ type: 'noop' }] }] });
    const ids = async (query: string) => (await pages(`/api/jobs?${query}`)).map((job) => job.id);
    expect(await ids('type=batch&tag=filtered')).toEqual([batch.id]);
    expect(await ids(`parent=${batch.id}`)).toHaveLength(2);
    expect(await ids(`root=${batch.id}`)).toHaveLength(4);
    expect(await ids(`root=${batch.id}&text=NEEDLE`)).toHaveLength(1);
    expect(await ids(`root=${batch.id}&text=%25`)).toEqual([]);
    expect(await ids(`root=${batch.id}&status=running,completed`)).toEqual([]);
    expect(await ids(`parent=job_01jv5x9k3qf0bsx1r4y7m2n8ga`)).toEqual([]);
  });

  test('children come in order and by status', async () => {
    const batch = await bench.submit({ type: 'batch', hold: true, children: Array.from({ length: 7 }, () => ({ type: 'noop' })) });
    expect((await pages(`/api/jobs/${batch.id}/children`)).map((job) => job.ordinal)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await pages(`/api/jobs/${batch.id}/children?status=completed`)).toEqual([]);
  });

  test('a page of large jobs ends early, and its cursor goes on where it ended', async () => {
    const big = 'x'.repeat(1_000_000);
    for (let i = 0; i < 10; i++) await bench.submit({ type: 'noop', tags: ['big'], hold: true, input: { result: big } });
    const first = await bench.get('/api/jobs?tag=big&limit=200');
    expect(first.jobs.length).toBe(8);
    expect((await bench.get(`/api/jobs?tag=big&limit=200&cursor=${first.nextCursor}`)).jobs).toHaveLength(2);
  });
});

describe('results', () => {
  test('a batch answers with its children, a verification with its participants', async () => {
    const own = await httpBench();
    const batch = await own.submit({ type: 'batch', children: [{ type: 'noop' }, { type: 'request', input: { url: 'http://127.0.0.1:8000/' }, maxAttempts: 1 }] });
    await own.store.execute({ kind: 'claim', worker: 'local', type: 'batch', limit: 10 });
    await own.end(await own.claim('noop'), { kind: 'done', result: '{"n":1}' });
    await own.end(await own.claim('request'), { kind: 'fail', error: { code: 'http_status', message: 'It answered 404.', retryable: false } });
    const job = jobSchema.strict().parse(await own.get(`/api/jobs/${batch.id}`));
    const [first, second] = (await own.get(`/api/jobs/${batch.id}/children`)).jobs;
    const children = [
      { id: first.id, ordinal: 0, state: 'COMPLETE', result: { n: 1 } },
      { id: second.id, ordinal: 1, state: 'FAIL', error: { code: 'http_status', message: 'It answered 404.', retryable: false } },
    ];
    expect([job.state, job.result, job.error?.code]).toEqual(['FAIL', { children }, 'child_failed']);
    expect(second.attempts).toMatchObject([{ number: 1, outcome: 'failed', error: { code: 'http_status' } }]);

    const events = (await own.get(`/api/jobs/${batch.id}/events`)).events;
    expect(events.at(-1)).toMatchObject({ type: 'job:error', jobId: batch.id, data: { jobId: batch.id, type: 'batch', state: 'FAIL', status: 'failed', input: {}, result: { children }, children, error: { code: 'child_failed' } } });

    const verify = await own.submit({ type: 'verify', input: { participants: [{ id: 'anna', url: 'http://127.0.0.1:8000/a' }, { id: 'ben', url: 'http://127.0.0.1:8000/b' }] } });
    const claim = await own.claim('verify');
    await own.end(claim, { kind: 'spawn', children: [1, 2].map(() => ({ type: 'noop', input: '{}', spec: {} })) });
    await own.end(await own.claim('noop'), { kind: 'done', result: '"yes"' });
    await own.end(await own.claim('noop'), { kind: 'done', result: null });
    expect((await own.get(`/api/jobs/${verify.id}`)).result).toEqual({ participants: [{ id: 'anna', state: 'COMPLETE', data: 'yes' }, { id: 'ben', state: 'COMPLETE', data: null }] });
    await own.close();
  });
});

test('a batch in a batch answers with what is in it, and all of it stays within the bound', async () => {
  const own = await httpBench();
  const open = () => own.store.execute({ kind: 'claim', worker: 'local', type: 'batch', limit: 10 });
  const inner = { type: 'batch', children: [{ type: 'noop' }, { type: 'noop' }] };
  const root = await own.submit({ type: 'batch', children: [inner, inner] });
  await open();
  await open();
  const big = JSON.stringify('x'.repeat(200_000));
  for (let i = 0; i < 4; i++) await own.end(await own.claim('noop'), { kind: 'done', result: i === 0 ? '1' : big });
  const { result } = await own.get(`/api/jobs/${root.id}`);
  expect(result.children.map((child: any) => [child.ordinal, child.result.children.length, child.result.truncated ?? false])).toEqual([[0, 2, false], [1, 1, true]]);
  expect(result.children[0].result.children[0]).toMatchObject({ ordinal: 0, state: 'COMPLETE', result: 1 });
  await own.close();
});

describe('waiting', () => {
  test('?wait= answers with the end of the job, for everybody who waits', async () => {
    const own = await httpBench();
    const job = await own.submit({ type: 'noop' });
    const pending = [1, 2, 3].map(() => own.inject({ method: 'GET', url: `/api/jobs/${job.id}?wait=30` }));
    await whenWaiting(own);
    await own.end(await own.claim('noop'), { kind: 'done', result: '7' });
    for (const answer of await Promise.all(pending)) expect([answer.json().state, answer.json().result]).toEqual(['COMPLETE', 7]);
    expect([own.waiters.count, own.clock.waiting]).toEqual([0, 0]);
    await own.close();
  });

  test('what has ended already does not wait', async () => {
    const own = await httpBench();
    const job = await own.submit({ type: 'noop' });
    await own.end(await own.claim('noop'), { kind: 'done', result: null });
    expect((await own.get(`/api/jobs/${job.id}?wait=60`)).state).toBe('COMPLETE');
    await own.close();
  });

  test('more waiters than there is room for are refused', async () => {
    const own = await httpBench({ maxWaiters: 1 });
    const job = await own.submit({ type: 'noop' });
    const first = own.inject({ method: 'GET', url: `/api/jobs/${job.id}?wait=30` });
    await whenWaiting(own);
    const second = await own.inject({ method: 'GET', url: `/api/jobs/${job.id}?wait=30` });
    expect([second.statusCode, second.headers['retry-after']]).toEqual([503, '1']);
    own.clock.advance(30_000);
    expect((await first).statusCode).toBe(200);
    await own.close();
  });

  test('a stopping server answers those who wait with what is known, and keeps no connection', async () => {
    const own = await httpBench();
    const base = await own.listen();
    const job = await own.submit({ type: 'noop' });
    // A client that would keep its connection for ever.
    const text = rawExchange(base, `GET /api/jobs/${job.id}?wait=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    await whenWaiting(own);
    await own.close();
    expect(await text).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*"status":"queued"/);
  });
});

describe('events', () => {
  test('are the bytes of wireEvent, in pages that join without a seam', async () => {
    const job = await bench.submit({ type: 'noop' });
    await bench.end(await bench.claim('noop'), { kind: 'later', delay: 1_000 });
    const stored = await bench.store.events({ jobId: job.id }, 0, 100);
    const whole = await bench.inject({ method: 'GET', url: `/api/jobs/${job.id}/events` });
    const texts = await Promise.all(stored.map((event) => wireEvent(bench.store, event)));
    expect(whole.body).toContain(`{"events":[${texts.join(',')}],`);
    eventListSchema.strict().parse(whole.json());
    expect(whole.json().events.at(-1).data).toMatchObject({ status: 'queued', reason: 'pending', dueAt: '2026-01-01T00:00:01.000Z' });
    const found: any[] = [];
    for (let after = '0', more = true; more; ) {
      const page = await bench.get(`/api/jobs/${job.id}/events?after=${after}&limit=2`);
      found.push(...page.events);
      ({ nextCursor: after, more } = page);
    }
    expect(found).toEqual(whole.json().events);
  });

  test('only the last end of a retried job is expanded', async () => {
    const own = await httpBench();
    const job = await own.submit({ type: 'noop' });
    await own.end(await own.claim('noop'), { kind: 'fail', error: { code: 'handler_error', message: 'no', retryable: false } });
    await own.inject({ method: 'POST', url: `/api/jobs/${job.id}/retry` });
    await own.end(await own.claim('noop'), { kind: 'done', result: '1' });
    const ends = (await own.get(`/api/jobs/${job.id}/events`)).events.filter((event: any) => /complete|error/.test(event.type));
    expect(ends.map((event: any) => [event.type, event.data.jobId ?? null])).toEqual([['job:error', null], ['job:complete', job.id]]);
    await own.close();
  });
});

describe('explain', () => {
  const reasons = async (id: string): Promise<any[]> => explainSchema.strict().parse(await bench.get(`/api/jobs/${id}/explain`)).reasons;
  const codes = async (id: string): Promise<string[]> => (await reasons(id)).map((reason) => reason.code);

  test('names what stops a job, and what it names as the way out works', async () => {
    const held = await bench.submit({ type: 'noop', hold: true });
    const [reason] = await reasons(held.id);
    expect(reason.code).toBe('held');
    const [method, url] = reason.unblock.split(' ');
    expect((await bench.inject({ method, url })).statusCode).toBe(200);
    expect(await codes(held.id)).toEqual([]);

    const batch = await bench.submit({ type: 'batch', hold: true, children: [{ type: 'noop' }] });
    const [child] = (await bench.get(`/api/jobs/${batch.id}/children`)).jobs;
    expect(await codes(child.id)).toEqual(['held']);
    expect((await reasons(child.id))[0].unblock).toContain(batch.id);
    expect(await codes((await bench.submit({ type: 'noop', delay: 5_000 })).id)).toEqual(['delayed']);
  });

  test('names a limit and a full disk', async () => {
    const job = await bench.submit({ type: 'verify', input: { participants: [{ id: 'a', url: 'http://127.0.0.1:8000/' }] } });
    bench.capacity.set('verify', 0);
    bench.health = 'full';
    expect(await codes(job.id)).toEqual(['type_at_limit', 'storage_full']);
    bench.health = null;
    bench.capacity.set('verify', 10);
    expect(await codes(job.id)).toEqual([]);
  });
});

describe('logs', () => {
  async function logged(lines: string[]): Promise<string> {
    const own = await bench.submit({ type: 'noop', priority: 10 });
    const claim = await bench.claim('noop');
    expect(claim.id).toBe(own.id);
    for (let i = 0; i < lines.length; i += 10) {
      await bench.store.execute({ kind: 'note', jobId: claim.id, epoch: claim.epoch, events: [{ type: 'job:log', data: JSON.stringify({ lines: lines.slice(i, i + 10) }) }] });
    }
    await bench.end(claim, { kind: 'done', result: null });
    return own.id;
  }

  test('come as text, as numbered lines, from an offset, from the tail and as a file', async () => {
    const lines = Array.from({ length: 2_345 }, (_, i) => `line ${i} <b>`);
    const id = await logged(lines);
    const read = (query: string) => bench.inject({ method: 'GET', url: `/api/jobs/${id}/logs${query}` });
    const first = await read('');
    expect([first.headers['content-type'], first.body]).toEqual(['text/plain; charset=utf-8', `${lines.slice(0, 1_000).join('\n')}\n`]);
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.link as string)?.[1] ?? '';
    expect((await bench.inject({ method: 'GET', url: next })).body).toBe(`${lines.slice(1_000, 2_000).join('\n')}\n`);
    const whole = { truncated: false, droppedLines: 0, droppedBytes: 0 };
    expect((await read('?tail=3')).body).toBe(`${lines.slice(-3).join('\n')}\n`);
    expect(logSchema.strict().parse((await read('?tail=2&format=json')).json())).toEqual({ ...whole, lines: lines.slice(-2), streams: ['log', 'log'], offset: 2_343, nextOffset: null, total: 2_345 });
    expect(logSchema.strict().parse((await read('?offset=5&limit=2&format=json')).json())).toEqual({ ...whole, lines: lines.slice(5, 7), streams: ['log', 'log'], offset: 5, nextOffset: 7, total: null });
    expect((await read('?offset=2345')).body).toBe('');
    const file = await read('?download');
    expect([file.body, file.headers['content-disposition']]).toEqual([`${lines.join('\n')}\n`, `attachment; filename="${id}.log"`]);
  });

  test('a job that said nothing has an empty log', async () => {
    const job = await bench.submit({ type: 'noop' });
    expect((await bench.inject({ method: 'GET', url: `/api/jobs/${job.id}/logs` })).body).toBe('');
  });
});
