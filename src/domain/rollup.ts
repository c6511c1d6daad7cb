// What a batch's rules say of its children. Counters only: the cost does not grow with the number of siblings.
import { type ChildCounts, type Job, isSealed, type JobSpec } from './job.ts';

export interface Judgement {
  readonly verdict: 'open' | 'completed' | 'failed';
  /** Open children to cancel before the verdict can stand: no parent ends before its children. */
  readonly cut: 'all' | 'unstarted' | null;
}

/** Completed children that make a batch a success, or Infinity while that cannot be known. */
export function needed(spec: JobSpec, children: ChildCounts, sealed: boolean): number {
  const rule = spec.completion ?? 'all';
  if (rule === 'any') return 1;
  if (typeof rule === 'object' && 'count' in rule) return rule.count;
  if (!sealed) return Infinity; // all and percent are of a total that may still grow
  return rule === 'all' ? children.total : Math.ceil((children.total * rule.percent) / 100);
}

export function judge(spec: JobSpec, children: ChildCounts, sealed: boolean): Judgement {
  const reached = children.completed >= needed(spec, children, sealed);
  const tripped = children.failed + children.cancelled > (spec.tolerate ?? 0);
  const rule = tripped ? (spec.onChildFailure ?? 'continue') : 'continue';
  const ended = children.open === 0;

  // Reached comes first: cutting what is no longer needed must not turn a success into a failure.
  if (reached) return { verdict: ended ? 'completed' : 'open', cut: ended ? null : 'all' };
  if (rule === 'fail_fast' || rule === 'cancel_siblings') return { verdict: ended ? 'failed' : 'open', cut: ended ? null : 'all' };
  if (rule === 'stop_new') return { verdict: ended ? 'failed' : 'open', cut: ended ? null : 'unstarted' };
  return { verdict: ended && sealed ? 'failed' : 'open', cut: null };
}

export const judgeJob = (job: Job): Judgement => judge(job.spec, job.children, isSealed(job));

/** Is it this batch's turn to make its own call? One that fails fast fails without it. */
export function makesFinalCall(job: Job): boolean {
  if (job.spec.finalCall !== true) return false;
  const { verdict } = judgeJob(job);
  return verdict === 'completed' || (verdict === 'failed' && job.spec.onChildFailure !== 'fail_fast');
}

/** How many waiting children may be let in now. */
export function admissible(job: Job): number {
  const { open, waiting } = job.children;
  return Math.min(waiting, Math.max(0, (job.spec.width ?? Infinity) - (open - waiting)));
}

export function describeFailure({ id, spec, children }: Job): string {
  const wanted = needed(spec, children, true);
  const parts = [`${children.completed} of ${children.total} children completed${wanted === children.total ? '' : `, ${wanted} were wanted`}`];
  if (children.failed > 0) parts.push(`${children.failed} failed`);
  if (children.cancelled > 0) parts.push(`${children.cancelled} cancelled`);
  const named = children.failed > 0 ? ` GET /api/jobs/${id}/children?status=failed names them.` : '';
  return `${parts.join(', ')}.${named}`;
}
