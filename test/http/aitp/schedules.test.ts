// The nine schedule endpoints of the AITP dialect: what is asked, what is answered, in its own words.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { changed, created, executions, full, list, said, validated } from '../../../src/http/aitp/schedule-wire.ts';
import { START } from '../../support/clock.ts';
import { type HttpBench, httpBench } from '../../support/http.ts';

const PATH = '/aitp/tasks/schedule';
const DAY = 86_400_000;
const iso = (at: number): string => new Date(at).toISOString();
let bench: HttpBench;
beforeEach(async () => { bench = await httpBench(); });
afterEach(() => bench.close());

const send = (method: 'POST' | 'PUT' | 'DELETE' | 'GET', url: string, payload?: unknown) => bench.inject({ method, url, ...(payload === undefined ? {} : { payload: payload as object }) });
const ok = async (method: 'POST' | 'PUT' | 'DELETE' | 'GET', url: string, payload?: unknown): Promise<any> => {
  const answer = await send(method, url, payload);
  expect([answer.statusCode, answer.statusCode === 200 ? '' : answer.body]).toEqual([200, '']);
  return answer.json();
};
const query = (more: Record<string, string> = {}): string => new URLSearchParams({ client_id: 'client-1', task_type: 'report', capability_required: 'data:analyze', cron_expression: '0 9 * * *', ...more }).toString();
const create = async (more: Record<string, string> = {}, body: unknown = { input_data: { source: 'warehouse' } }) => created.strict().parse(await ok('POST', `${PATH}?${query(more)}`, body));
/** The store's part of the scheduler: one instant. */
const fire = async (id: string): Promise<void> => {
  const { schedule } = (await bench.store.schedule(id))!;
  bench.clock.advance(schedule.nextAt! - bench.clock.now());
  await bench.store.execute({ kind: 'fire', due: [{ scheduleId: id, revision: schedule.revision, from: schedule.nextAt!, elapsed: { older: 0, count: 1, newest: [schedule.nextAt!] }, next: schedule.nextAt! + DAY }], lateFrom: 0 });
};

test('the documented curl: every scalar in the query, {"input_data": …} as the body, 200', async () => {
  const made = await create({ priority: '7', description: 'every morning' });
  expect(made).toEqual({ schedule_id: expect.stringMatching(/^sched_/), status: 'ACTIVE', cron_expression: '0 9 * * *', next_run_at: iso(START + 9 * 3_600_000), description: 'every morning', created_at: iso(START) });
  expect(full.strict().parse(await ok('GET', `${PATH}/${made.schedule_id}`))).toEqual({
    schedule_id: made.schedule_id, client_id: 'client-1', task_type: 'report', capability_required: 'data:analyze', input_data: { source: 'warehouse' }, status: 'ACTIVE', cron_expression: '0 9 * * *', timezone: 'UTC',
    priority: 7, description: 'every morning', next_run_at: made.next_run_at, last_run_at: null, total_runs: 0, failed_runs: 0, created_at: iso(START), updated_at: iso(START),
  });
});

test('the body may be the input data itself, nothing, or the whole schedule in either spelling', async () => {
  const input = async (id: string) => (await ok('GET', `${PATH}/${id}`)).input_data;
  expect(await input((await create({}, { source: 'w', rows: 5 })).schedule_id)).toEqual({ source: 'w', rows: 5 });
  expect(await input((await ok('POST', `${PATH}?${query()}`)).schedule_id)).toEqual({});
  const whole = { client_id: 'c', task_type: 't', capability_required: 'x', cron_expression: '*/5 * * * *', priority: 2, timezone: 'Asia/Tokyo', input_data: { a: 1 } };
  const spelled = { clientid: 'c', tasktype: 't', capabilityrequired: 'x', cronexpression: '*/5 * * * *', inputdata: { a: 1 } };
  for (const body of [whole, spelled]) {
    const { schedule_id } = created.parse(await ok('POST', PATH, body));
    expect(await ok('GET', `${PATH}/${schedule_id}`)).toMatchObject({ client_id: 'c', task_type: 't', capability_required: 'x', input_data: { a: 1 } });
  }
});

test('firing makes a task of its capability; the execution follows it to its end', async () => {
  const { schedule_id: id } = await create();
  await fire(id);
  const pending = executions.strict().parse(await ok('GET', `${PATH}/${id}/executions`));
  expect(pending).toMatchObject({ schedule_id: id, executions: [{ status: 'PENDING', result_data: null, error_message: null }] });
  const claim = await bench.claim('task');
  expect(claim).toMatchObject({ id: pending.executions[0]?.task_id, input: JSON.stringify({ taskType: 'report', capability: 'data:analyze', clientId: 'client-1', data: { source: 'warehouse' } }) });
  await bench.end(claim, { kind: 'done', result: '{"rows":3}' });
  await fire(id);
  await bench.end(await bench.claim('task'), { kind: 'fail', error: { code: 'handler_error', message: 'no rows', retryable: false } });
  expect((await ok('GET', `${PATH}/${id}/executions`)).executions.map((one: any) => [one.status, one.result_data, one.error_message])).toEqual([['FAILED', null, 'no rows'], ['COMPLETED', { rows: 3 }, null]]);
  expect(await ok('GET', `${PATH}/${id}`)).toMatchObject({ total_runs: 2, failed_runs: 1, last_run_at: iso(bench.clock.now()) });
  expect((await ok('GET', `${PATH}/${id}/executions?limit=1`)).executions).toHaveLength(1);
});

test('a task that nobody is able to do says so when asked', async () => {
  const { schedule_id: id } = await create();
  await fire(id);
  const { executions: [{ task_id }] } = await ok('GET', `${PATH}/${id}/executions`);
  expect((await bench.get(`/api/jobs/${task_id}/explain`)).reasons).toMatchObject([{ code: 'no_capable_agent' }]);
});

test('lists by client and state, with total, limit and offset', async () => {
  const ids: string[] = [];
  for (const client_id of ['a', 'b', 'a', 'a']) ids.unshift((await create({ client_id })).schedule_id);
  await ok('POST', `${PATH}/${ids[0]}/pause`);
  const page = list.strict().parse(await ok('GET', `${PATH}?client_id=a&limit=2&offset=1`));
  expect([page.schedules.map((one) => one.schedule_id), page.total, page.limit, page.offset]).toEqual([[ids[1], ids[3]], 3, 2, 1]);
  expect((await ok('GET', `${PATH}?status=PAUSED`)).schedules.map((one: any) => one.schedule_id)).toEqual([ids[0]]);
  expect(await ok('GET', `${PATH}?status=FAILED`)).toEqual({ schedules: [], total: 0, limit: 50, offset: 0 });
  // A schedule that was made natively is one of this list too, as a task of its job's type.
  await send('POST', '/api/schedules', { cron: '* * * * *', job: { type: 'noop' } });
  expect((await ok('GET', PATH)).schedules[0]).toMatchObject({ client_id: null, task_type: 'noop', total_runs: 0 });
});

test('PUT changes pattern, priority and status; a new pattern has a new next time', async () => {
  const { schedule_id: id } = await create();
  expect(changed.strict().parse(await ok('PUT', `${PATH}/${id}`, { cron_expression: '30 10 * * *', priority: 9 }))).toEqual({ schedule_id: id, status: 'ACTIVE', cron_expression: '30 10 * * *', priority: 9, updated_at: iso(START) });
  expect(await ok('GET', `${PATH}/${id}`)).toMatchObject({ next_run_at: iso(START + 10.5 * 3_600_000), priority: 9 });
  for (const [status, shown] of [['PAUSED', 'PAUSED'], ['ACTIVE', 'ACTIVE'], ['COMPLETED', 'COMPLETED'], ['ACTIVE', 'COMPLETED'], ['FAILED', 'COMPLETED']] as const) {
    const answer = await send('PUT', `${PATH}/${id}`, { status });
    expect([status, answer.statusCode, answer.json().status]).toEqual([status, 200, shown]);
  }
  expect((await send('PUT', `${PATH}/${id}`, { cron_expression: '61 * * * *' })).statusCode).toBe(400);
});

test('pause and resume do not work out the next time anew: a missed run comes at once', async () => {
  const { schedule_id: id } = await create();
  expect(said.strict().parse(await ok('POST', `${PATH}/${id}/pause`))).toEqual({ schedule_id: id, status: 'PAUSED', message: 'Schedule paused' });
  bench.clock.advance(3 * DAY);
  expect(said.strict().parse(await ok('POST', `${PATH}/${id}/resume`))).toEqual({ schedule_id: id, status: 'ACTIVE', message: 'Schedule resumed' });
  expect(await ok('POST', `${PATH}/${id}/resume`)).toMatchObject({ status: 'ACTIVE' });
  expect((await ok('GET', `${PATH}/${id}`)).next_run_at).toBe(iso(START + 9 * 3_600_000));
  expect((await bench.store.dueSchedules(bench.clock.now(), 10)).map((one) => one.id)).toEqual([id]);
});

test('DELETE really deletes', async () => {
  const { schedule_id: id } = await create();
  expect(said.strict().parse(await ok('DELETE', `${PATH}/${id}`))).toEqual({ schedule_id: id, status: 'DELETED', message: 'Schedule deleted' });
  for (const [method, path] of [['GET', ''], ['PUT', ''], ['DELETE', ''], ['POST', '/pause'], ['POST', '/resume'], ['GET', '/executions']] as const) {
    for (const one of [id, 'sched-1a2b3c4d']) {
      const answer = await send(method, `${PATH}/${one}${path}`, method === 'PUT' ? { priority: 1 } : undefined);
      expect([method, path, answer.statusCode, answer.json()]).toEqual([method, path, 404, { detail: 'Schedule not found' }]);
    }
  }
});

test('validate always answers 200, and previews from an instant in a zone', async () => {
  const validate = async (of: Record<string, string>) => validated.strict().parse(await ok('POST', `${PATH}/validate?${new URLSearchParams(of).toString()}`));
  expect(await validate({ cron_expression: '0 9 * * *' })).toMatchObject({ valid: true, cron_expression: '0 9 * * *', next_run_at: iso(START + 9 * 3_600_000), message: 'Valid cron expression' });
  for (const cron_expression of ['nonsense', '* * * * * *', '0 0 31 2 *', '']) expect(await validate({ cron_expression })).toEqual({ valid: false, cron_expression, message: expect.stringMatching(/\w/) });
  expect(await validate({ cron_expression: '* * * * *', timezone: 'Mars/Phobos' })).toMatchObject({ valid: false, message: 'There is no time zone "Mars/Phobos".' });
  const { next_runs } = await validate({ cron_expression: '30 1 * * *', timezone: 'Europe/London', from: '2026-10-24T12:00:00Z', count: '2' });
  expect(next_runs).toEqual([{ at: '2026-10-25T00:30:00.000Z', utc_offset_seconds: 3_600, dst_change: 'repeat' }, { at: '2026-10-26T01:30:00.000Z', utc_offset_seconds: 0, dst_change: null }]);
});

test.each<[string, 'POST' | 'GET' | 'PUT', string, unknown, number, RegExp]>([
  ['a pattern that is none', 'POST', `${PATH}?${query({ cron_expression: 'every day' })}`, {}, 400, /fields/],
  ['a pattern without a date', 'POST', `${PATH}?${query({ cron_expression: '0 0 31 2 *' })}`, {}, 400, /names no time/],
  ['a zone that is none', 'POST', `${PATH}?${query({ timezone: 'Mars/Phobos' })}`, {}, 400, /no time zone/],
  ['a missing name', 'POST', `${PATH}?client_id=a`, {}, 422, /task_type/],
  ['nothing at all', 'POST', PATH, {}, 422, /cron_expression/],
  ['a priority out of range', 'POST', `${PATH}?${query({ priority: '11' })}`, {}, 422, /priority.*1 to 10/],
  ['input data that is no object', 'POST', `${PATH}?${query()}`, [1], 422, /input_data/],
  ['an unknown parameter', 'POST', `${PATH}?${query({ every: '5' })}`, {}, 422, /every/],
  ['too many rows', 'GET', `${PATH}?limit=101`, undefined, 422, /limit.*1 to 100/],
  ['a state that is none', 'GET', `${PATH}?status=active`, undefined, 422, /status/],
  ['validate without a pattern', 'POST', `${PATH}/validate`, undefined, 422, /cron_expression/],
])('%s is refused in this dialect\'s envelope', async (_, method, url, body, status, detail) => {
  const answer = await send(method, url, body);
  expect([answer.statusCode, Object.keys(answer.json()), answer.headers['content-type']]).toEqual([status, ['detail'], 'application/json; charset=utf-8']);
  expect(answer.json().detail).toMatch(detail);
  expect(answer.headers['x-request-id']).toBeTruthy();
  expect((await ok('GET', PATH)).total).toBe(0);
});

test('what is refused before a route speaks the same words: no path, no method, no JSON, another site', async () => {
  const answers = [
    await send('GET', '/aitp/nothing'), await bench.inject({ method: 'PATCH', url: PATH }), await bench.inject({ method: 'POST', url: PATH, payload: '{', headers: { 'content-type': 'application/json' } }),
    await bench.inject({ method: 'POST', url: PATH, headers: { origin: 'http://evil.example' } }),
  ];
  expect(answers.map((answer) => [answer.statusCode, Object.keys(answer.json())])).toEqual([[404, ['detail']], [405, ['detail']], [422, ['detail']], [403, ['detail']]]);
});
