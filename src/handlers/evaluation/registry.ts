// The job types of evaluations as rows: what differs between them and the others is here.
import { DEFAULT_POLICY, type TypePolicy } from '../../domain/policy.ts';
import type { Registry } from '../handler.ts';
import { TOTAL } from './agent.ts';
import { createEvaluation } from './evaluation.ts';
import { createExperiment } from './experiment.ts';
import { createJudge } from './judge.ts';
import type { EvaluationTools } from './tools.ts';

const EXPERIMENT: TypePolicy = { ...DEFAULT_POLICY, maxAttempts: 4, gentle: true };

const EVALUATION: TypePolicy = {
  ...DEFAULT_POLICY,
  maxAttempts: 1, // a failed run is a finding, not a nuisance; retry of the failed ones is a verb
  timeout: 24 * 3_600_000, // a backstop only: each run ends by the limits of its agent (ten minutes unless it says otherwise)
};

const JUDGE: TypePolicy = {
  ...DEFAULT_POLICY,
  maxAttempts: 10, // 1 + 2 + 4 + … + 256 s: rides out eight minutes of a provider's trouble
  backoff: { kind: 'exponential', base: 1_000, cap: 256_000, jitter: true },
  timeout: TOTAL, // a backstop: each question ends by its own time-out
};

export const createEvaluationTypes = (tools: EvaluationTools): Registry => ({
  // The final count only; the parent itself holds no place.
  experiment: { policy: EXPERIMENT, concurrency: 20, run: createExperiment(tools) },
  // They wait for agents, not for this machine; each open stream may hold some MiB, and an agent has a limit of its own.
  evaluation: { policy: EVALUATION, concurrency: 100, run: createEvaluation(tools) },
  judge: { policy: JUDGE, concurrency: 50, run: createJudge(tools) },
});
