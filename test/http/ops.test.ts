import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpBench, httpBench } from '../support/http.ts';

let bench: HttpBench;
beforeAll(async () => { bench = await httpBench(); });
afterAll(() => bench.close());

const status = async (url: string) => (await bench.inject({ method: 'GET', url })).statusCode;
/** Value of a series, 0 if there is none. */
async function metric(name: string): Promise<number> {
  const { body } = await bench.inject({ method: 'GET', url: '/metrics' });
  return Number(body.split('\n').find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? 0);
}

test('health is about the process, readiness about whether to send work', async () => {
  expect((await bench.inject({ method: 'GET', url: '/health' })).json()).toEqual({ status: 'ok' });
  expect((await bench.inject({ method: 'GET', url: '/ready' })).json()).toEqual({ status: 'ready', reasons: [] });
  const cases = [['starting', null, 'starting'], ['stopping', null, 'stopping'], ['ready', 'full', 'storage_full'], ['ready', 'stalled', 'storage_stalled'], ['ready', 'failed', 'store_failed']] as const;
  for (const [phase, health, code] of cases) {
    bench.phase = phase;
    bench.health = health;
    const ready = await bench.inject({ method: 'GET', url: '/ready' });
    expect([ready.statusCode, ready.json().reasons.map((reason: any) => reason.code)]).toEqual([503, [code]]);
    expect(await status('/health')).toBe(200);
  }
  bench.phase = 'ready';
  bench.health = null;
});

test('requests are counted by route pattern, and ids never become labels', async () => {
  const job = await bench.submit({ type: 'noop', hold: true });
  for (let i = 0; i < 3; i++) await status(`/api/jobs/${job.id}`);
  for (let i = 0; i < 50; i++) await status(`/nothing/${i}`);
  const name = 'http_requests_total{method="GET",endpoint="/api/jobs/:id",status="200"}';
  expect(await metric(name)).toBe(3);
  expect(await metric('http_request_duration_seconds_count{method="GET",endpoint="/api/jobs/:id"}')).toBe(3);
  expect(await metric('http_request_duration_seconds_bucket{le="10",method="GET",endpoint="/api/jobs/:id"}')).toBe(3);
  expect(await metric('http_response_size_bytes_count{method="GET",endpoint="/api/jobs/:id"}')).toBe(3);
  expect(await metric('http_requests_total{method="OTHER",endpoint="(none)",status="404"}')).toBe(50);
  const before = (await bench.inject({ method: 'GET', url: '/metrics' })).body;
  for (let i = 0; i < 20; i++) await status(`/elsewhere/${i}`);
  const after = (await bench.inject({ method: 'GET', url: '/metrics' })).body;
  expect(after.split('\n').length).toBe(before.split('\n').length);
  expect(after).not.toContain(job.id);
  expect(after).not.toContain('endpoint="/metrics"');
});

test('jobs are counted as they come and end, also when they are deleted', async () => {
  const own = await httpBench();
  const value = async (name: string): Promise<number> => Number((await own.inject({ method: 'GET', url: '/metrics' })).body.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? 0);
  const first = await own.submit({ type: 'noop' });
  await own.submit({ type: 'noop' });
  expect([await value('tasks_created_total{task_type="noop"}'), await value('tasks_queue_depth{task_type="noop"}')]).toEqual([2, 2]);
  await own.end(await own.claim('noop'), { kind: 'done', result: null });
  await own.end(await own.claim('noop'), { kind: 'fail', error: { code: 'handler_error', message: 'no', retryable: false } });
  expect([await value('tasks_completed_total{task_type="noop"}'), await value('tasks_failed_total{task_type="noop"}'), await value('tasks_queue_depth{task_type="noop"}')]).toEqual([1, 1, 0]);
  await own.inject({ method: 'DELETE', url: `/api/jobs/${first.id}` });
  expect([await value('tasks_created_total{task_type="noop"}'), await value('tasks_completed_total{task_type="noop"}'), await value('muster_jobs{type="noop",status="completed"}')]).toEqual([2, 1, 0]);
  await own.close();
});

test('the names that the dashboards ask for are there, in Prometheus format', async () => {
  const answer = await bench.inject({ method: 'GET', url: '/metrics' });
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  for (const name of ['http_requests_total', 'http_request_duration_seconds', 'http_connections_active', 'http_response_size_bytes', 'tasks_created_total', 'tasks_completed_total', 'tasks_failed_total', 'tasks_queue_depth', 'muster_write_queue', 'muster_waiters', 'muster_running']) {
    expect(answer.body).toMatch(new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`, 'm'));
  }
  for (const line of answer.body.split('\n')) if (line !== '' && !line.startsWith('#')) expect(line).toMatch(/^[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [-+0-9.eE]+$/);
});
