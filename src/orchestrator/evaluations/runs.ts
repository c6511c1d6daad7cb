// Running evaluations: an experiment, one case, a judge again. Everything here is a submission or a verb of a job.
import type { Clock } from '../../domain/clock.ts';
import { DomainError } from '../../domain/errors.ts';
import { isFinal, type Job } from '../../domain/job.ts';
import type { ExperimentInput, JudgeInput, RunConfig } from '../../domain/evaluation/model.ts';
import { planCase, planExperiment, planJudge, RUN_MAX } from '../../domain/evaluation/plan.ts';
import type { Outcome } from '../../domain/evaluation/statistics.ts';
import type { JobRecord, Store } from '../../store/store.ts';
import type { Jobs } from '../jobs.ts';
import { MAX_WAIT, type Waiters } from '../wait.ts';
import type { Library } from './library.ts';

/** Results of one run, bytes: 5,000 cases of 400. */
const OUTCOME_BYTES = 4 * 1_048_576;

export interface RunsDeps {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly waiters: Waiters;
  readonly library: Library;
  readonly clock: Clock;
  readonly newSuffix: () => string;
}

export class Runs {
  readonly #d: RunsDeps;
  constructor(deps: RunsDeps) { this.#d = deps; }

  /** Held until it is started. @throws DomainError not_found, invalid */
  async submit(experimentId: string, config: RunConfig): Promise<{ readonly job: Job; readonly input: string }> {
    const { library, jobs, newSuffix } = this.#d;
    const stored = await library.get('experiment', experimentId);
    const { testCaseIds } = JSON.parse(stored.body) as { testCaseIds: readonly string[] };
    const total = testCaseIds.length * (config.repetitions ?? 1);
    if (total === 0) throw new DomainError('invalid', `Experiment ${experimentId} has no test cases.`, { hint: 'PUT it with "testCaseIds".' });
    if (total > RUN_MAX) throw new DomainError('invalid', `A run has at most ${RUN_MAX} cases with their repetitions; this one would have ${total}.`, { hint: 'Make several experiments of it, or fewer repetitions.' });
    const [cases, agent, judge] = await Promise.all([library.cases(testCaseIds), library.agent(config.agentKey), library.model(config.modelId)]);
    if (config.baseline !== undefined) await this.#experiment(config.baseline.jobId);
    const experimentRunId = `run-${newSuffix()}`;
    const { headers, ...shown } = config;
    const runConfig: RunConfig = { ...shown, ...(headers === undefined ? {} : { headers: Object.fromEntries(Object.keys(headers).map((name) => [name, '[secret]'])) }) };
    const experiment: ExperimentInput = { experimentId, experimentName: stored.name, experimentRunId, runConfig, useCaseIds: testCaseIds };
    const plan = planExperiment({ experiment, cases, judge, agent: { ...agent, endpoint: config.agentEndpoint ?? agent.endpoint } });
    if (headers !== undefined) await jobs.execute({ kind: 'documents', secrets: [{ of: { kind: 'experiment', id: experimentRunId }, secret: JSON.stringify({ headers }) }] });
    const { jobs: [job] } = await jobs.submit([plan]);
    if (job === undefined) throw new Error('a submission answered no job');
    return { job, input: plan.input };
  }

  /** One case, at once; the job when it has ended, or as it is when nobody waits any more. */
  async test(testCaseId: string, agentKey: string, modelId: string, patience: number, signal: AbortSignal): Promise<JobRecord> {
    const { library, jobs } = this.#d;
    const [[one], agent, judge] = await Promise.all([library.cases([testCaseId]), library.agent(agentKey), library.model(modelId)]);
    if (one === undefined) throw new Error('a case that was found is not there');
    const plan = planCase({ experimentId: null, experimentRunId: null, useCaseId: one.id, version: one.version, repetition: 0, useCase: one.useCase, agent, modelId, judge });
    const { jobs: [job] } = await jobs.submit([plan]);
    return await this.#ended(job?.id ?? '', patience, signal);
  }

  /** Scores a report again; the agent is not asked. @throws DomainError not_found */
  async rejudge(reportId: string, modelId?: string): Promise<Job> {
    const { library, jobs } = this.#d;
    const report = JSON.parse((await library.get('report', reportId)).body) as { modelId: string; expectedOutcomes: readonly string[]; expectedTrajectory: JudgeInput['expectedTrajectory'] };
    const judge = await library.model(modelId ?? report.modelId);
    const { jobs: [job] } = await jobs.submit([planJudge({ reportId, judge, expectedOutcomes: report.expectedOutcomes, expectedTrajectory: report.expectedTrajectory })]);
    if (job === undefined) throw new Error('a submission answered no job');
    return job;
  }

  async judge(input: Omit<JudgeInput, 'judge' | 'reportId'>, modelId: string, patience: number, signal: AbortSignal): Promise<JobRecord> {
    const judge = await this.#d.library.model(modelId);
    const { jobs: [job] } = await this.#d.jobs.submit([planJudge({ ...input, reportId: null, judge })]);
    return await this.#ended(job?.id ?? '', patience, signal);
  }

  /** How the cases of a run ended, in order. Those that have not are not in it. */
  async outcomes(jobId: string): Promise<Outcome[]> {
    return outcomesOf(this.#d.store, jobId);
  }

  async #experiment(jobId: string): Promise<JobRecord> {
    const record = await this.#d.store.job(jobId);
    if (record === null || record.job.type !== 'experiment') throw new DomainError('not_found', `There is no run ${jobId}.`, { hint: 'A baseline is the id of an experiment job.' });
    return record;
  }

  async #ended(id: string, patience: number, signal: AbortSignal): Promise<JobRecord> {
    const { waiters, jobs, clock } = this.#d;
    const until = clock.monotonic() + patience;
    for (;;) {
      const left = until - clock.monotonic();
      const record = left <= 0 || signal.aborted ? await jobs.get(id) : await waiters.wait(id, Math.min(left, MAX_WAIT), signal);
      if (record === null || isFinal(record.job.status) || left <= 0 || signal.aborted) return record ?? (await jobs.get(id));
    }
  }
}

/**
 * A verdict that was given later counts instead of the first: figures follow what reports show.
 * @throws DomainError not_found
 */
export async function outcomesOf(store: Store, jobId: string): Promise<Outcome[]> {
  const record = await store.job(jobId);
  if (record === null || record.job.type !== 'experiment') throw new DomainError('not_found', `There is no run ${jobId}.`, { hint: 'It is the id of an experiment job.' });
  const { useCaseIds, runConfig } = JSON.parse(record.input) as ExperimentInput;
  const repetitions = runConfig.repetitions ?? 1;
  const { results } = await store.childResults(jobId, OUTCOME_BYTES);
  return results.filter(({ status }) => isFinal(status)).map(({ ordinal, result, status }) => ({
    useCaseId: useCaseIds[Math.floor(ordinal / repetitions)] ?? '', result: status === 'completed' && result !== null ? (JSON.parse(result) as NonNullable<Outcome['result']>) : null,
  }));
}

/** A restart pauses experiments that ran, unless they say otherwise; one that was being cancelled is. Returns how many. */
export async function afterRestart(store: Store, jobs: Jobs): Promise<{ paused: number; resumed: number }> {
  const count = { paused: 0, resumed: 0 };
  for (let after: number | null = null; ; ) {
    const page = await store.jobs({ type: 'experiment', status: ['running'] }, after, 200);
    for (const { job, input } of page.items) {
      if (job.leaseUntil !== null) continue; // its cases have ended; the count is taken up by itself
      if (job.error?.code === 'cancelled') await jobs.cancel(job.id, job.error.message);
      else if ((JSON.parse(input) as ExperimentInput).runConfig.onRestart === 'resume') count.resumed += 1;
      else {
        await jobs.execute({ kind: 'pause', jobId: job.id, atOnce: true });
        count.paused += 1;
      }
    }
    if (page.next === null) return count;
    after = page.next;
  }
}
