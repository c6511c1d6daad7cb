// /aitp/tasks/schedule: the nine schedule endpoints as their documents have them. 200 to whatever went well, creates included.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { DomainError } from '../../domain/errors.ts';
import type { Run } from '../../domain/schedule.ts';
import { PatternError } from '../../orchestrator/schedule-times.ts';
import type { Schedules } from '../../orchestrator/schedules.ts';
import type { Clock } from '../../domain/clock.ts';
import type { ScheduleRecord, Store } from '../../store/store.ts';
import { answersIn } from '../answers.ts';
import { Refusal } from '../problem.ts';
import { refusalSchema } from './envelope.ts';
import {
  changed, changedWire, createBody, created, createdWire, createQuery, EXECUTION_STATE_OF, executions, executionsQuery, executionText, full, fullWire, idParams, list, listQuery, putBody, rowWire, said,
  scheduleOf, STATE_OF, STATUS_OF, validated, validateQuery,
} from './schedule-wire.ts';
import { isoOf } from './wire.ts';

export interface AitpDeps {
  readonly store: Store;
  readonly schedules: Schedules;
  readonly clock: Clock;
}

const PATH = '/aitp/tasks/schedule';
const BODY = [413, 415] as const;
/** Pages of runs looked through for those that were executed. */
const PAGES_MAX = 10;

export function registerAitpSchedules(instance: FastifyInstance, { store, schedules, clock }: AitpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const tags = ['AITP'];
  const answers = (good: Parameters<typeof answersIn>[1], ...more: number[]) => answersIn(refusalSchema, good, ...more, 422, 503);
  /** Any other id is one that there is not. */
  const find = async (id: string): Promise<ScheduleRecord> => {
    const record = /^sched_[0-9a-z]{26}$/.test(id) ? await store.schedule(id) : null;
    if (record === null) throw new Refusal('not_found', 'Schedule not found');
    return record;
  };

  app.post(PATH, {
    schema: {
      operationId: 'aitpCreateSchedule', tags, summary: 'Schedule a task', description: 'Scalars in the query and the input data as the body, or everything in the body.',
      querystring: createQuery, body: createBody, response: answers({ 200: ['The schedule', created] }, 403, ...BODY),
    },
  }, async ({ query, body }) => createdWire(await schedules.create(scheduleOf(query, body))));

  app.get(PATH, {
    schema: { operationId: 'aitpListSchedules', tags, summary: 'List schedules, newest first', querystring: listQuery, response: answers({ 200: ['Rows', list] }) },
  }, async ({ query: { client_id, status, limit, offset } }) => {
    const word = status === undefined ? undefined : STATUS_OF[status];
    if (word === null) return { schedules: [], total: 0, limit, offset };
    const filter = { ...(client_id === undefined ? {} : { client: client_id }), ...(word === undefined ? {} : { status: word }) };
    const { items } = await store.schedules(filter, { offset }, limit);
    return { schedules: items.map(rowWire), total: await store.countSchedules(filter), limit, offset };
  });

  app.post(`${PATH}/validate`, {
    schema: {
      operationId: 'aitpValidateSchedule', tags, summary: 'Is this a pattern, and when would it run?', description: 'Always 200. `from`, `timezone` and `count` ask for more than the next time; days with a change of the clock are marked.',
      querystring: validateQuery, response: answers({ 200: ['Whether it is', validated] }, 403, ...BODY),
    },
  }, ({ query: { cron_expression, timezone = 'UTC', from, count } }) => {
    try {
      const times = schedules.preview({ cron: cron_expression, timezone }, from === undefined ? clock.now() : Date.parse(from), count);
      const next_runs = times.map(({ at, offset, change }) => ({ at: isoOf(at), utc_offset_seconds: offset / 1_000, dst_change: change?.kind ?? null }));
      return { valid: true, cron_expression, next_run_at: isoOf(times[0]?.at ?? null), message: 'Valid cron expression', next_runs };
    } catch (error) {
      if (error instanceof PatternError) return { valid: false, cron_expression, message: error.message };
      throw error;
    }
  });

  app.get(`${PATH}/:schedule_id`, {
    schema: { operationId: 'aitpGetSchedule', tags, summary: 'A schedule', params: idParams, response: answersIn(refusalSchema, { 200: ['The row', full] }, 404, 503) },
  }, async ({ params }) => fullWire(await find(params.schedule_id)));

  app.put(`${PATH}/:schedule_id`, {
    schema: {
      operationId: 'aitpEditSchedule', tags, summary: 'Change pattern, priority or status of a schedule', description: 'COMPLETED ends it now; FAILED pauses it and says so.',
      params: idParams, body: putBody, response: answers({ 200: ['The schedule', changed] }, 403, 404, ...BODY),
    },
  }, async ({ params: { schedule_id: id }, body: { cron_expression, priority, status } }) => {
    const { template } = await find(id);
    if (cron_expression !== undefined || priority !== undefined || status === 'COMPLETED') {
      await schedules.edit(id, ({ spec }) => ({
        spec: { ...spec, cron: cron_expression ?? spec.cron, ...(status === 'COMPLETED' ? { endAt: clock.now() } : status === 'ACTIVE' ? { endAt: null } : {}) },
        ...(priority === undefined || template === null ? {} : { template: { ...template, priority } }),
      }));
    }
    if (status === 'PAUSED' || status === 'FAILED') await unlessThere(schedules.pause(id, status === 'FAILED' ? 'It was set to FAILED.' : null));
    if (status === 'ACTIVE') await unlessThere(schedules.resume(id));
    return changedWire(await find(id));
  });

  app.delete(`${PATH}/:schedule_id`, {
    schema: { operationId: 'aitpDeleteSchedule', tags, summary: 'Delete a schedule', params: idParams, response: answers({ 200: ['It is gone', said] }, 403, 404, ...BODY) },
  }, async ({ params: { schedule_id } }) => {
    await find(schedule_id);
    await schedules.remove(schedule_id);
    return { schedule_id, status: 'DELETED', message: 'Schedule deleted' };
  });

  app.post(`${PATH}/:schedule_id/pause`, {
    schema: { operationId: 'aitpPauseSchedule', tags, summary: 'Pause a schedule', params: idParams, response: answers({ 200: ['As it is now', said] }, 403, 404, ...BODY) },
  }, async ({ params: { schedule_id } }) => {
    await find(schedule_id);
    await unlessThere(schedules.pause(schedule_id, null));
    const { schedule: { status } } = await find(schedule_id);
    return { schedule_id, status: STATE_OF[status], message: status === 'completed' ? 'Schedule is completed' : 'Schedule paused' };
  });

  app.post(`${PATH}/:schedule_id/resume`, {
    schema: {
      operationId: 'aitpResumeSchedule', tags, summary: 'Resume a schedule', description: 'The next time is not worked out anew: of what passed meanwhile, one runs at once.',
      params: idParams, response: answers({ 200: ['It is active', said] }, 403, 404, ...BODY),
    },
  }, async ({ params: { schedule_id } }) => {
    await find(schedule_id);
    await unlessThere(schedules.resume(schedule_id, { catchUp: true }));
    return { schedule_id, status: 'ACTIVE', message: 'Schedule resumed' };
  });

  app.get(`${PATH}/:schedule_id/executions`, {
    schema: { operationId: 'aitpListExecutions', tags, summary: 'Its executions, newest first', params: idParams, querystring: executionsQuery, response: answers({ 200: ['Rows', executions] }, 404) },
  }, async ({ params: { schedule_id }, query: { limit } }, reply) => {
    await find(schedule_id);
    const runs: Run[] = [];
    let before: number | null = null;
    for (let pages = 0; pages < PAGES_MAX && runs.length < limit; pages++) {
      const page = await store.runs(schedule_id, before, 100);
      runs.push(...page.items.filter((run) => EXECUTION_STATE_OF[run.status] !== null));
      before = page.next;
      if (before === null) break;
    }
    const rows = await Promise.all(runs.slice(0, limit).map(async (run) => executionText(run, run.jobId === null ? null : await store.job(run.jobId))));
    return reply.header('content-type', 'application/json; charset=utf-8').send(`{"schedule_id":${JSON.stringify(schedule_id)},"executions":[${rows.join(',')}]}`);
  });
}

/** It is there already: this dialect says so as if it had just come. */
async function unlessThere(verb: Promise<unknown>): Promise<void> {
  await verb.catch((error: unknown) => {
    if (!(error instanceof DomainError) || error.code !== 'conflict') throw error;
  });
}
