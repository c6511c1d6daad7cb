// /api/schedules: jobs that are made again and again. Each route parses, calls one verb and renders.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SCHEDULE_STATUSES } from '../../domain/schedule.ts';
import { explainSchedule } from '../../orchestrator/explain-schedule.ts';
import { iso } from '../../orchestrator/final.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { DEFAULT_LIMIT, encodeCursor, pageLimit, pageCursor } from './query.ts';
import { sendJson } from './reply.ts';
import {
  backfillBody, backfillSchema, executionListSchema, executionSchema, explainScheduleSchema, pauseBody, previewBody, previewSchema, scheduleId, scheduleListSchema, scheduleSchema, scheduleSchemas,
} from './schedule-schemas.ts';
import { changeOf, executionWire, newScheduleOf, previewWire, scheduleWire } from './schedule-wire.ts';
import { noBody, type SubmitSchemas } from './schemas.ts';
import { checkUrls } from './urls.ts';

const idParams = z.strictObject({ id: scheduleId });
const listQuery = z.strictObject({ status: z.enum(SCHEDULE_STATUSES).optional(), client: z.string().min(1).max(200).optional(), limit: pageLimit, cursor: pageCursor('s').optional() });
const executionsQuery = z.strictObject({ limit: pageLimit, cursor: pageCursor('x').optional() });

/** Instants shown by explain. */
const UPCOMING = 5;

export function registerSchedules(instance: FastifyInstance, deps: HttpDeps, { child }: Pick<SubmitSchemas, 'child'>): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { schedules, store, clock, refuseUrl } = deps;
  const bodies = scheduleSchemas(child);
  const tags = ['Schedules'];
  const unlocked = [403, 404, 413, 415, 503] as const; // no status stands in their way
  const plain = [...unlocked, 409] as const;
  const now200 = { 200: ['The schedule as it is now', scheduleSchema] } as const;
  const sendSchedule = async (reply: FastifyReply, id: string): Promise<FastifyReply> => sendJson(reply, JSON.stringify(scheduleWire(await schedules.get(id))));

  app.post('/api/schedules', {
    schema: {
      operationId: 'createSchedule', tags, summary: 'Make a job again and again',
      description: 'The job is checked now, made at each instant of the pattern. At most one job for each instant, whatever happens to the server; instants that were missed follow `catchUp`. '
        + 'When the clocks of the zone change: a pattern with a `*` in its minutes or hours follows real time (nothing in the hour left out, both passes of the hour repeated); any other names times of day '
        + '(one that is left out runs once at the first instant after the gap, one that is repeated runs in its first pass).',
      body: bodies.create, response: answers({ 201: ['The schedule', scheduleSchema] }, 403, 413, 415, 422, 503),
    },
  }, async ({ body }, reply) => {
    checkUrls([body.job], '#/job', refuseUrl);
    const record = await schedules.create(newScheduleOf(body));
    return sendJson(reply.header('location', `/api/schedules/${record.schedule.id}`), JSON.stringify(scheduleWire(record)), 201);
  });

  app.get('/api/schedules', {
    schema: { operationId: 'listSchedules', tags, summary: 'List schedules, newest first', querystring: listQuery, response: answers({ 200: ['A page', scheduleListSchema] }, 503) },
  }, async ({ query: { status, client, limit, cursor } }, reply) => {
    const { items, next } = await store.schedules({ ...(status === undefined ? {} : { status }), ...(client === undefined ? {} : { client }) }, { after: cursor ?? Number.MAX_SAFE_INTEGER }, limit ?? DEFAULT_LIMIT);
    return sendJson(reply, JSON.stringify({ schedules: items.map(scheduleWire), nextCursor: encodeCursor('s', next) }));
  });

  app.post('/api/schedules/preview', {
    schema: {
      operationId: 'previewSchedule', tags, summary: 'When would this pattern run?', description: 'Nothing is stored. `dst` marks days on which the zone leaves out or repeats local times.',
      body: previewBody, response: answers({ 200: ['The next times', previewSchema] }, 403, 413, 415, 422, 503),
    },
  }, ({ body: { cron, timezone, from, count } }, reply) => {
    const times = schedules.preview({ cron, timezone }, from === undefined ? clock.now() : Date.parse(from), count);
    return sendJson(reply, JSON.stringify({ cron, timezone, times: times.map(previewWire) }));
  });

  app.get('/api/schedules/:id', {
    schema: { operationId: 'getSchedule', tags, summary: 'A schedule with its counters', params: idParams, response: answers({ 200: ['The schedule', scheduleSchema] }, 404, 503) },
  }, ({ params }, reply) => sendSchedule(reply, params.id));

  app.patch('/api/schedules/:id', {
    schema: {
      operationId: 'editSchedule', tags, summary: 'Change a schedule', description: 'From the next instant on; runs that are open go on as they were made. null takes a value back.',
      params: idParams, body: bodies.patch, response: answers(now200, ...unlocked, 422),
    },
  }, async ({ params, body }, reply) => {
    if (body.job !== undefined) checkUrls([body.job], '#/job', refuseUrl);
    await schedules.edit(params.id, (schedule) => changeOf(body, schedule));
    return sendSchedule(reply, params.id);
  });

  app.delete('/api/schedules/:id', {
    schema: { operationId: 'deleteSchedule', tags, summary: 'Delete a schedule', description: 'Its executions are forgotten; jobs that it made go on.', params: idParams, response: answers({ 204: ['Gone', null] }, 403, 404, 413, 415, 503) },
  }, async ({ params }, reply) => {
    await schedules.remove(params.id);
    return reply.code(204).send();
  });

  app.post('/api/schedules/:id/pause', {
    schema: { operationId: 'pauseSchedule', tags, summary: 'Pause a schedule, with a note', description: 'What runs goes on; nothing new is made, what is buffered waits.', params: idParams, body: pauseBody, response: answers(now200, ...plain, 422) },
  }, async ({ params, body }, reply) => {
    await schedules.pause(params.id, body?.note ?? null);
    return sendSchedule(reply, params.id);
  });

  app.post('/api/schedules/:id/resume', {
    schema: { operationId: 'resumeSchedule', tags, summary: 'Resume a paused schedule', description: 'From now on: instants that passed while it was paused are not made up for; POST …/backfill does that.', params: idParams, body: noBody, response: answers(now200, ...plain) },
  }, async ({ params }, reply) => {
    await schedules.resume(params.id);
    return sendSchedule(reply, params.id);
  });

  app.post('/api/schedules/:id/trigger', {
    schema: { operationId: 'triggerSchedule', tags, summary: 'Run it now', description: 'One run, whatever is open and also while it is paused.', params: idParams, body: noBody, response: answers({ 201: ['The execution', executionSchema] }, ...unlocked) },
  }, async ({ params }, reply) => {
    const { run } = await schedules.trigger(params.id);
    return sendJson(reply.header('location', `/api/jobs/${run.jobId ?? ''}`), JSON.stringify(executionWire(run)), 201);
  });

  app.post('/api/schedules/:id/backfill', {
    schema: { operationId: 'backfillSchedule', tags, summary: 'Run the instants of a past range', params: idParams, body: backfillBody, response: answers({ 200: ['What was made or waits', backfillSchema] }, ...unlocked, 422) },
  }, async ({ params, body }, reply) => {
    const { runs, instants } = await schedules.backfill(params.id, Date.parse(body.from), Date.parse(body.to), body.overlap);
    return sendJson(reply, JSON.stringify({ instants, executions: runs.map(executionWire), schedule: scheduleWire(await schedules.get(params.id)) }));
  });

  app.get('/api/schedules/:id/executions', {
    schema: { operationId: 'listExecutions', tags, summary: 'What became of its instants, newest first', params: idParams, querystring: executionsQuery, response: answers({ 200: ['A page', executionListSchema] }, 404, 503) },
  }, async ({ params, query: { limit, cursor } }, reply) => {
    await schedules.get(params.id);
    const { items, next } = await store.runs(params.id, cursor ?? null, limit ?? DEFAULT_LIMIT);
    return sendJson(reply, JSON.stringify({ executions: items.map(executionWire), nextCursor: encodeCursor('x', next) }));
  });

  app.get('/api/schedules/:id/explain', {
    schema: { operationId: 'explainSchedule', tags, summary: 'Why does it not run, and when will it?', params: idParams, response: answers({ 200: ['Reasons, what must be solved first comes first', explainScheduleSchema] }, 404, 503) },
  }, async ({ params }, reply) => {
    const { schedule } = await schedules.get(params.id);
    const now = clock.now();
    const openJobs = schedule.open === 0 ? [] : (await store.runs(params.id, null, 50)).items.flatMap((run) => (run.status === 'running' && run.jobId !== null ? [run.jobId] : []));
    const reasons = explainSchedule({ schedule, openJobs, health: store.health(), now });
    const { spec: { timezone } } = schedule;
    const upcoming = schedules.upcoming(schedule, UPCOMING).map(({ nominal, due, isBlackedOut }) => ({
      ...previewWire({ at: nominal, offset: schedules.times.offset(timezone, nominal), change: schedules.times.clockChange(timezone, nominal) }), dueAt: iso(due), blackout: isBlackedOut,
    }));
    const firing = reasons.every(({ code }) => code === 'waiting');
    return sendJson(reply, JSON.stringify({ scheduleId: params.id, status: schedule.status, firing, nextRunAt: schedule.nextAt === null ? null : iso(schedule.nextAt), reasons, upcoming }));
  });
}
