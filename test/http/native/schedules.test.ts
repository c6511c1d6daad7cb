import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backfillSchema, executionListSchema, executionSchema, explainScheduleSchema, previewSchema, scheduleListSchema, scheduleSchema } from '../../../src/http/native/schedule-schemas.ts';
import { jobSchema } from '../../../src/http/native/schemas.ts';
import { START } from '../../support/clock.ts';
import { type HttpBench, httpBench } from '../../support/http.ts';

const MINUTE = 60_000;
let bench: HttpBench;
beforeEach(async () => { bench = await httpBench(); });
afterEach(() => bench.close());

const send = (method: 'POST' | 'PATCH' | 'DELETE' | 'GET', url: string, payload?: unknown) => bench.inject({ method, url, ...(payload === undefined ? {} : { payload: payload as object }) });
const create = async (body: object = {}) => {
  const answer = await send('POST', '/api/schedules', { cron: '* * * * *', job: { type: 'noop' }, ...body });
  expect([answer.statusCode, answer.statusCode === 201 ? '' : answer.body]).toEqual([201, '']);
  return scheduleSchema.strict().parse(answer.json());
};
const iso = (at: number): string => new Date(at).toISOString();
/** The store's part of the scheduler for a schedule of every minute. */
const fire = async (id: string): Promise<void> => {
  const { schedule } = (await bench.store.schedule(id))!;
  const now = bench.clock.now();
  const newest: number[] = [];
  for (let at = schedule.nextAt!; at <= now; at += MINUTE) newest.push(at);
  await bench.store.execute({ kind: 'fire', due: [{ scheduleId: id, revision: schedule.revision, from: schedule.nextAt!, elapsed: { older: 0, count: newest.length, newest }, next: newest.at(-1)! + MINUTE }], lateFrom: now });
};
const pass = async (id: string): Promise<void> => { bench.clock.advance(MINUTE); await fire(id); };

test('a schedule comes back as it was sent, with its next time; the job is any submission', async () => {
  const job = { type: 'batch', width: 1, completion: 'any', tags: ['nightly'], delay: 5_000, priority: 3, children: [{ type: 'noop', input: { sleep: 5 }, hold: true }, { type: 'request', input: { url: 'https://a.example/' }, maxAttempts: 2 }] };
  const sent = {
    name: 'nightly', description: 'what it is for', client: 'team-a', cron: '30 1 * * *', timezone: 'Europe/London', job, overlap: 'buffer_one', catchUp: { policy: 'all', window: 3_600_000, max: 5 }, jitter: 1_000,
    startAt: '2026-03-28T00:00:00.000Z', endAt: '2026-12-01T00:00:00.000Z', blackouts: [{ from: '2026-05-01T00:00:00.000Z', to: '2026-05-02T00:00:00.000Z' }], pauseAfterFailures: 3,
  };
  const schedule = await create(sent);
  expect(schedule).toMatchObject({ ...sent, job: { ...job, input: {}, children: [job.children[0], { ...job.children[1] }] }, status: 'active', nextRunAt: '2026-03-28T01:30:00.000Z', lastRunAt: null, open: 0, buffered: 0, note: null });
  expect((await bench.get(`/api/schedules/${schedule.id}`))).toEqual(schedule);
});

test('what it makes names it: a tag, and the instant among the options; the execution follows the job to its end', async () => {
  const { id } = await create();
  await pass(id);
  const { jobs: [job] } = await bench.get(`/api/jobs?tag=${id}`);
  expect(jobSchema.strict().parse(job)).toMatchObject({ type: 'noop', tags: [id], options: { schedule: { id, at: START + MINUTE } } });
  const executions = async () => executionListSchema.strict().parse(await bench.get(`/api/schedules/${id}/executions`)).executions;
  expect(await executions()).toMatchObject([{ scheduleId: id, nominalAt: iso(START + MINUTE), status: 'running', jobId: job.id, endedAt: null }]);
  await bench.end(await bench.claim('noop'), { kind: 'done', result: null });
  expect(await executions()).toMatchObject([{ status: 'completed', endedAt: iso(bench.clock.now()) }]);
  expect(await bench.get(`/api/schedules/${id}`)).toMatchObject({ counts: { fired: 1, completed: 1 }, open: 0, lastRunAt: iso(START + MINUTE), nextRunAt: iso(START + 2 * MINUTE) });
});

test('paused with a note, resumed, triggered while it is paused, deleted', async () => {
  const { id } = await create();
  const paused = await send('POST', `/api/schedules/${id}/pause`, { note: 'until Monday' });
  expect([paused.statusCode, scheduleSchema.strict().parse(paused.json())]).toMatchObject([200, { status: 'paused', note: 'until Monday' }]);
  const triggered = await send('POST', `/api/schedules/${id}/trigger`);
  expect(triggered.statusCode).toBe(201);
  const execution = executionSchema.strict().parse(triggered.json());
  expect(execution).toMatchObject({ kind: 'trigger', status: 'running' });
  expect(triggered.headers.location).toBe(`/api/jobs/${execution.jobId}`);
  expect((await send('POST', `/api/schedules/${id}/resume`)).json()).toMatchObject({ status: 'active', note: null, counts: { fired: 1 } });
  expect((await send('POST', `/api/schedules/${id}/resume`)).json()).toMatchObject({ status: 409, code: 'conflict', jobStatus: 'active' });
  expect((await send('DELETE', `/api/schedules/${id}`)).statusCode).toBe(204);
  for (const [method, path] of [['GET', ''], ['DELETE', ''], ['POST', '/pause'], ['POST', '/trigger'], ['GET', '/executions'], ['GET', '/explain']] as const) {
    expect([path, (await send(method, `/api/schedules/${id}${path}`)).statusCode]).toEqual([path, 404]);
  }
  expect((await send('GET', `/api/jobs/${execution.jobId}`)).statusCode).toBe(200);
});

test('PATCH changes what it names; null takes a value back; the next time follows', async () => {
  const { id } = await create({ name: 'a', endAt: '2027-01-01T00:00:00Z', pauseAfterFailures: 2, catchUp: { policy: 'skip' } });
  const patched = (await send('PATCH', `/api/schedules/${id}`, { cron: '0 12 * * *', timezone: 'America/New_York', name: null, endAt: null, pauseAfterFailures: null, job: { type: 'noop', priority: 9 } })).json();
  expect(patched).toMatchObject({ name: null, endAt: null, pauseAfterFailures: null, nextRunAt: '2026-01-01T17:00:00.000Z', job: { type: 'noop', priority: 9 }, catchUp: { policy: 'skip' } });
  expect((await send('PATCH', `/api/schedules/${id}`, {})).statusCode).toBe(422);
  const ended = (await send('PATCH', `/api/schedules/${id}`, { endAt: '2026-01-01T00:00:01Z' })).json();
  expect(ended).toMatchObject({ status: 'completed', nextRunAt: null });
  expect((await send('PATCH', `/api/schedules/${id}`, { endAt: null })).json()).toMatchObject({ status: 'active' });
});

test('a backfill runs the instants of a past range that had no job', async () => {
  const { id } = await create();
  bench.clock.advance(10 * MINUTE);
  const answer = await send('POST', `/api/schedules/${id}/backfill`, { from: iso(START), to: iso(START + 3 * MINUTE), overlap: 'allow' });
  const { instants, executions, schedule } = backfillSchema.strict().parse(answer.json());
  expect([answer.statusCode, instants, executions.map(({ nominalAt }) => nominalAt), schedule.counts.fired]).toEqual([200, 4, [0, 1, 2, 3].map((i) => iso(START + i * MINUTE)), 4]);
  expect((await send('POST', `/api/schedules/${id}/backfill`, { from: iso(START), to: iso(START + 3 * MINUTE) })).json().executions).toEqual([]);
  for (const range of [{ from: iso(START + MINUTE), to: iso(START) }, { from: iso(START), to: iso(START + 11 * MINUTE) }, { from: iso(START - 2_000 * MINUTE), to: iso(START) }]) expect((await send('POST', `/api/schedules/${id}/backfill`, range)).json()).toMatchObject({ status: 422, code: 'invalid' });
});

describe('the preview', () => {
  const preview = async (body: object) => previewSchema.strict().parse((await send('POST', '/api/schedules/preview', body)).json()).times;

  test('names the next times from an instant in a zone, and marks the days on which its clock changes', async () => {
    expect(await preview({ cron: '30 1 * * *', timezone: 'Europe/London', from: '2026-03-28T12:00:00Z', count: 2 })).toEqual([
      { at: '2026-03-29T01:00:00.000Z', local: '2026-03-29T02:00:00+01:00', offset: '+01:00', dst: { kind: 'gap', at: '2026-03-29T01:00:00.000Z' } },
      { at: '2026-03-30T00:30:00.000Z', local: '2026-03-30T01:30:00+01:00', offset: '+01:00', dst: null },
    ]);
    const repeat = await preview({ cron: '*/30 1 * * *', timezone: 'Europe/London', from: '2026-10-25T00:00:00+01:00', count: 4 });
    expect(repeat.map(({ local, dst }) => [local.slice(11), dst?.kind])).toEqual([['01:00:00+01:00', 'repeat'], ['01:30:00+01:00', 'repeat'], ['01:00:00+00:00', 'repeat'], ['01:30:00+00:00', 'repeat']]);
  });

  test('begins now, in UTC, with ten of them', async () => {
    const times = await preview({ cron: '0 0 * * *' });
    expect([times.length, times[0]?.at]).toEqual([10, '2026-01-02T00:00:00.000Z']);
    expect((await send('POST', '/api/schedules/preview', { cron: '0 0 31 2 *' })).json()).toMatchObject({ status: 422, code: 'invalid' });
    expect((await send('POST', '/api/schedules/preview', { cron: '* * * * *', count: 101 })).statusCode).toBe(422);
  });
});

test('explain says what stops it, what is open, and when it runs', async () => {
  const explain = async (id: string) => explainScheduleSchema.strict().parse(await bench.get(`/api/schedules/${id}/explain`));
  const codes = async (id: string) => (await explain(id)).reasons.map(({ code }) => code);
  const { id } = await create({ overlap: 'skip' });
  expect(await explain(id)).toMatchObject({ status: 'active', firing: true, reasons: [{ code: 'waiting' }] });
  expect((await explain(id)).upcoming.map(({ at, dueAt }) => [at, dueAt])).toEqual([1, 2, 3, 4, 5].map((i) => [iso(START + i * MINUTE), iso(START + i * MINUTE)]));
  await pass(id);
  const { reasons: [reason] } = await explain(id);
  expect(reason).toMatchObject({ code: 'overlap', message: expect.stringMatching(/1 of its runs is open \(job_\w+\): its instants are skipped/) });
  bench.clock.advance(MINUTE + 5_000);
  expect(await codes(id)).toEqual(['late', 'overlap']);
  bench.health = 'full';
  expect(await codes(id)).toEqual(['storage_full', 'late', 'overlap']);
  bench.health = null;
  await send('POST', `/api/schedules/${id}/pause`, { note: 'holidays' });
  expect((await explain(id)).reasons[0]).toMatchObject({ code: 'paused', message: 'It is paused: holidays', unblock: `POST /api/schedules/${id}/resume` });
  const later = await create({ startAt: iso(START + 3_600_000), blackouts: [{ from: iso(START + 3_600_000), to: iso(START + 7_200_000) }] });
  expect(await codes(later.id)).toEqual(['not_started', 'blackout']);
  const over = await create({ endAt: iso(bench.clock.now()) });
  expect(await codes(over.id)).toEqual(['completed']);
});

test.each<[string, object, number, RegExp]>([
  ['a pattern of six fields', { cron: '0 * * * * *' }, 422, /6 fields instead of 5/],
  ['a date that never comes', { cron: '0 0 31 2 *' }, 422, /names no time there will ever be/],
  ['a zone that is none', { timezone: 'Mars/Phobos' }, 422, /no time zone "Mars\/Phobos"/],
  ['an end before the start', { startAt: '2027-01-02T00:00:00Z', endAt: '2027-01-01T00:00:00Z' }, 422, /ends before it starts/],
  ['a blackout the wrong way round', { blackouts: [{ from: '2027-01-02T00:00:00Z', to: '2027-01-01T00:00:00Z' }] }, 422, /ends before it begins/],
  ['a job with an instant', { job: { type: 'noop', dueAt: '2027-01-01T00:00:00Z' } }, 422, /#\/job\/dueAt is an instant/],
  ['a child with an instant', { job: { type: 'batch', children: [{ type: 'noop', dueAt: '2027-01-01T00:00:00Z' }] } }, 422, /#\/job\/children\/0\/dueAt/],
  ['a job with a parent', { job: { type: 'noop', parentId: 'job_01jv5x9k3qf0bsx1r4y7m2n8ga' } }, 400, /parentId/],
  ['a job that may not call', { job: { type: 'request', input: { url: 'http://169.254.169.254/' } } }, 422, /#\/job\/input\/url may not be called/],
  ['an unknown type', { job: { type: 'nope' } }, 422, /must be one of/],
  ['a batch that cannot succeed', { job: { type: 'batch', completion: { count: 2 }, children: [{ type: 'noop' }] } }, 422, /wants 2 completed children/],
  ['a catch-up of too much', { catchUp: { policy: 'all', max: 100 }, job: { type: 'batch', children: Array.from({ length: 100 }, () => ({ type: 'noop' })) } }, 422, /more than 10000 jobs at once/],
  ['a property that there is not', { every: 5 }, 400, /every/],
])('%s is refused when the schedule is made', async (_, body, status, message) => {
  const answer = await send('POST', '/api/schedules', { cron: '* * * * *', job: { type: 'noop' }, ...body });
  expect([answer.statusCode, answer.json().detail]).toEqual([status, expect.stringMatching(message)]);
  expect((await bench.get('/api/schedules')).schedules).toEqual([]);
});

test('lists page by cursor, newest first, by status and client', async () => {
  const ids: string[] = [];
  for (const client of ['a', 'b', 'a']) ids.unshift((await create({ client, paused: client === 'b' })).id);
  const first = scheduleListSchema.strict().parse(await bench.get('/api/schedules?limit=2'));
  const second = await bench.get(`/api/schedules?limit=2&cursor=${first.nextCursor}`);
  expect([...first.schedules, ...second.schedules].map(({ id }) => id)).toEqual(ids);
  expect((await bench.get('/api/schedules?client=a')).schedules).toHaveLength(2);
  expect((await bench.get('/api/schedules?status=paused')).schedules.map(({ id }: { id: string }) => id)).toEqual([ids[1]]);
  for (const query of ['status=nope', 'limit=0', 'cursor=j1', 'nope=1']) expect((await send('GET', `/api/schedules?${query}`)).statusCode).toBe(400);
});
