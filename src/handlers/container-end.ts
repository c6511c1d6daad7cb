// What a container that has ended comes to: facts for the attempt, a result, and the outcome. Pure.
import { constants } from 'node:os';
import type { ContainerState } from '../docker/docker.ts';
import type { OutputTotals } from '../domain/commands.ts';
import type { JobError } from '../domain/job.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { AgentAnswer } from './container-agent.ts';
import type { Kept } from './container-files.ts';

/** A process that a signal ended exits with this more than the signal's number. */
const BY_SIGNAL = 128;
const signalOf = (exitCode: number): string | null => Object.entries(constants.signals).find(([, number]) => number === exitCode - BY_SIGNAL)?.[0] ?? null;
const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

export interface EndFacts {
  readonly state: ContainerState;
  readonly totals: OutputTotals;
  readonly answer: AgentAnswer | null;
  readonly kept: Kept;
  /** It printed more than it may, and was ended for it. */
  readonly isOverLimit: number | null;
  /** It was asked to end by us. */
  readonly wasStopped: boolean;
  readonly timeout: number;
}

/** Shown with the attempt. */
export function runFacts({ state, totals }: Pick<EndFacts, 'state' | 'totals'>): Record<string, unknown> {
  return {
    containerId: state.id, imageId: state.imageId, exitCode: state.startedAt === null ? null : state.exitCode, signal: state.startedAt === null ? null : signalOf(state.exitCode),
    oomKilled: state.oomKilled, startedAt: iso(state.startedAt), finishedAt: iso(state.finishedAt),
    outputBytes: totals.bytes, droppedBytes: totals.droppedBytes, droppedLines: totals.droppedLines, truncated: totals.droppedBytes > 0,
  };
}

export function outcomeOf(facts: EndFacts): Outcome {
  const { state, answer, kept, isOverLimit, wasStopped, timeout } = facts;
  const result = JSON.stringify({
    ...runFacts(facts), artifacts: kept.artifacts, ...(kept.refused.length === 0 ? {} : { artifactsRefused: kept.refused }), output: answer,
  });
  const fail = (code: JobError['code'], message: string, retryable: boolean): Outcome => ({ kind: 'fail', error: { code, message, retryable }, result });
  if (isOverLimit !== null) return fail('output_limit', `It printed more than ${isOverLimit} bytes and was ended for that.`, false);
  if (wasStopped) return { kind: 'timed_out', after: timeout, result };
  if (state.startedAt === null) return fail('container_failed', `It could not be started: ${state.error === '' ? 'the engine does not say why' : state.error}`, false);
  if (state.oomKilled) return fail('out_of_memory', 'It used more memory than its limit and was killed by the kernel. Raise limits.memory, or let it use less.', false);
  if (state.exitCode !== 0) {
    const signal = signalOf(state.exitCode);
    return fail('container_exit', `It ended with exit code ${state.exitCode}${signal === null ? '' : ` (${signal})`}.`, true);
  }
  if (answer?.status !== undefined && answer.status !== 'ok') {
    const summary = typeof answer.summary === 'string' ? `: ${answer.summary.slice(0, 500)}` : '.';
    return fail('agent_error', `It ended well, and its agent answered with status ${JSON.stringify(answer.status).slice(0, 100)}${summary}`, true);
  }
  return { kind: 'done', result };
}
