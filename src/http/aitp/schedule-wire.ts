// The words of the nine schedule endpoints: schemas, states, and the three ways in which a schedule may be sent.
import { z } from 'zod';
import type { Run, RunStatus, Schedule, ScheduleSpec, ScheduleStatus } from '../../domain/schedule.ts';
import { CRON_LENGTH_MAX, ZONE_LENGTH_MAX } from '../../orchestrator/schedule-times.ts';
import type { NewSchedule } from '../../orchestrator/schedules.ts';
import type { JobRecord, ScheduleRecord } from '../../store/store.ts';
import { Refusal } from '../problem.ts';
import { dataObject, isoOf, number, priority, spelledOut, taskOf, taskTemplate, word } from './wire.ts';

export const STATES = ['ACTIVE', 'PAUSED', 'COMPLETED', 'FAILED'] as const;
export const STATE_OF = { active: 'ACTIVE', paused: 'PAUSED', completed: 'COMPLETED' } as const satisfies Record<ScheduleStatus, (typeof STATES)[number]>;
/** null: there is no schedule in that state. */
export const STATUS_OF = { ACTIVE: 'active', PAUSED: 'paused', COMPLETED: 'completed', FAILED: null } as const satisfies Record<(typeof STATES)[number], ScheduleStatus | null>;

const EXECUTION_STATES = ['PENDING', 'COMPLETED', 'FAILED'] as const;
/** null: nothing was executed, and this dialect has no word for that. */
export const EXECUTION_STATE_OF = {
  running: 'PENDING', buffered: 'PENDING', completed: 'COMPLETED', failed: 'FAILED', cancelled: 'FAILED', skipped: null, missed: null, dropped: null,
} as const satisfies Record<RunStatus, (typeof EXECUTION_STATES)[number] | null>;

const cron = z.string().max(CRON_LENGTH_MAX).meta({ description: 'Minute, hour, day of month, month, day of week', example: '0 9 * * *' });
const zone = z.string().min(1).max(ZONE_LENGTH_MAX).meta({ description: 'A name of the IANA time zone database; default UTC', example: 'UTC' });
const client = word(200, 'Who asks: a label, no identity');

const scalars = { client_id: client, task_type: word(200, 'What the task is'), capability_required: word(200, 'What an agent must be able to do'), cron_expression: cron };
const more = { description: z.string().max(2_000).optional(), timezone: zone.optional() };
/** Everything in the query; or everything in the body, and nothing here. */
export const createQuery = z.strictObject({ ...z.strictObject(scalars).partial().shape, priority: number(1, 10, 5, '10 goes first'), ...more });
const whole = z.object({ ...scalars, ...more, priority: priority.default(5), input_data: dataObject.default({}) });
/** Judged where it is known which of them it is. */
export const createBody = z.unknown().meta({
  description: 'The input data, alone or as {"input_data": …}; or the whole of the schedule', example: { input_data: { source: 'warehouse' } },
  anyOf: [{ type: 'object', properties: { ...Object.fromEntries(Object.keys(scalars).map((name) => [name, { type: 'string' }])), input_data: { type: 'object' } }, required: [...Object.keys(scalars), 'input_data'] }, { type: 'object' }],
});

export const listQuery = z.strictObject({ client_id: client.optional(), status: z.enum(STATES).optional(), limit: number(1, 100, 50, 'Rows'), offset: number(0, 1_000_000, 0, 'Rows to leave out') });
export const executionsQuery = z.strictObject({ limit: number(1, 100, 50, 'Rows') });
export const putBody = z.strictObject({ cron_expression: cron.optional(), priority: priority.optional(), status: z.enum(STATES).optional() });
export const validateQuery = z.strictObject({ cron_expression: z.string().max(20_000), timezone: z.string().max(1_000).optional().meta({ description: 'Default UTC' }), from: z.iso.datetime({ offset: true }).optional(), count: number(1, 100, 1, 'How many of the next times') });
export const idParams = z.strictObject({ schedule_id: z.string().max(100) });

const time = z.iso.datetime().nullable();
const state = z.enum(STATES);
export const created = z.object({ schedule_id: z.string(), status: state, cron_expression: z.string(), next_run_at: time, description: z.string().nullable(), created_at: z.iso.datetime() });
const row = z.object({
  schedule_id: z.string(), client_id: z.string().nullable(), task_type: z.string(), status: state, cron_expression: z.string(), next_run_at: time, last_run_at: time, total_runs: z.int(), failed_runs: z.int(),
});
export const list = z.object({ schedules: z.array(row), total: z.int(), limit: z.int(), offset: z.int() });
export const full = row.extend({
  capability_required: z.string().nullable(), input_data: z.unknown(), priority: z.int(), description: z.string().nullable(), timezone: z.string(), created_at: z.iso.datetime(), updated_at: z.iso.datetime(),
});
export const changed = z.object({ schedule_id: z.string(), status: state, cron_expression: z.string(), priority: z.int(), updated_at: z.iso.datetime() });
export const said = z.object({ schedule_id: z.string(), status: z.enum([...STATES, 'DELETED']), message: z.string() });
export const executions = z.object({
  schedule_id: z.string(),
  executions: z.array(z.object({ execution_id: z.string(), task_id: z.string().nullable(), executed_at: z.iso.datetime(), status: z.enum(EXECUTION_STATES), result_data: z.unknown(), error_message: z.string().nullable() })),
});
export const validated = z.object({
  valid: z.boolean(), cron_expression: z.string(), message: z.string(), next_run_at: time.optional(),
  next_runs: z.array(z.object({ at: z.iso.datetime(), utc_offset_seconds: z.int(), dst_change: z.enum(['gap', 'repeat']).nullable() })).optional(),
});

/** As its firing does in the original: a task each time, whatever became of the last one; missed ones become one. */
const FIRING = { overlap: 'allow', catchUp: 'latest', window: 365 * 86_400_000, catchUpMax: 1, jitter: 0, startAt: null, endAt: null, blackouts: [], pauseAfter: null } as const satisfies Partial<ScheduleSpec>;

/** The query with the body as input data, or all of it in the body. @throws Refusal */
export function scheduleOf(query: z.output<typeof createQuery>, body: unknown): NewSchedule {
  const given = typeof body === 'object' && body !== null && !Array.isArray(body) ? spelledOut(body as Record<string, unknown>) : {};
  const inQuery = query.cron_expression !== undefined || query.task_type !== undefined || query.client_id !== undefined || query.capability_required !== undefined;
  const data = Object.keys(given).join() === 'input_data' ? given['input_data'] : body ?? {};
  const named = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
  const parsed = whole.safeParse(inQuery ? { ...named, input_data: data } : given);
  if (!parsed.success) {
    const errors = parsed.error.issues.slice(0, 20).map(({ path, message }) => ({ [inQuery && path[0] !== 'input_data' ? 'parameter' : 'pointer']: path.join('/'), detail: message }));
    throw new Refusal('invalid_request', `${errors.map(({ parameter, pointer, detail }) => `${parameter ?? pointer}: ${detail}`).join('; ')}.`, { hint: 'client_id, task_type, capability_required and cron_expression are required.', errors });
  }
  const { client_id: clientId, task_type: taskType, capability_required: capability, cron_expression, timezone, description, input_data } = parsed.data;
  return {
    client: clientId, template: taskTemplate({ taskType, capability, clientId, data: input_data }, parsed.data.priority),
    spec: { ...FIRING, cron: cron_expression, timezone: timezone ?? 'UTC', ...(description === undefined || description === '' ? {} : { description }) },
  };
}

const shared = ({ id, status, spec }: Schedule) => ({ schedule_id: id, status: STATE_OF[status], cron_expression: spec.cron });

export const createdWire = ({ schedule }: ScheduleRecord) => ({ ...shared(schedule), next_run_at: isoOf(schedule.nextAt), description: schedule.spec.description ?? null, created_at: isoOf(schedule.createdAt) });

export function rowWire({ schedule, template }: ScheduleRecord) {
  const { client, nextAt, lastAt, counts } = schedule;
  return { ...shared(schedule), client_id: client, task_type: taskOf(template).task_type, next_run_at: isoOf(nextAt), last_run_at: isoOf(lastAt), total_runs: counts.fired, failed_runs: counts.failed };
}

export function fullWire(record: ScheduleRecord) {
  const { schedule: { spec, createdAt, updatedAt }, template } = record;
  const { capability_required, input_data } = taskOf(template);
  return { ...rowWire(record), capability_required, input_data, priority: template?.priority ?? 5, description: spec.description ?? null, timezone: spec.timezone, created_at: isoOf(createdAt), updated_at: isoOf(updatedAt) };
}

export const changedWire = ({ schedule, template }: ScheduleRecord) => ({ ...shared(schedule), priority: template?.priority ?? 5, updated_at: isoOf(schedule.updatedAt) });

/** JSON text: the result is text already. */
export function executionText(run: Run, record: JobRecord | null): string {
  const state_ = EXECUTION_STATE_OF[run.status] ?? 'FAILED';
  const head = { execution_id: `exec-${run.nominalAt.toString(36)}`, task_id: run.jobId, executed_at: isoOf(run.at), status: state_ };
  return `${JSON.stringify(head).slice(0, -1)},"result_data":${record?.result ?? 'null'},"error_message":${JSON.stringify(record?.job.error?.message ?? null)}}`;
}
