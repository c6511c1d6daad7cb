// Submitting: a job, a tree, or more children for an open batch. All of it or nothing.
import type { Command, NewJob } from './commands.ts';
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';
import { checkUse, noSuchGrant } from './grant.ts';
import { isFinal, isSealed, type Job } from './job.ts';
import { addChildren, addJob } from './transitions.ts';

/** Deep enough for batches of batches of batches; shallow enough that a roll-up never walks far. */
export const MAX_DEPTH = 16;
/** Jobs in one submission, and children of one level of it. */
export const MAX_TREE = 10_000;
/** Children one batch may gather over its life. */
export const MAX_CHILDREN = 1_000_000;

export function decideSubmit(d: Draft, command: Extract<Command, { kind: 'submit' }>): void {
  const { known, grant } = d.snapshot;
  if (command.under !== undefined) {
    if (grant === null) throw noSuchGrant(command.under.permissionId);
    checkUse(grant, command.under, d.env.now);
  }
  if (command.idempotency !== undefined && known !== null) {
    if (known.bodyHash !== command.idempotency.bodyHash) {
      throw new DomainError('idempotency_mismatch', 'This Idempotency-Key was used before with another body.', {
        hint: 'Send the first body again to get its job, or use a new key for new work.', jobIds: known.jobIds,
      });
    }
    d.answer.replayed = known.jobIds;
    return;
  }
  const parent = command.parentId === undefined ? null : d.get(command.parentId);
  checkSize(command.jobs, parent === null ? 0 : parent.depth + 1);
  d.answer.jobs = parent === null
    ? command.jobs.map((plan) => addJob(d, plan, null, 0))
    : addToBatch(d, parent, command.jobs);
  if (command.idempotency !== undefined) {
    d.set({ kind: 'remember', claim: command.idempotency, jobIds: d.answer.jobs.map((job) => job.id) });
  }
}

function addToBatch(d: Draft, parent: Job, plans: readonly NewJob[]): Job[] {
  if (parent.type !== 'batch') throw new DomainError('conflict', `Job ${parent.id} is a ${parent.type}; only a batch takes children.`);
  if (isFinal(parent.status)) throw new DomainError('conflict', `Batch ${parent.id} is ${parent.status}; it takes no more children.`);
  if (isSealed(parent)) {
    throw new DomainError('sealed', `Batch ${parent.id} is sealed.`, { hint: 'Create it with "sealed": false to add children later, and PATCH {"sealed": true} when it has them all.' });
  }
  if (parent.leaseUntil !== null) throw new DomainError('conflict', `Batch ${parent.id} is making its final call; it takes no more children.`);
  const { failed, cancelled, total } = parent.children;
  if ((parent.spec.onChildFailure ?? 'continue') !== 'continue' && failed + cancelled > 0) {
    throw new DomainError('conflict', `Batch ${parent.id} stopped taking children when one of them failed.`);
  }
  if (total + plans.length > MAX_CHILDREN) throw new DomainError('too_large', `A batch holds at most ${MAX_CHILDREN} children; ${parent.id} has ${total}.`);
  return addChildren(d, parent, plans);
}

/** A sealed batch that wants more than it has could only fail. */
function checkGoal({ spec, children }: NewJob): void {
  const { completion, sealed } = spec;
  const total = children?.length ?? 0;
  if (typeof completion !== 'object' || !('count' in completion) || sealed === false || completion.count <= total) return;
  throw new DomainError('invalid', `The batch wants ${completion.count} completed children and has ${total}.`, { hint: 'Lower completion.count, add children, or send "sealed": false to add them later.' });
}

export function checkSize(plans: readonly NewJob[], depth: number): void {
  let count = 0;
  const walk = (list: readonly NewJob[], level: number): void => {
    if (level > MAX_DEPTH) throw new DomainError('invalid', `The tree is deeper than ${MAX_DEPTH} levels.`, { hint: 'Flatten it, or submit parts of it as trees of their own.' });
    count += list.length;
    if (count > MAX_TREE) throw new DomainError('invalid', `One submission holds at most ${MAX_TREE} jobs.`, { hint: 'Create the batch with "sealed": false and add its children in several submissions.' });
    for (const plan of list) {
      checkGoal(plan);
      if (plan.children !== undefined) walk(plan.children, level + 1);
    }
  };
  walk(plans, depth);
}
