// Native words, both ways and pure: Submit JSON → NewJob, JobRecord → Job JSON. The names here do not change.
// Jobs are written as text: inputs and results are JSON text in the store and need not be parsed to be sent.
import type { AttemptOutcome, NewJob } from '../../domain/commands.ts';
import { EMPTY_SPEC, isFinal, type Job, type JobError, type JobSpec, type JobState, type JobStatus, NO_CHILDREN } from '../../domain/job.ts';
import { maxAttemptsOf, type Policies, policyOf } from '../../domain/policy.ts';
import { iso } from '../../orchestrator/final.ts';
import { partSecrets } from '../../orchestrator/secrets.ts';
import type { AttemptRecord, JobRecord } from '../../store/store.ts';
import { Refusal } from '../problem.ts';
import { type Submit, YEAR } from './schemas.ts';

/** Status → the word a poller gets. */
export const STATE_OF = {
  queued: 'PENDING', assigned: 'PENDING', running: 'PENDING', retry: 'PENDING', paused: 'PENDING',
  completed: 'COMPLETE', failed: 'FAIL', cancelled: 'FAIL',
} satisfies Record<JobStatus, JobState>;

const SPEC_KEYS = ['tags', 'maxAttempts', 'backoff', 'ttl', 'timeout', 'deadline', 'callback', 'width', 'completion', 'onChildFailure', 'onParentCancel', 'sealed'] as const;

/** A validated body → what the domain adds. `now` turns delays into due times. */
export function fromWire(body: Submit, now: number): NewJob {
  const spec: Record<string, unknown> = {};
  let chosen = false;
  for (const key of SPEC_KEYS) {
    if (body[key] === undefined) continue;
    spec[key] = body[key];
    chosen = true;
  }
  const input = body.input ?? {};
  if (body.type === 'batch' && (input as { url?: unknown }).url !== undefined) {
    spec['finalCall'] = true;
    chosen = true;
  }
  if (body.dueAt !== undefined) {
    spec['dueAtInstant'] = true;
    chosen = true;
  }
  const dueAt = dueOf(body, now);
  const { input: shown, secret } = body.type === 'container' ? partSecrets(input) : { input, secret: undefined };
  return {
    type: body.type, input: JSON.stringify(shown), ...(secret === undefined ? {} : { secret }), spec: chosen ? (spec as JobSpec) : EMPTY_SPEC,
    ...(body.priority === undefined ? {} : { priority: body.priority }),
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(body.children === undefined ? {} : { children: body.children.map((child) => fromWire(child, now)) }),
  };
}

/** Absent = at once; null = held. */
function dueOf(body: Submit, now: number): number | null | undefined {
  const given = Number(body.delay !== undefined) + Number(body.dueAt !== undefined) + Number(body.hold === true);
  if (given === 0) return undefined;
  if (given > 1) {
    throw new Refusal('invalid', 'Of delay, dueAt and hold only one can be given.', { hint: 'hold waits for POST /start, delay counts from now, dueAt is an instant.' });
  }
  if (body.hold === true) return null;
  if (body.delay !== undefined) return now + body.delay;
  const at = Date.parse(body.dueAt ?? '');
  if (at > now + YEAR) throw new Refusal('invalid', 'dueAt is more than a year ahead.', { hint: 'Use a schedule for what repeats, or a date within a year.', errors: [{ pointer: '#/dueAt', detail: `at most ${iso(now + YEAR)}` }] });
  return Math.max(at, 0);
}

const time = (at: number | null): string => (at === null ? 'null' : `"${iso(at)}"`);
const text = (value: unknown): string => (value === null ? 'null' : JSON.stringify(value));

type ShownAttempt = { readonly number: number; readonly outcome: AttemptOutcome | null; readonly startedAt: number; readonly endedAt: number | null; readonly error: JobError | null; readonly worker: string | null };

/** The attempt that is open, or that ended the job: it is read off the job itself. */
export function lastAttempt(job: Job): ShownAttempt | null {
  if (job.attemptStartedAt === null || job.attempt === 0) return null;
  const outcome = job.status === 'completed' || job.status === 'cancelled' ? job.status
    : job.status === 'failed' ? (job.error?.code === 'timeout' || job.error?.code === 'deadline_exceeded' ? 'timed_out' : 'failed') : null;
  return { number: job.attempt, outcome, startedAt: job.attemptStartedAt, endedAt: job.endedAt, error: outcome === null ? null : job.error, worker: job.worker };
}

const attemptText = (a: ShownAttempt | AttemptRecord, facts: string | undefined): string =>
  `{"number":${a.number},"outcome":${text(a.outcome)},"startedAt":"${iso(a.startedAt)}","endedAt":${time(a.endedAt)},"error":${text(a.error)}`
  + `${a.worker?.startsWith('agent_') === true ? `,"agentId":"${a.worker}"` : ''}${facts === undefined ? '' : `,"run":${facts}`}}`;

function attemptsText(record: JobRecord): string {
  const last = lastAttempt(record.job);
  const isKept = last !== null && record.attempts.some((attempt) => attempt.number === last.number);
  return `[${[...record.attempts, ...(last === null || isKept ? [] : [last])].map((one) => attemptText(one, record.facts.find(({ attempt }) => attempt === one.number)?.facts)).join(',')}]`;
}

function optionsText(spec: JobSpec): string {
  if (spec === EMPTY_SPEC) return '{}';
  const { tags: _tags, finalCall: _finalCall, ...options } = spec;
  return JSON.stringify(options);
}

function childrenText(job: Job): string {
  const c = job.children;
  if (c.total === 0 && job.type !== 'batch') return 'null';
  return `{"total":${c.total},"open":${c.open},"completed":${c.completed},"failed":${c.failed},"cancelled":${c.cancelled}}`;
}

/** JSON text of a job. `result` is JSON text made by renderResult. */
export function jobText(record: JobRecord, result: string, policies: Policies, cursor: string): string {
  const { job } = record;
  const tags = job.spec.tags;
  const created = `"${iso(job.createdAt)}"`;
  return `{"id":"${job.id}","type":"${job.type}","status":"${job.status}","state":"${STATE_OF[job.status]}","priority":${job.priority}`
    + `,"tags":${tags === undefined ? '[]' : JSON.stringify(tags)},"input":${record.input},"result":${result},"error":${text(job.error)}`
    + `,"attempt":${job.attempt},"maxAttempts":${maxAttemptsOf(job, policyOf(policies, job.type))}`
    + `,"attempts":${job.attempt === 0 ? '[]' : attemptsText(record)}`
    + `,"parentId":${text(job.parentId)},"rootId":"${job.rootId}","ordinal":${job.ordinal}`
    + `,"children":${job.children === NO_CHILDREN && job.type !== 'batch' ? 'null' : childrenText(job)},"progress":${job.progress}`
    + `,"createdAt":${created},"startedAt":${time(job.startedAt)},"endedAt":${time(job.endedAt)}`
    + `,"dueAt":${isFinal(job.status) ? 'null' : job.dueAt === job.createdAt ? created : time(job.dueAt)},"options":${optionsText(job.spec)},"cursor":"${cursor}"}`;
}
