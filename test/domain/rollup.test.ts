// What a batch's rules say of its children, as a table; and against a second wording for every small combination.
import { expect, test } from 'vitest';
import { CHILD_FAILURE_RULES, type ChildCounts, type Completion, type JobSpec } from '../../src/domain/job.ts';
import { admissible, judge, makesFinalCall, needed } from '../../src/domain/rollup.ts';
import { job } from '../support/make.ts';

const count = (completed: number, failed: number, cancelled: number, open: number): ChildCounts =>
  ({ total: completed + failed + cancelled + open, completed, failed, cancelled, open, waiting: 0 });

//   rule                  on failure          sealed   done fail canc open   verdict      cut
test.each<[Completion, JobSpec['onChildFailure'], boolean, number, number, number, number, string, string | null]>([
  ['all',            'continue',         true,  0, 0, 0, 0, 'completed', null],
  ['all',            'continue',         true,  3, 0, 0, 0, 'completed', null],
  ['all',            'continue',         true,  2, 0, 0, 1, 'open',      null],
  ['all',            'continue',         true,  2, 1, 0, 0, 'failed',    null],
  ['all',            'continue',         true,  1, 1, 0, 1, 'open',      null],
  ['all',            'continue',         true,  2, 0, 1, 0, 'failed',    null],
  ['all',            'continue',         false, 3, 0, 0, 0, 'open',      null],
  ['all',            'continue',         false, 2, 1, 0, 0, 'open',      null],
  ['all',            'stop_new',         true,  1, 1, 0, 2, 'open',      'unstarted'],
  ['all',            'stop_new',         true,  1, 1, 2, 0, 'failed',    null],
  ['all',            'stop_new',         false, 1, 1, 0, 0, 'failed',    null],
  ['all',            'cancel_siblings',  true,  1, 1, 0, 2, 'open',      'all'],
  ['all',            'cancel_siblings',  true,  1, 0, 1, 2, 'open',      'all'],
  ['all',            'cancel_siblings',  false, 1, 1, 2, 0, 'failed',    null],
  ['all',            'fail_fast',        true,  1, 1, 0, 2, 'open',      'all'],
  ['all',            'fail_fast',        true,  1, 1, 2, 0, 'failed',    null],
  ['any',            'continue',         true,  1, 0, 0, 2, 'open',      'all'],
  ['any',            'continue',         true,  1, 0, 2, 0, 'completed', null],
  ['any',            'fail_fast',        true,  1, 0, 2, 0, 'completed', null],
  ['any',            'fail_fast',        true,  0, 1, 0, 2, 'open',      'all'],
  ['any',            'continue',         true,  0, 3, 0, 0, 'failed',    null],
  ['any',            'continue',         true,  0, 0, 0, 0, 'failed',    null],
  ['any',            'continue',         false, 0, 0, 0, 0, 'open',      null],
  ['any',            'continue',         false, 1, 0, 0, 0, 'completed', null],
  [{ count: 2 },     'continue',         true,  1, 1, 0, 1, 'open',      null],
  [{ count: 2 },     'continue',         true,  2, 1, 0, 1, 'open',      'all'],
  [{ count: 2 },     'continue',         true,  2, 1, 1, 0, 'completed', null],
  [{ count: 2 },     'continue',         true,  1, 2, 0, 0, 'failed',    null],
  [{ count: 9 },     'continue',         true,  3, 0, 0, 0, 'failed',    null],
  [{ count: 9 },     'continue',         false, 3, 0, 0, 0, 'open',      null],
  [{ percent: 50 },  'continue',         true,  1, 2, 0, 0, 'failed',    null],
  [{ percent: 50 },  'continue',         true,  2, 1, 0, 0, 'completed', null],
  [{ percent: 50 },  'continue',         false, 3, 0, 0, 0, 'open',      null],
  [{ percent: 100 }, 'continue',         true,  3, 0, 0, 0, 'completed', null],
  [{ percent: 1 },   'continue',         true,  1, 0, 0, 9, 'open',      'all'],
])('%j, %s, sealed %s: %i completed, %i failed, %i cancelled, %i open → %s, cut %s', (completion, onChildFailure, sealed, completed, failed, cancelled, open, verdict, cut) => {
  expect(judge({ completion, onChildFailure: onChildFailure ?? 'continue' }, count(completed, failed, cancelled, open), sealed)).toEqual({ verdict, cut });
});

test('a verdict stands only when no child is open, and every sealed batch gets one then', () => {
  const rules: Completion[] = ['all', 'any', { count: 1 }, { count: 3 }, { percent: 1 }, { percent: 34 }, { percent: 100 }];
  let seen = 0;
  for (const completion of rules) for (const onChildFailure of CHILD_FAILURE_RULES) for (const sealed of [true, false]) {
    for (let n = 0; n < 4 ** 4; n++) {
      const c = count(n % 4, (n >> 2) % 4, (n >> 4) % 4, (n >> 6) % 4);
      const spec: JobSpec = { completion, onChildFailure };
      const { verdict, cut } = judge(spec, c, sealed);
      if (c.open > 0) expect(verdict).toBe('open');
      else {
        expect(cut).toBeNull();
        if (sealed) expect(verdict).toBe(c.completed >= needed(spec, c, sealed) ? 'completed' : 'failed');
      }
      seen += 1;
    }
  }
  expect(seen).toBe(7 * 4 * 2 * 256);
});

test('percent of a total is rounded up', () => {
  for (let total = 0; total <= 200; total++) for (let percent = 1; percent <= 100; percent++) {
    const need = needed({ completion: { percent } }, { ...count(0, 0, 0, total) }, true);
    expect(need * 100 >= total * percent && (need - 1) * 100 < total * percent).toBe(true);
  }
});

test.each([
  [undefined, 5, 3, 3], [1, 5, 5, 1], [1, 5, 4, 0], [2, 5, 5, 2], [2, 5, 4, 1], [2, 5, 3, 0], [2, 6, 1, 0], [9, 3, 3, 3], [3, 2, 0, 0],
])('width %s with %i open, %i of them waiting, lets %i in', (width, open, waiting, expected) => {
  const children = { ...count(0, 0, 0, open), waiting };
  expect(admissible(job({ children, spec: width === undefined ? {} : { width } }))).toBe(expected);
});

test.each([
  [{ finalCall: true }, count(2, 0, 0, 0), true], [{ finalCall: true }, count(1, 1, 0, 0), true], [{}, count(2, 0, 0, 0), false],
  [{ finalCall: true }, count(1, 0, 0, 1), false], [{ finalCall: true, onChildFailure: 'fail_fast' }, count(1, 1, 0, 0), false],
  [{ finalCall: true, onChildFailure: 'fail_fast' }, count(2, 0, 0, 0), true], [{ finalCall: true, sealed: false }, count(2, 0, 0, 0), false],
  [{ finalCall: true, sealed: false, completion: 'any' }, count(1, 0, 1, 0), true],
] as const)('%j with %j makes its final call: %s', (spec, children, expected) => {
  expect(makesFinalCall(job({ type: 'batch', spec, children }))).toBe(expected);
});
