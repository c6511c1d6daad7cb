// `judge`: scores a report, or a trajectory that came along. A job of its own, so that scoring can be done again without
// running the agent again, and so that every try is on record.
import type { NewDocument } from '../../domain/document.ts';
import type { JudgeInput, Verdict } from '../../domain/evaluation/model.ts';
import { judgeByRules, RULES_VERSION } from '../../domain/evaluation/scoring.ts';
import type { Step } from '../../domain/evaluation/steps.ts';
import { readJson } from '../../domain/read-json.ts';
import { reasonOf } from '../egress/exchange.ts';
import type { Handler } from '../handler.ts';
import { terminal } from '../request.ts';
import type { RunFacts } from './evaluation.ts';
import { askModel, type JudgeAnswer } from './openai.ts';
import { DEFER, type EvaluationTools, Places } from './tools.ts';

/** Questions to one model at once, if it does not say: within what providers allow everybody. */
const MODEL_CONCURRENCY = 4;

export function createJudge(tools: EvaluationTools): Handler {
  const places = new Places();
  return async (job, context) => {
    const input = readJson(job.input) as JudgeInput;
    const trajectory = input.trajectory ?? (await trajectoryOf(tools, input.reportId));
    if (trajectory === null) return terminal('handler_error', `Report ${input.reportId ?? '?'} was deleted before it was judged.`);
    const answer = await judge(tools, places, input, trajectory, context.signal);
    if (answer === null) return { kind: 'later', delay: DEFER };
    if (context.signal.aborted) return { kind: 'interrupted', reason: reasonOf(context.signal) };
    if (!answer.ok) {
      context.log(`Try ${job.failures + 1}: ${answer.error.message}`);
      return { kind: 'fail', error: answer.error, ...(answer.delay === undefined ? {} : { delay: answer.delay }) };
    }
    const { verdict } = answer;
    context.log(`${verdict.judge.modelId} (${verdict.judge.prompt}): ${verdict.passFailStatus}, accuracy ${verdict.metrics.accuracy}`);
    if (input.reportId === null) return { kind: 'done', result: JSON.stringify(verdict) };
    const keep: NewDocument = { kind: 'verdict', id: `verdict_${job.id.slice(4)}`, owner: input.reportId, name: verdict.passFailStatus, body: JSON.stringify(verdict) };
    return { kind: 'done', result: JSON.stringify({ ...verdict, run: await factsOf(tools, input.reportId) }), documents: [keep] };
  };
}

async function trajectoryOf(tools: EvaluationTools, reportId: string | null): Promise<readonly Step[] | null> {
  const text = reportId === null ? null : await tools.part('report', reportId, 'trajectory');
  return text === null ? null : (readJson(text) as readonly Step[]);
}

async function factsOf(tools: EvaluationTools, reportId: string): Promise<RunFacts | undefined> {
  const report = await tools.report(reportId);
  if (report === null) return undefined;
  const { traceId, limit, duration, usage } = report;
  return {
    runId: traceId, limit, duration, ...(usage === null ? {} : { tokens: usage.inputTokens + usage.outputTokens }), ...(usage === null || usage.cost === null ? {} : { cost: usage.cost }),
  };
}

/** Null: the model has as many questions as it may. */
async function judge(tools: EvaluationTools, places: Places, input: JudgeInput, trajectory: readonly Step[], signal: AbortSignal): Promise<JudgeAnswer | null> {
  if (input.judge.kind === 'rules') {
    const since = tools.clock.monotonic();
    const scored = judgeByRules(trajectory, input);
    const verdict: Verdict = { ...scored, judge: { kind: 'rules', modelId: input.judge.modelId, model: null, prompt: RULES_VERSION }, usage: null, duration: Math.round(tools.clock.monotonic() - since) };
    return { ok: true, verdict };
  }
  const leave = places.enter(input.judge.modelId, input.judge.concurrency ?? MODEL_CONCURRENCY);
  if (leave === null) {
    tools.meter.deferred('judge');
    return null;
  }
  try {
    return await askModel(tools, input, trajectory, signal);
  } finally {
    leave();
  }
}
