// Scores without a model, and figures: the same in, the same out.
import { describe, expect, test } from 'vitest';
import { judgeByRules, passes } from '../../../src/domain/evaluation/scoring.ts';
import { compareRuns, figuresOf, interval95, spreadOf } from '../../../src/domain/evaluation/statistics.ts';
import type { Step } from '../../../src/domain/evaluation/steps.ts';

const step = (type: Step['type'], content: string, more: Partial<Step> = {}): Step => ({ id: content, timestamp: 1, type, content, ...more });
const found = [step('action', 'Calling search...', { toolName: 'search', toolArgs: { index: 'spans' } }), step('action', 'Calling logs...', { toolName: 'logs' }), step('response', 'The payment gateway is slow: roll back the connection pool.')];

describe('rules', () => {
  test.each([
    ['all words', ['the payment gateways were slow'], 100], ['most of the words', ['Identify the slow payment gateway'], 50], ['none', ['memory leak in frontend'], 0],
    ['a tool', ['tool: search', 'contains: ROLL BACK'], 100], ['what must not be there', ['absent: fraud', 'absent: payment'], 50], ['nothing expected', [], 0],
  ])('%s', (_what, expectedOutcomes, accuracy) => {
    const judged = judgeByRules(found, { expectedOutcomes });
    expect(judged).toMatchObject({ metrics: { accuracy }, passFailStatus: accuracy >= 70 ? 'passed' : 'failed' });
    expect(judgeByRules(found, { expectedOutcomes })).toEqual(judged);
  });
  test('tools of a trajectory count in their order', () => {
    const steps = (...tools: string[]) => tools.map((tool) => ({ description: tool, requiredTools: [tool] }));
    expect(judgeByRules(found, { expectedTrajectory: steps('search', 'logs') }).metrics.accuracy).toBe(100);
    expect(judgeByRules(found, { expectedTrajectory: steps('logs', 'search') }).metrics.accuracy).toBe(50);
    expect(judgeByRules(found, { expectedTrajectory: [{ description: 'x', requiredTools: ['search', 'never'] }] }).metrics.accuracy).toBe(50);
  });
  test('no answer and an error at the end are critical, whatever was met', () => {
    const expectedOutcomes = ['tool: search'];
    expect(judgeByRules(found.slice(0, 2), { expectedOutcomes })).toMatchObject({ passFailStatus: 'failed', metrics: { accuracy: 100 } });
    expect(judgeByRules([...found, step('tool_result', 'Error: x', { status: 'FAILURE' })], { expectedOutcomes }).passFailStatus).toBe('failed');
  });
  test('the pass rule is 70, and never against the judge', () => {
    expect([passes(70, 'passed'), passes(69, 'passed'), passes(100, 'failed')]).toEqual(['passed', 'failed', 'failed']);
  });
});

describe('figures', () => {
  const scored = (useCaseId: string, ...values: (number | null)[]) => values.map((accuracy) => ({ useCaseId, result: accuracy === null ? null : { accuracy, passFailStatus: accuracy >= 70 ? 'passed' as const : 'failed' as const, tokens: 10, cost: 0.5 } }));
  test('mean and spread, and cases without a score', () => {
    expect(spreadOf([80, 90, 100])).toEqual({ n: 3, mean: 90, sd: 10, min: 80, max: 100 });
    expect(spreadOf([])).toBeNull();
    expect(figuresOf([...scored('a', 80, 100), ...scored('b', 50, null)])).toMatchObject({ total: 4, passed: 2, failed: 1, errors: 1, tokens: 30, cost: 1.5, passRate: 0.667, cases: [{ useCaseId: 'a', accuracy: { mean: 90 } }, { useCaseId: 'b', errors: 1 }] });
  });
  test('the interval is Student\'s, and of one value it is wide', () => {
    expect(interval95([1, 2, 3, 4])).toEqual({ mean: 2.5, low: 0.446, high: 4.554 }); // 2.5 ± 3.182 · 1.291 / 2
    expect(interval95([5])).toEqual({ mean: 5, low: -100, high: 100 });
  });
  const many = (value: (i: number) => number | null) => Array.from({ length: 20 }, (_, i) => scored(`c${i}`, value(i))).flat();
  test.each([
    ['the same', 0, 'PASS'], ['a little worse', -3, 'PASS'], ['clearly worse', -20, 'FAIL'], ['better', 15, 'PASS'],
  ])('against a baseline: %s', (_what, by, wanted) => expect(compareRuns(many((i) => 60 + (i % 5)), many((i) => 60 + (i % 5) + by)).verdict).toBe(wanted));
  test('against a baseline: a case that had a score and has none fails; noise about nothing is unsure; other cases are no comparison', () => {
    expect(compareRuns(many(() => 80), many((i) => (i === 3 ? null : 80)))).toMatchObject({ verdict: 'FAIL', reason: '1 case that had a score has none now.' });
    expect(compareRuns(many(() => 50), many((i) => (i % 2 === 0 ? 100 : 0))).verdict).toBe('UNSURE');
    expect(compareRuns(scored('a', 1), scored('b', 1))).toMatchObject({ verdict: 'UNSURE', cases: [{ change: 'removed' }, { change: 'added' }] });
  });
});
