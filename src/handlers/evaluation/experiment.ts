// `experiment`: a parent whose work is its cases. This runs only when they have ended: it counts, compares with the baseline
// if there is one, and says what the run came to.
import type { ExperimentInput } from '../../domain/evaluation/model.ts';
import { compareRuns, figuresOf } from '../../domain/evaluation/statistics.ts';
import { readJson } from '../../domain/read-json.ts';
import type { Handler } from '../handler.ts';
import { terminal } from '../request.ts';
import type { EvaluationTools } from './tools.ts';

export const createExperiment = (tools: EvaluationTools): Handler => async (job, context) => {
  const { runConfig, experimentRunId } = readJson(job.input) as ExperimentInput;
  const outcomes = await tools.outcomes(job.id);
  const { cases: _cases, ...figures } = figuresOf(outcomes);
  const before = runConfig.baseline === undefined ? null : await tools.outcomes(runConfig.baseline.jobId);
  const comparison = before === null ? null : compareRuns(before, outcomes, runConfig.baseline?.tolerance);
  const gate = comparison === null ? null : { baseline: runConfig.baseline?.jobId, verdict: comparison.verdict, reason: comparison.reason, difference: comparison.difference, tolerance: comparison.tolerance };
  const result = JSON.stringify({ experimentRunId, ...figures, gate });
  const { failed } = job.children;
  const allowed = runConfig.maxErrorRate === undefined ? Infinity : Math.floor(job.children.total * runConfig.maxErrorRate);
  if (failed > allowed) {
    const outcome = terminal('error_rate', `${failed} of ${job.children.total} cases ended without a score; at most ${allowed} may (maxErrorRate ${runConfig.maxErrorRate ?? 1}). What was not begun was not run.`);
    return outcome.kind === 'fail' ? { ...outcome, result } : outcome;
  }
  context.log(`${figures.passed} passed, ${figures.failed} failed, ${figures.errors} without a score${gate === null ? '' : `; against ${gate.baseline ?? '?'}: ${gate.verdict}`}`);
  return { kind: 'done', result };
};
