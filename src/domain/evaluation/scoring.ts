// Scoring without a model, and the pass rule for every judge. The same case and trajectory always give the same verdict.
import type { ExpectedStep, Verdict } from './model.ts';
import type { Step } from './steps.ts';

export const PASS_ACCURACY = 70;
export const RULES_VERSION = 'rules@1';

/** accuracy ≥ 70 and no critical failure: a judge that saw one says failed, whatever the figure. */
export const passes = (accuracy: number, judged: 'passed' | 'failed'): 'passed' | 'failed' => (judged === 'passed' && accuracy >= PASS_ACCURACY ? 'passed' : 'failed');

/** Words too common to say that something was understood. */
const COMMON = new Set(('a an and are as at be been by can could did do does each for from had has have how if in into is it its not of on or over per '
  + 'should so than that the their then there these this those to up using was were what when where which while who why will with would').split(' '));

/** Half of the words of an outcome is a mention, four fifths are the outcome. */
const PARTIAL = 0.5;
const FULL = 0.8;

const stem = (word: string): string => word.replace(/(ies)$/, 'y').replace(/(ing|ed|es|s)$/, '');
const words = (text: string): Set<string> => new Set((text.toLowerCase().match(/[\p{L}\p{N}](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?/gu) ?? [])
  .filter((word) => word.length > 1 && !COMMON.has(word)).map(stem));

interface Seen { readonly said: Set<string>; readonly text: string; readonly tools: readonly string[] }

/** 1, 0.5 or 0 for one expected outcome. `tool: name`, `contains: text` and `absent: text` are exact; other texts are matched by their words. */
function met(outcome: string, { said, text, tools }: Seen): number {
  const [, rule, rest = ''] = /^(tool|contains|absent):\s*(.+)$/is.exec(outcome.trim()) ?? [];
  if (rule !== undefined) {
    const found = rule.toLowerCase() === 'tool' ? tools.includes(rest.trim()) : text.includes(rest.trim().toLowerCase());
    return found === (rule.toLowerCase() !== 'absent') ? 1 : 0;
  }
  const wanted = words(outcome);
  if (wanted.size === 0) return 1;
  let found = 0;
  for (const word of wanted) if (said.has(word)) found++;
  const share = found / wanted.size;
  return share >= FULL ? 1 : share >= PARTIAL ? 0.5 : 0;
}

/** A step is met when its tools were called after those of the step before; one without tools, by its words. */
function metSteps(expected: readonly ExpectedStep[], seen: Seen): number[] {
  let from = 0;
  return expected.map((step) => {
    const wanted = step.requiredTools ?? [];
    if (wanted.length === 0) return met(step.description, seen);
    let next = from;
    let found = 0;
    for (const tool of wanted) {
      const at = seen.tools.indexOf(tool, from);
      if (at < 0) continue;
      found++;
      next = Math.max(next, at + 1);
    }
    from = next;
    return found === wanted.length ? 1 : found > 0 ? 0.5 : 0;
  });
}

export interface Expectations { readonly expectedOutcomes?: readonly string[] | undefined; readonly expectedTrajectory?: readonly ExpectedStep[] | undefined }

export function judgeByRules(trajectory: readonly Step[], expected: Expectations): Omit<Verdict, 'judge' | 'usage' | 'duration'> {
  const all = trajectory.map(({ content, toolName = '', toolArgs, type }) => `${content} ${toolName} ${type === 'action' && toolArgs !== undefined ? JSON.stringify(toolArgs) : ''}`).join('\n');
  const seen: Seen = { said: words(all), text: all.toLowerCase(), tools: trajectory.flatMap(({ type, toolName }) => (type === 'action' && toolName !== undefined ? [toolName] : [])) };
  const outcomes = expected.expectedOutcomes ?? [];
  const steps = outcomes.length > 0 ? [] : expected.expectedTrajectory ?? [];
  const points = outcomes.length > 0 ? outcomes.map((outcome) => met(outcome, seen)) : metSteps(steps, seen);
  const names = outcomes.length > 0 ? outcomes : steps.map(({ description }) => description);
  const accuracy = points.length === 0 ? 0 : Math.round((100 * points.reduce((sum, point) => sum + point, 0)) / points.length);
  const critical = criticalFailure(trajectory);
  const lines = names.map((name, i) => `${points[i] === 1 ? 'met' : points[i] === 0.5 ? 'partly met' : 'not met'}: ${name}`);
  if (critical !== null) lines.push(`critical: ${critical}`);
  return {
    passFailStatus: passes(accuracy, critical === null ? 'passed' : 'failed'), metrics: { accuracy }, llmJudgeReasoning: lines.join('\n'),
    improvementStrategies: names.flatMap((name, i) => (points[i] === 1 ? [] : [{ category: 'coverage', issue: `Expected outcome ${i + 1} was ${points[i] === 0.5 ? 'only partly' : 'not'} met`, recommendation: name, priority: points[i] === 0.5 ? 'medium' as const : 'high' as const }])),
  };
}

/** Without an answer, or with an error as the last word, nothing was concluded. */
function criticalFailure(trajectory: readonly Step[]): string | null {
  if (!trajectory.some(({ type }) => type === 'response' || type === 'assistant')) return 'the agent gave no answer';
  const last = trajectory.at(-1);
  return last?.status === 'FAILURE' ? 'the run ended with an error' : null;
}
