// Native words of schedules, both ways and pure.
import type { NewJob } from '../../domain/commands.ts';
import { CATCH_UP_MAX, countJobs, JOBS_PER_ACT, type JobTemplate, type Run, type Schedule, type ScheduleSpec } from '../../domain/schedule.ts';
import type { ScheduleChange } from '../../domain/schedule-commands.ts';
import { readJson } from '../../domain/read-json.ts';
import { iso } from '../../orchestrator/final.ts';
import type { NewSchedule, Preview } from '../../orchestrator/schedules.ts';
import type { ScheduleRecord } from '../../store/store.ts';
import { Refusal } from '../problem.ts';
import type { ScheduleBody, SchedulePatch } from './schedule-schemas.ts';
import { type Submit, YEAR } from './schemas.ts';
import { fromWire } from './wire.ts';

/** A submission → a template. At the instant 0 a due time is a delay. @throws Refusal */
function templateOf(body: Submit): JobTemplate {
  const visit = (job: Submit, at: string): void => {
    if (job.dueAt !== undefined) {
      throw new Refusal('invalid', `${at}/dueAt is an instant; a schedule makes its job again and again.`, { hint: 'Use delay, which counts from the making of the job.', errors: [{ pointer: `${at}/dueAt`, detail: 'is not taken by schedules' }] });
    }
    job.children?.forEach((child, i) => visit(child, `${at}/children/${i}`));
  };
  visit(body, '#/job');
  const turn = ({ dueAt, children, ...job }: NewJob): JobTemplate => ({
    ...job, ...(dueAt === undefined ? {} : { delay: dueAt }), ...(children === undefined ? {} : { children: children.map(turn) }),
  });
  return turn(fromWire(body, 0));
}

/** A template as it was submitted. */
function submitOf({ type, input, spec: { finalCall: _made, ...spec }, priority, delay, children }: JobTemplate): unknown {
  return {
    type, input: readJson(input), ...spec, ...(priority === undefined ? {} : { priority }), ...(delay === undefined ? {} : delay === null ? { hold: true } : { delay }),
    ...(children === undefined ? {} : { children: children.map(submitOf) }),
  };
}

/** A schedule's own maximum is what a catch-up of its whole tree may add. */
const mostAtOnce = (template: JobTemplate): number => Math.max(1, Math.min(CATCH_UP_MAX, Math.floor(JOBS_PER_ACT / countJobs(template))));
const parse = (text: string): number => Date.parse(text);
const rangesOf = (ranges: readonly { readonly from: string; readonly to: string }[]): ScheduleSpec['blackouts'] => ranges.map(({ from, to }, i) => {
  if (parse(to) <= parse(from)) throw new Refusal('invalid', `Blackout ${i + 1} ends before it begins.`, { errors: [{ pointer: `#/blackouts/${i}/to`, detail: 'must be after from' }] });
  return { from: parse(from), to: parse(to) };
});

export function newScheduleOf(body: ScheduleBody): NewSchedule {
  const template = templateOf(body.job);
  const { name, description, startAt, endAt, catchUp } = body;
  return {
    template, client: body.client ?? null, paused: body.paused ?? false, note: body.note ?? null,
    spec: {
      ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }), cron: body.cron, timezone: body.timezone, overlap: body.overlap, jitter: body.jitter,
      catchUp: catchUp?.policy ?? 'latest', window: catchUp?.window ?? YEAR, catchUpMax: catchUp?.max ?? mostAtOnce(template),
      startAt: startAt === undefined ? null : parse(startAt), endAt: endAt === undefined ? null : parse(endAt), blackouts: rangesOf(body.blackouts ?? []), pauseAfter: body.pauseAfterFailures ?? null,
    },
  };
}

/** What a PATCH makes of a schedule as it is. */
export function changeOf(patch: SchedulePatch, schedule: Schedule): ScheduleChange {
  const template = patch.job === undefined ? undefined : templateOf(patch.job);
  const { name, description, startAt, endAt, catchUp } = patch;
  const { name: oldName, description: oldDescription, ...spec } = schedule.spec;
  const kept = <T>(given: T | null | undefined, old: T | undefined): T | undefined => (given === undefined ? old : (given ?? undefined));
  const named = { name: kept(name, oldName), description: kept(description, oldDescription) };
  const instant = (given: string | null | undefined, old: number | null): number | null => (given === undefined ? old : given === null ? null : parse(given));
  return {
    ...(template === undefined ? {} : { template }), ...(patch.client === undefined ? {} : { client: patch.client }), ...(patch.note === undefined ? {} : { note: patch.note }),
    spec: {
      ...(named.name === undefined ? {} : { name: named.name }), ...(named.description === undefined ? {} : { description: named.description }), ...spec,
      cron: patch.cron ?? spec.cron, timezone: patch.timezone ?? spec.timezone, overlap: patch.overlap ?? spec.overlap, jitter: patch.jitter ?? spec.jitter,
      ...(catchUp === undefined ? {} : { catchUp: catchUp.policy, window: catchUp.window, catchUpMax: catchUp.max ?? (template === undefined ? spec.catchUpMax : mostAtOnce(template)) }),
      startAt: instant(startAt, spec.startAt), endAt: instant(endAt, spec.endAt), blackouts: patch.blackouts === undefined ? spec.blackouts : rangesOf(patch.blackouts),
      pauseAfter: patch.pauseAfterFailures === undefined ? spec.pauseAfter : patch.pauseAfterFailures,
    },
  };
}

const time = (at: number | null): string | null => (at === null ? null : iso(at));

export function scheduleWire({ schedule, template }: ScheduleRecord): Record<string, unknown> {
  const { spec, counts } = schedule;
  return {
    id: schedule.id, name: spec.name ?? null, description: spec.description ?? null, client: schedule.client, cron: spec.cron, timezone: spec.timezone, job: template === null ? null : submitOf(template),
    overlap: spec.overlap, catchUp: { policy: spec.catchUp, window: spec.window, max: spec.catchUpMax }, jitter: spec.jitter, startAt: time(spec.startAt), endAt: time(spec.endAt),
    blackouts: spec.blackouts.map(({ from, to }) => ({ from: iso(from), to: iso(to) })), pauseAfterFailures: spec.pauseAfter, status: schedule.status, note: schedule.note,
    nextRunAt: time(schedule.nextAt), lastRunAt: time(schedule.lastAt), counts, open: schedule.open, buffered: schedule.buffered, failuresInRow: schedule.failuresInRow,
    createdAt: iso(schedule.createdAt), updatedAt: iso(schedule.updatedAt),
  };
}

export const executionWire = (run: Run): Record<string, unknown> => ({
  ...run, nominalAt: iso(run.nominalAt), untilAt: time(run.untilAt), at: iso(run.at), endedAt: time(run.endedAt),
});

/** With the local time as a clock on the wall shows it. */
export function previewWire({ at, offset, change }: Preview): Record<string, unknown> {
  const minutes = Math.abs(offset) / 60_000;
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  const sign = `${offset < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
  return { at: iso(at), local: `${new Date(at + offset).toISOString().slice(0, 19)}${sign}`, offset: sign, dst: change === null ? null : { kind: change.kind, at: iso(change.at) } };
}
