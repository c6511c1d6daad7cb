// An experiment job in the words of its contract: which case it is at, and what each case came to.
import { type Job, isFinal } from '../../domain/job.ts';
import type { ExperimentInput } from '../../domain/evaluation/model.ts';
import { currentIndex } from '../../domain/evaluation/plan.ts';
import type { ChildResult, JobRecord, Store } from '../../store/store.ts';
import { iso } from '../final.ts';

/** Cases shown with the job; reports have all of them. */
const RESULT_BYTES = 1_048_576;

export type CaseStatus = 'pending' | 'running' | 'completed' | 'failed';
export interface CaseResult { readonly reportId: string; readonly status: CaseStatus; readonly reportIds?: readonly string[] }

export interface ExperimentView {
  readonly experimentId: string;
  readonly experimentName: string;
  readonly runConfig: ExperimentInput['runConfig'];
  readonly useCaseIds: readonly string[];
  readonly currentUseCaseIndex: number;
  readonly currentUseCaseId: string | null;
  readonly results: Readonly<Record<string, CaseResult>>;
  readonly pausedAt: string | null;
  readonly completedAt: string | null;
  readonly experimentRunId: string | null;
  readonly error: string | null;
}

export async function viewExperiment(store: Store, record: JobRecord): Promise<ExperimentView> {
  const { job } = record;
  const input = JSON.parse(record.input) as ExperimentInput;
  const repetitions = input.runConfig.repetitions ?? 1;
  const { results } = await store.childResults(job.id, RESULT_BYTES);
  const index = Math.min(Math.floor(currentIndex(job) / repetitions), input.useCaseIds.length);
  const time = (at: number | null): string | null => (at === null ? null : iso(at));
  return {
    experimentId: input.experimentId, experimentName: input.experimentName, runConfig: input.runConfig, useCaseIds: input.useCaseIds,
    currentUseCaseIndex: index, currentUseCaseId: isFinal(job.status) ? null : (input.useCaseIds[index] ?? null), results: resultsOf(job, results, input, repetitions),
    pausedAt: job.status === 'paused' && job.startedAt !== null ? time(job.dueAt) : null, completedAt: time(job.endedAt), experimentRunId: input.experimentRunId,
    error: job.error === null || job.error.code === 'pausing' ? null : job.error.message,
  };
}

function resultsOf(job: Job, children: readonly ChildResult[], { useCaseIds }: ExperimentInput, repetitions: number): Record<string, CaseResult> {
  const results: Record<string, CaseResult> = {};
  const letIn = job.startedAt === null ? 0 : job.children.total - job.children.waiting; // in order, so all before this had their turn
  for (const [i, id] of useCaseIds.entries()) {
    const own = children.slice(i * repetitions, (i + 1) * repetitions);
    const states = own.map((child): CaseStatus => (child.status === 'completed' ? 'completed' : isFinal(child.status) ? 'failed' : child.status === 'queued' && child.ordinal >= letIn ? 'pending' : 'running'));
    const reportIds = own.flatMap(({ result }) => (result === null ? [] : [(JSON.parse(result) as { reportId?: string }).reportId ?? '']));
    results[id] = { reportId: reportIds[0] ?? '', status: together(states), ...(repetitions === 1 ? {} : { reportIds }) };
  }
  return results;
}

function together(states: readonly CaseStatus[]): CaseStatus {
  if (states.every((state) => state === 'pending')) return 'pending';
  if (states.some((state) => state === 'running' || state === 'pending')) return 'running';
  return states.includes('failed') ? 'failed' : 'completed';
}
