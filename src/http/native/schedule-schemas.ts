// The words of /api/schedules as zod. What a schedule makes is a submission without a parent; its due time counts from its making.
import { z } from 'zod';
import { BACKFILL_MAX } from '../../orchestrator/schedules.ts';
import { BLACKOUTS_MAX, CATCH_UP_MAX, CATCH_UPS, ON_TIME, OVERLAPS, RUN_KINDS, RUN_STATUSES, SCHEDULE_STATUSES } from '../../domain/schedule.ts';
import { CRON_LENGTH_MAX, ZONE_LENGTH_MAX } from '../../orchestrator/schedule-times.ts';
import { SCHEDULE_REASONS } from '../../orchestrator/explain-schedule.ts';
import { jobId, type Submit, YEAR } from './schemas.ts';

export const scheduleId = z.string().regex(/^sched_[0-9a-z]{26}$/, 'is not a schedule id: those look like sched_01jv5x9k3qf0bsx1r4y7m2n8ga').describe('A schedule id');
export const PREVIEW_MAX = 100;

const cron = z.string().min(1).max(CRON_LENGTH_MAX).meta({ description: 'Minute, hour, day of month, month, day of week; five fields with one space between them', example: '30 9 * * 1-5' });
const timezone = z.string().min(1).max(ZONE_LENGTH_MAX).meta({ description: 'A name of the IANA time zone database', example: 'Europe/London' });
const instant = z.iso.datetime({ offset: true });
const length = (what: string, min = 0) => z.int().min(min).max(YEAR).describe(`${what}, ms`);

const catchUp = z.strictObject({
  policy: z.enum(CATCH_UPS).default('latest').describe('Of instants that were missed: run the newest, all up to max, or none'),
  window: length('Only instants that are not older than this', ON_TIME).default(YEAR),
  max: z.int().min(1).max(CATCH_UP_MAX).optional().describe(`With "all"; default ${CATCH_UP_MAX}, less for large trees`),
});
const blackouts = z.array(z.strictObject({ from: instant, to: instant.describe('Not itself in it') })).max(BLACKOUTS_MAX).describe('Instants in these ranges are skipped');
const pauseAfterFailures = z.int().min(1).max(1_000).describe('Pause after so many failed runs in a row');
const name = z.string().min(1).max(200);
const description = z.string().min(1).max(2_000);
const note = z.string().min(1).max(1_000).describe('Why; shown until it is resumed');
const client = z.string().min(1).max(200).describe('A label of yours to list by; no identity');
const overlap = z.enum(OVERLAPS).describe('While a run is open (its job, or anything below it, has not ended) the next is skipped, waits (one, or all), cancels it, or runs beside it');
const jitter = length('Run each up to this much later; the same for the same instant').max(86_400_000);

export interface ScheduleBody extends Omit<z.output<ReturnType<typeof scheduleFields>>, 'job'> { readonly job: Submit }
export type SchedulePatch = Partial<Omit<z.output<ReturnType<typeof patchFields>>, 'job'>> & { readonly job?: Submit | undefined };

const scheduleFields = (job: z.ZodType) => z.strictObject({
  name: name.optional(), description: description.optional(), client: client.optional(), cron, timezone: timezone.default('UTC'),
  job: job.describe('The job to make, any type, a tree too. A delay counts from its making; dueAt is not taken.'),
  overlap: overlap.default('skip'), catchUp: catchUp.optional(), jitter: jitter.default(0), startAt: instant.optional(), endAt: instant.optional(), blackouts: blackouts.optional(),
  pauseAfterFailures: pauseAfterFailures.optional(), paused: z.boolean().optional().describe('Do not run before it is resumed'), note: note.optional(),
});
const patchFields = (job: z.ZodType) => z.strictObject({
  name: name.nullable().optional(), description: description.nullable().optional(), client: client.nullable().optional(), cron: cron.optional(), timezone: timezone.optional(), job: job.optional(),
  overlap: overlap.optional(), catchUp: catchUp.optional(), jitter: jitter.optional(), startAt: instant.nullable().optional(), endAt: instant.nullable().optional(), blackouts: blackouts.optional(),
  pauseAfterFailures: pauseAfterFailures.nullable().optional(), note: note.nullable().optional(),
});

export interface ScheduleSchemas {
  readonly create: z.ZodType<ScheduleBody>;
  readonly patch: z.ZodType<SchedulePatch>;
}

/** @param job a submission that cannot name a parent */
export const scheduleSchemas = (job: z.ZodType<Submit>): ScheduleSchemas => ({
  create: scheduleFields(job) as unknown as z.ZodType<ScheduleBody>,
  patch: patchFields(job).refine((body) => Object.keys(body).length > 0, 'names nothing to change') as unknown as z.ZodType<SchedulePatch>,
});

export const pauseBody = z.strictObject({ note: note.optional() }).nullish();
export const backfillBody = z.strictObject({
  from: instant, to: instant.describe('Itself in it; not in the future'),
  overlap: z.enum(['buffer_all', 'allow']).default('buffer_all').describe('One after the other, or all at once'),
}).describe(`Instants of the pattern in the range, ${BACKFILL_MAX} at most; those that have a run keep it`);
export const previewBody = z.strictObject({
  cron, timezone: timezone.default('UTC'), from: instant.optional().describe('Default: now'), count: z.int().min(1).max(PREVIEW_MAX).default(10),
});

const time = z.iso.datetime().describe('UTC');
const counts = z.object({
  fired: z.int().describe('Jobs made'), skipped: z.int().describe('For a run that was open, or a blackout'), missed: z.int().describe('The server was down, and the catch-up policy let them go'),
  dropped: z.int().describe('Beyond the maximum of the catch-up or of the buffer'), completed: z.int(), failed: z.int(), cancelled: z.int(),
});
export const scheduleSchema = z.object({
  id: scheduleId, name: z.string().nullable(), description: z.string().nullable(), client: z.string().nullable(), cron: z.string(), timezone: z.string(), job: z.unknown().describe('As it was submitted; null if the disk changed it'),
  overlap: z.enum(OVERLAPS), catchUp: z.object({ policy: z.enum(CATCH_UPS), window: z.int(), max: z.int() }), jitter: z.int(), startAt: time.nullable(), endAt: time.nullable(),
  blackouts: z.array(z.object({ from: time, to: time })), pauseAfterFailures: z.int().nullable(), status: z.enum(SCHEDULE_STATUSES), note: z.string().nullable(),
  nextRunAt: time.nullable().describe('The next instant of the pattern'), lastRunAt: time.nullable(), counts, open: z.int().describe('Runs whose job tree has not ended'), buffered: z.int(), failuresInRow: z.int(),
  createdAt: time, updatedAt: time,
});
export const scheduleListSchema = z.object({ schedules: z.array(scheduleSchema), nextCursor: z.string().nullable() });
export const executionSchema = z.object({
  scheduleId, nominalAt: time.describe('The instant of the pattern that this is about'), kind: z.enum(RUN_KINDS), status: z.enum(RUN_STATUSES), reason: z.string().nullable(), jobId: jobId.nullable(),
  untilAt: time.nullable().describe('Of missed or dropped instants in a row: the last'), count: z.int().describe('How many instants this is about'), at: time, endedAt: time.nullable(),
});
export const executionListSchema = z.object({ executions: z.array(executionSchema), nextCursor: z.string().nullable() });
export const backfillSchema = z.object({ instants: z.int().describe('Of the pattern in the range'), executions: z.array(executionSchema).describe('Of those that had none'), schedule: scheduleSchema });
const change = z.object({ kind: z.enum(['gap', 'repeat']).describe('Local times of that day are left out, or come twice'), at: time }).nullable();
const upcoming = z.object({ at: time, local: z.string(), offset: z.string().describe('Of the zone, then'), dst: change });
export const previewSchema = z.object({ cron: z.string(), timezone: z.string(), times: z.array(upcoming) });
export const explainScheduleSchema = z.object({
  scheduleId, status: z.enum(SCHEDULE_STATUSES), firing: z.boolean(), nextRunAt: time.nullable(),
  reasons: z.array(z.object({ code: z.enum(SCHEDULE_REASONS), message: z.string(), unblock: z.string() })),
  upcoming: z.array(upcoming.extend({ dueAt: time.describe('With its jitter'), blackout: z.boolean() })),
});
