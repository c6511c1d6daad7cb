// Why a job is not running, as ordered reasons with a code and what would unblock it. Pure: facts in, reasons out.
import { isFinal, isParentAtWork, type Job, type JobStatus } from '../domain/job.ts';
import type { StoreHealth } from '../store/store.ts';
import type { TypeCapacity } from './capacity.ts';

export const REASON_CODES = [
  'held', 'delayed', 'retry_backoff', 'paused', 'ancestor_paused', 'width_full', 'type_at_limit', 'waiting_for_children',
  'dependency', 'no_capable_agent', 'agents_busy', 'trust_below_floor', 'rate_limited', 'storage_full',
] as const;
export type ReasonCode = (typeof REASON_CODES)[number];

export interface Reason {
  readonly code: ReasonCode;
  readonly message: string;
  readonly unblock: string;
}

export interface Explanation {
  readonly jobId: string;
  readonly status: JobStatus;
  /** It runs, or nothing but its turn stands between it and running. */
  readonly runnable: boolean;
  readonly reasons: readonly Reason[];
}

export interface Facts {
  /** The job, then its ancestors, nearest first. */
  readonly lineage: readonly [Job, ...Job[]];
  readonly capacity: readonly TypeCapacity[];
  readonly health: StoreHealth;
  readonly now: number;
}

export function explain(facts: Facts): Explanation {
  const [job] = facts.lineage;
  const { id: jobId, status } = job;
  if (isFinal(status)) return { jobId, status, runnable: false, reasons: [] };
  const reasons = [...whatStops(facts, 0)];
  return { jobId, status, runnable: reasons.length === 0, reasons };
}

/** What stops the job at this place of the lineage; what must be solved first comes first. */
function* whatStops(facts: Facts, at: number): Generator<Reason> {
  const { lineage, now } = facts;
  const job = lineage[at];
  if (job === undefined) return;
  const paused = lineage.slice(at + 1).find((ancestor, i, above) => ancestor.status === 'paused' && above.slice(0, i).every((between) => !isFinal(between.status)));
  if (job.status === 'paused') yield { code: 'paused', message: `${name(job, at)} is paused.`, unblock: `POST /api/jobs/${job.id}/resume` };
  if (paused !== undefined) yield { code: 'ancestor_paused', message: `Its batch ${paused.id} is paused.`, unblock: `POST /api/jobs/${paused.id}/resume` };
  if (isParentAtWork(job)) {
    if (at === 0) yield children(job);
    return;
  }
  if (job.status !== 'queued' && job.status !== 'retry') return;
  if (job.dueAt === null) yield { code: 'held', message: `${name(job, at)} was submitted on hold.`, unblock: `POST /api/jobs/${job.id}/start` };
  else if (job.dueAt > now) yield due(job, at, now);
  if (job.gate === 'parent') yield* gated(facts, at);
  else if (paused === undefined && job.dueAt !== null && job.dueAt <= now) {
    const type = facts.capacity.find((entry) => entry.type === job.type);
    if (type === undefined) yield { code: 'no_capable_agent', message: `Nothing here runs jobs of type ${job.type}.`, unblock: 'It waits until something that does takes it.' };
    if (type !== undefined && type.running >= type.limit) {
      const raise = `PATCH /api/types/${type.type} {"concurrency":${Math.max(1, type.limit * 2)}}`;
      yield type.limit === 0
        ? { code: 'type_at_limit', message: `The type ${type.type} is stopped: its limit is 0.`, unblock: raise }
        : { code: 'type_at_limit', message: `As many jobs of type ${type.type} run as may: ${type.limit}.`, unblock: `Wait for one to end, or ${raise}` };
    }
  }
  if (at === 0 && facts.health === 'full') yield { code: 'storage_full', message: 'The disk is full; no new work is started.', unblock: 'Free space on the disk of the database; work goes on by itself.' };
}

/** Its parent has not let it in: either it has not begun, or as many as it allows are open. */
function* gated(facts: Facts, at: number): Generator<Reason> {
  const parent = facts.lineage[at + 1];
  if (parent === undefined || parent.status === 'paused') return; // named as ancestor_paused
  if (!isParentAtWork(parent)) {
    yield* whatStops(facts, at + 1);
    return;
  }
  const { open, waiting } = parent.children;
  yield {
    code: 'width_full', message: `Batch ${parent.id} runs ${parent.spec.width ?? open - waiting} of its children at once; ${open - waiting} are open and ${waiting} wait.`,
    unblock: 'It is let in, in the order of submission, when a sibling ends.',
  };
}

function due(job: Job, at: number, now: number): Reason {
  const when = new Date(job.dueAt ?? now).toISOString();
  const start = `It runs by itself; POST /api/jobs/${job.id}/start runs it now.`;
  if (job.status === 'retry') {
    return { code: 'retry_backoff', message: `Attempt ${job.attempt} failed (${job.error?.code ?? 'unknown'}: ${job.error?.message ?? ''}); the next is due at ${when}.`, unblock: start };
  }
  if (job.attemptStartedAt !== null) return { code: 'delayed', message: `${name(job, at)} answered "not yet"; it is asked again at ${when}.`, unblock: start };
  return { code: 'delayed', message: `${name(job, at)} is due at ${when}.`, unblock: start };
}

function children(job: Job): Reason {
  const { open, total } = job.children;
  if (open === 0) {
    return { code: 'waiting_for_children', message: 'The batch may still get children, and all it has have ended.', unblock: `POST /api/jobs with "parentId", or PATCH /api/jobs/${job.id} {"sealed":true}` };
  }
  return { code: 'waiting_for_children', message: `${open} of its ${total} children are open.`, unblock: `It ends when they do; GET /api/jobs/${job.id}/children?status=queued,running,retry,paused names them.` };
}

const name = (job: Job, at: number): string => (at === 0 ? 'The job' : `Its batch ${job.id}`);
