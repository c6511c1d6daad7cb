// Random trees and steps for the runs. Small numbers on purpose: rules meet only where instants and places are scarce.
import fc from 'fast-check';
import type { NewJob } from '../../../src/domain/commands.ts';
import type { JobSpec } from '../../../src/domain/job.ts';
import type { Outcome } from '../../../src/domain/outcome.ts';
import type { Plan } from './run.ts';
import type { Step } from './world.ts';

const sometimes = <T>(value: fc.Arbitrary<T>, weight = 3): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined, freq: weight });
const clean = (spec: Record<string, unknown>): JobSpec => Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));

const clocks = { ttl: sometimes(fc.constantFrom(5, 30, 80), 5), timeout: sometimes(fc.constantFrom(7, 25), 5), deadline: sometimes(fc.constantFrom(10, 50, 120), 6) };
const common = { ...clocks, maxAttempts: sometimes(fc.constantFrom(1, 2), 3), callback: sometimes(fc.constant('http://127.0.0.1/cb'), 8) };
const leafSpec = fc.record(common).map(clean);
const batchSpec = fc.record({
  ...common, width: sometimes(fc.constantFrom(1, 1, 2, 3), 1),
  completion: sometimes(fc.oneof(fc.constant('all' as const), fc.constant('any' as const), fc.record({ count: fc.integer({ min: 1, max: 4 }) }), fc.record({ percent: fc.constantFrom(1, 34, 50, 100) })), 2),
  onChildFailure: sometimes(fc.constantFrom('continue', 'stop_new', 'cancel_siblings', 'fail_fast'), 2),
  onParentCancel: sometimes(fc.constantFrom('cancel', 'abandon', 'abandon'), 2),
  sealed: sometimes(fc.boolean(), 3), finalCall: sometimes(fc.constant(true), 3),
}).map(clean);

const due = fc.constantFrom<Partial<NewJob>>({}, {}, {}, {}, { dueAt: null }, { priority: 9 }, { priority: 1 });
const leaf: fc.Arbitrary<NewJob> = fc.tuple(fc.constantFrom('noop', 'noop', 'noop', 'timed', 'orphanPaused', 'orphanFailed'), leafSpec, due)
  .map(([type, spec, more]) => ({ type, input: '{}', spec, ...more }));
const batch = (children: fc.Arbitrary<NewJob[]>): fc.Arbitrary<NewJob> => fc.tuple(batchSpec, children, due)
  .map(([spec, list, more]) => ({ type: 'batch', input: '{}', spec, children: list, ...more }));
const { node } = fc.letrec<{ node: NewJob }>((tie) => ({
  node: fc.oneof({ depthSize: 'small', maxDepth: 3 }, leaf, batch(fc.array(tie('node'), { maxLength: 4 }))),
}));
const tree = batch(fc.array(node, { minLength: 0, maxLength: 4 }));

const at = fc.nat({ max: 30 });
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Outcome>({ kind: 'done', result: '1' }) },
  { weight: 3, arbitrary: fc.boolean().map<Outcome>((retryable) => ({ kind: 'fail', error: { code: 'http_status', message: 'No.', retryable } })) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ kind: 'later', delay: 9 }) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ kind: 'paused' }) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ kind: 'interrupted', reason: 'Stop.' }) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ kind: 'timed_out', after: 5 }) },
  { weight: 2, arbitrary: fc.array(node, { maxLength: 3 }).map<Outcome>((children) => ({ kind: 'spawn', children })) },
);
const patch = fc.oneof(
  fc.record({ ttl: fc.constantFrom(null, 1, 60, 500) }), fc.record({ deadline: fc.constantFrom(null, 1, 60, 500) }), fc.record({ timeout: fc.constantFrom(null, 3, 60) }),
  fc.constant({ sealed: true as const }), fc.record({ priority: fc.integer({ min: 1, max: 10 }) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Step>({ do: 'claimAll' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('claim' as const), type: fc.nat({ max: 5 }), limit: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('finish' as const), at: fc.array(at, { minLength: 1, maxLength: 3 }), outcome, stale: fc.constantFrom(false, false, false, false, false, true) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.constantFrom(0, 1, 5, 10, 10, 30, 70), spare: fc.constantFrom(false, false, true) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constantFrom('start', 'pause', 'pause', 'resume', 'resume', 'retry', 'retry', 'cancel', 'cancel'), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('renew', 'note', 'remove'), at }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('edit' as const), at, patch }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('add' as const), at, jobs: fc.array(node, { minLength: 1, maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'recover' }) },
) as fc.Arbitrary<Step>;

export const plans: fc.Arbitrary<Plan> = fc.record({
  trees: fc.array(tree, { minLength: 1, maxLength: 2 }),
  steps: fc.array(fc.tuple(step, fc.constantFrom(false, false, false, true)).map(([one, together]) => ({ ...one, together })), { maxLength: 40 }),
}) as fc.Arbitrary<Plan>;
