// `evaluation`: one case against one agent. It runs twice: first the agent, whose trajectory becomes a report and is handed
// to a judge as a child; and, when that has ended, once more to turn the verdict into its own result.
import type { Claim } from '../../domain/commands.ts';
import type { NewDocument } from '../../domain/document.ts';
import { type EvaluationInput, type EvaluationResult, reportIdOf, type Verdict } from '../../domain/evaluation/model.ts';
import { planJudge } from '../../domain/evaluation/plan.ts';
import type { JobError } from '../../domain/job.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { readJson } from '../../domain/read-json.ts';
import type { Handler, HandlerContext } from '../handler.ts';
import { reasonOf } from '../egress/exchange.ts';
import { type AgentRun, runAgent } from './agent.ts';
import { clipText } from './clip.ts';
import { Pump } from './pump.ts';
import { redactJson, type Redact, redactor } from './redact.ts';
import { DEFER, type EvaluationTools, Places } from './tools.ts';

/** Runs of one agent at once, if it does not say: more than most test deployments stand. */
const AGENT_CONCURRENCY = 10;

export function createEvaluation(tools: EvaluationTools): Handler {
  const places = new Places();
  const pump = new Pump(tools.clock);
  return async (job, context) => {
    const input = readJson(job.input) as EvaluationInput;
    if (job.children.total > 0) return await conclude(job, input, context);
    const leave = places.enter(input.agent.key, input.agent.concurrency ?? AGENT_CONCURRENCY);
    if (leave === null) {
      tools.meter.deferred('agent');
      return { kind: 'later', delay: DEFER };
    }
    try {
      return await evaluate(tools, pump, job, input, context);
    } finally {
      leave();
    }
  };
}

async function evaluate(tools: EvaluationTools, pump: Pump, job: Claim, input: EvaluationInput, context: HandlerContext): Promise<Outcome> {
  const headers = { ...(await headersOf(tools, 'agent', input.agent.key)), ...(input.experimentRunId === null ? {} : await headersOf(tools, 'experiment', input.experimentRunId)) };
  const redact = redactor(Object.values(headers));
  context.log(`Case ${input.useCaseId} (version ${input.version}): asking agent ${input.agent.key}`);
  const run = clean(await runAgent(tools, pump, input, job, {
    headers, signal: context.signal,
    onStep: (step) => context.step({ useCaseId: input.useCaseId, repetition: input.repetition, attempt: job.attempt, step: redactJson(redact, step) }),
  }), redact);
  if (run.aborted || context.signal.aborted) return { kind: 'interrupted', reason: reasonOf(context.signal) };
  context.log(`Agent completed, runId: ${run.runId ?? 'none'} (${run.events} events, ${run.steps.length} steps, ${run.duration} ms${run.limit === null ? '' : `, cut at its limit of ${run.limit}`})`);
  if (run.error !== null) {
    context.log(`Evaluation failed: ${run.error.message}`);
    return { kind: 'fail', error: { ...run.error, retryable: false }, documents: [reportOf(job, input, run)], result: failedResult(job, input) };
  }
  const { expectedOutcomes, expectedTrajectory } = input.useCase;
  return {
    kind: 'spawn', documents: [reportOf(job, input, run)],
    children: [planJudge({
      reportId: reportIdOf(job.id), judge: input.judge, ...(expectedOutcomes === undefined ? {} : { expectedOutcomes }), ...(expectedTrajectory === undefined ? {} : { expectedTrajectory }),
    })],
  };
}

async function headersOf(tools: EvaluationTools, kind: 'agent' | 'experiment', id: string): Promise<Record<string, string>> {
  const text = await tools.secret(kind, id);
  return text === null ? {} : ((JSON.parse(text) as { headers?: Record<string, string> }).headers ?? {});
}

const clean = (run: AgentRun, redact: Redact): AgentRun => ({
  ...run, steps: redactJson(redact, run.steps), rawEvents: redact(run.rawEvents),
  error: run.error === null ? null : { ...run.error, message: redact(run.error.message) },
});

function reportOf(job: Claim, input: EvaluationInput, run: AgentRun): NewDocument {
  const answer = run.steps.findLast(({ type }) => type === 'response') ?? run.steps.findLast(({ type }) => type === 'assistant');
  const body = {
    jobId: job.id, experimentId: input.experimentId, experimentRunId: input.experimentRunId, testCaseId: input.useCaseId, testCaseVersionId: `${input.useCaseId}-v${input.version}`,
    testCaseName: input.useCase.name, agentId: input.agent.key, modelId: input.modelId, iteration: input.repetition + 1, status: run.error === null ? 'completed' : 'failed',
    traceId: run.runId, tags: input.useCase.labels ?? [], actualOutcomes: answer === undefined ? [] : [clipText(answer.content, 4_000)],
    error: run.error, limit: run.limit, events: run.events, rawEventsDropped: run.rawDropped, steps: run.steps.length, usage: run.usage, duration: run.duration,
    expectedOutcomes: input.useCase.expectedOutcomes ?? [], expectedTrajectory: input.useCase.expectedTrajectory ?? [],
  };
  return {
    kind: 'report', id: reportIdOf(job.id), owner: job.rootId, subject: input.useCaseId, name: input.useCase.name, body: JSON.stringify(body),
    parts: { trajectory: JSON.stringify(run.steps), rawEvents: run.rawEvents },
  };
}

/** The judge has ended. Its verdict stands beside the report; what the run needs of it is the result. */
async function conclude(job: Claim, input: EvaluationInput, context: HandlerContext): Promise<Outcome> {
  const final = await context.finalBody(job.id);
  const child = final?.children.at(-1);
  const reportId = reportIdOf(job.id);
  const verdict = child?.result as (Verdict & { readonly run?: RunFacts }) | undefined;
  if (verdict === undefined) {
    const error = child?.error as JobError | null | undefined;
    const message = `The judge gave no verdict: ${error?.message ?? 'it was stopped.'}`;
    context.log(`Evaluation failed: ${message}`);
    return {
      kind: 'fail', error: { code: error?.code === 'cancelled' || error === undefined || error === null ? 'child_failed' : error.code, message, retryable: false }, result: failedResult(job, input),
      documents: [{ kind: 'verdict', id: `verdict_${job.id.slice(4)}`, owner: reportId, name: 'failed', body: JSON.stringify({ error: message, judge: { kind: input.judge.kind, modelId: input.judge.modelId } }) }],
    };
  }
  const run = verdict.run;
  const cost = run?.cost === undefined && verdict.usage === null ? null : (run?.cost ?? 0) + (verdict.usage?.cost ?? 0);
  const tokens = run?.tokens === undefined && verdict.usage === null ? null : (run?.tokens ?? 0) + (verdict.usage === null ? 0 : verdict.usage.inputTokens + verdict.usage.outputTokens);
  const result: EvaluationResult = {
    useCaseId: input.useCaseId, repetition: input.repetition, reportId, runId: run?.runId ?? null, passFailStatus: verdict.passFailStatus,
    accuracy: verdict.metrics.accuracy, limit: run?.limit ?? null, tokens, cost, duration: run?.duration ?? 0,
  };
  return { kind: 'done', result: JSON.stringify(result) };
}

/** A case without a score has a report all the same. */
const failedResult = (job: Claim, input: EvaluationInput): string => JSON.stringify({ useCaseId: input.useCaseId, repetition: input.repetition, reportId: reportIdOf(job.id) });

/** What the judge read in the report and hands back, so that its parent need not read it again. */
export interface RunFacts { readonly runId: string | null; readonly limit: string | null; readonly duration: number; readonly tokens?: number | undefined; readonly cost?: number | undefined }
