// Figures of a run, and of one run against another: means with spread, a confidence interval, PASS or FAIL. Pure.
import type { EvaluationResult } from './model.ts';

export interface Spread {
  readonly n: number;
  readonly mean: number;
  /** Sample standard deviation; 0 for one value. */
  readonly sd: number;
  readonly min: number;
  readonly max: number;
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;

export function spreadOf(values: readonly number[]): Spread | null {
  const n = values.length;
  if (n === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const variance = n < 2 ? 0 : values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { n, mean: round(mean), sd: round(Math.sqrt(variance)), min: Math.min(...values), max: Math.max(...values) };
}

/** 97.5% points of Student's t; beyond 30 degrees of freedom the normal's. Few cases deserve a wide interval. */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042];
const t95 = (n: number): number => T[n - 2] ?? 1.96;

export interface Interval { readonly mean: number; readonly low: number; readonly high: number }

/** 95% interval of the mean. One value alone says nothing about spread: it is not narrowed to a point. */
export function interval95(values: readonly number[]): Interval | null {
  const spread = spreadOf(values);
  if (spread === null) return null;
  if (spread.n < 2) return { mean: spread.mean, low: -100, high: 100 };
  const half = (t95(spread.n) * spread.sd) / Math.sqrt(spread.n);
  return { mean: spread.mean, low: round(spread.mean - half), high: round(spread.mean + half) };
}

export interface CaseFigures {
  readonly useCaseId: string;
  readonly runs: number;
  readonly passed: number;
  readonly failed: number;
  /** Ended without a score. */
  readonly errors: number;
  readonly accuracy: Spread | null;
}

export interface RunFigures {
  readonly cases: readonly CaseFigures[];
  readonly total: number;
  readonly passed: number;
  readonly failed: number;
  readonly errors: number;
  readonly accuracy: Spread | null;
  readonly passRate: number | null;
  readonly tokens: number;
  readonly cost: number;
}

/** One repetition of one case: its result, or null if it ended without one. */
export interface Outcome { readonly useCaseId: string; readonly result: Pick<EvaluationResult, 'accuracy' | 'passFailStatus' | 'tokens' | 'cost'> | null }

const scored = (list: readonly Outcome[]): number[] => list.flatMap(({ result }) => (result?.accuracy === null || result?.accuracy === undefined ? [] : [result.accuracy]));

export function figuresOf(outcomes: readonly Outcome[]): RunFigures {
  const byCase = Map.groupBy(outcomes, ({ useCaseId }) => useCaseId);
  const count = (list: readonly Outcome[], status: 'passed' | 'failed'): number => list.filter(({ result }) => result?.passFailStatus === status).length;
  const cases = [...byCase].map(([useCaseId, list]): CaseFigures => {
    const [passed, failed] = [count(list, 'passed'), count(list, 'failed')];
    return { useCaseId, runs: list.length, passed, failed, errors: list.length - passed - failed, accuracy: spreadOf(scored(list)) };
  });
  const [passed, failed] = [count(outcomes, 'passed'), count(outcomes, 'failed')];
  const sum = (pick: (outcome: Outcome) => number | null | undefined): number => round(outcomes.reduce((total, outcome) => total + (pick(outcome) ?? 0), 0));
  return {
    cases, total: outcomes.length, passed, failed, errors: outcomes.length - passed - failed, accuracy: spreadOf(scored(outcomes)),
    passRate: passed + failed === 0 ? null : round(passed / (passed + failed)), tokens: sum(({ result }) => result?.tokens), cost: sum(({ result }) => result?.cost),
  };
}

export interface CaseDifference { readonly useCaseId: string; readonly before: number | null; readonly after: number | null; readonly difference: number | null; readonly change: 'better' | 'worse' | 'same' | 'added' | 'removed' | 'unscored' }

export interface Comparison {
  readonly cases: readonly CaseDifference[];
  /** Of the differences of cases that both runs scored, in points of accuracy. */
  readonly difference: Interval | null;
  readonly tolerance: number;
  /** PASS: the interval lies above −tolerance. FAIL: the mean lies below, or cases that had a score have none. UNSURE: neither. */
  readonly verdict: 'PASS' | 'FAIL' | 'UNSURE';
  readonly reason: string;
}

/** Points of accuracy that a run may lose before it counts as worse. */
export const TOLERANCE = 5;

/** Case by case, paired: what cases differ in among themselves is not noise of the comparison. */
export function compareRuns(before: readonly Outcome[], after: readonly Outcome[], tolerance = TOLERANCE): Comparison {
  const [old, now] = [Map.groupBy(before, ({ useCaseId }) => useCaseId), Map.groupBy(after, ({ useCaseId }) => useCaseId)];
  const mean = (list: readonly Outcome[] | undefined): number | null => spreadOf(scored(list ?? []))?.mean ?? null;
  const cases = [...new Set([...old.keys(), ...now.keys()])].map((useCaseId): CaseDifference => {
    const [a, b] = [mean(old.get(useCaseId)), mean(now.get(useCaseId))];
    const difference = a === null || b === null ? null : round(b - a);
    const change = !old.has(useCaseId) ? 'added' : !now.has(useCaseId) ? 'removed' : difference === null ? 'unscored' : difference > tolerance ? 'better' : difference < -tolerance ? 'worse' : 'same';
    return { useCaseId, before: a, after: b, difference, change };
  });
  const difference = interval95(cases.flatMap((one) => (one.difference === null ? [] : [one.difference])));
  const lost = cases.filter(({ before: a, after: b, change }) => a !== null && b === null && change !== 'removed').length;
  return { cases, difference, tolerance, ...verdictOf(difference, tolerance, lost, cases.filter(({ change }) => change === 'worse').length) };
}

function verdictOf(difference: Interval | null, tolerance: number, lost: number, worse: number): Pick<Comparison, 'verdict' | 'reason'> {
  if (lost > 0) return { verdict: 'FAIL', reason: `${lost} case${lost === 1 ? ' that had a score has' : 's that had a score have'} none now.` };
  if (difference === null) return { verdict: 'UNSURE', reason: 'The runs have no scored case in common.' };
  const said = `The mean difference is ${difference.mean} points (95% from ${difference.low} to ${difference.high}, tolerance ${tolerance}); ${worse} cases are worse.`;
  if (difference.low >= -tolerance) return { verdict: 'PASS', reason: said };
  // Also with too few cases to tell: a gate that lets a mean beyond the tolerance through is none.
  return difference.mean < -tolerance ? { verdict: 'FAIL', reason: said } : { verdict: 'UNSURE', reason: said };
}
