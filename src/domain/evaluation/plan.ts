// An experiment as jobs: a held parent whose children are the cases, in order, `width` at a time. Nothing here has a loop
// of its own: pause, resume, cancel and the current index are those of the tree.
import type { NewJob } from '../commands.ts';
import { EMPTY_SPEC, isFinal, type Job, type JobSpec } from '../job.ts';
import type { EvaluationInput, ExperimentInput, JudgeInput, JudgeSettings, TestCase } from './model.ts';

/** Children of one run: their results are read together at its end (about 300 bytes each), and a page of them is a second's read. */
export const RUN_MAX = 5_000;

export interface PlannedCase { readonly id: string; readonly version: number; readonly useCase: TestCase }

export interface PlanParts {
  readonly experiment: ExperimentInput;
  readonly cases: readonly PlannedCase[];
  readonly agent: EvaluationInput['agent'];
  readonly judge: JudgeSettings;
}

export function planExperiment({ experiment, cases, agent, judge }: PlanParts): NewJob {
  const { runConfig } = experiment;
  const repetitions = runConfig.repetitions ?? 1;
  const total = cases.length * repetitions;
  const children = cases.flatMap((one) => Array.from({ length: repetitions }, (_, repetition) => planCase({
    experimentId: experiment.experimentId, experimentRunId: experiment.experimentRunId, useCaseId: one.id, version: one.version, repetition,
    useCase: one.useCase, agent, modelId: judge.modelId, judge, ...(runConfig.limits === undefined ? {} : { limits: runConfig.limits }),
  })));
  const spec: JobSpec = {
    width: runConfig.width ?? 1, finalCall: true,
    ...(runConfig.maxErrorRate === undefined ? {} : { onChildFailure: 'stop_new', tolerate: Math.floor(total * runConfig.maxErrorRate) }),
  };
  return { type: 'experiment', input: JSON.stringify(experiment), spec, dueAt: null, children };
}

/** It makes a final call: once its judge has ended it runs again, to turn the verdict into its own result. */
export const planCase = (input: EvaluationInput): NewJob => ({ type: 'evaluation', input: JSON.stringify(input), spec: { finalCall: true } });

export function planJudge(input: JudgeInput): NewJob {
  const { maxAttempts } = input.judge;
  return { type: 'judge', input: JSON.stringify(input), spec: maxAttempts === undefined ? EMPTY_SPEC : { maxAttempts } };
}

/** The child whose turn it is: as many as have ended. What a cancellation spared never had one. */
export const currentIndex = ({ children }: Job): number => children.completed + children.failed;

/** The word of the contract for the status of one case. A case that a cancellation spared counts as failed there. */
export function caseStatus(job: Pick<Job, 'status' | 'startedAt'>): 'pending' | 'running' | 'completed' | 'failed' {
  if (job.status === 'completed') return 'completed';
  if (isFinal(job.status)) return 'failed';
  return job.startedAt === null ? 'pending' : 'running';
}
