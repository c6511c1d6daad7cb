// What an operation has printed, in this dialect's two ways: the tail of a poll, and the lines of a stream.
import { readLines } from '../../orchestrator/logs.ts';
import { WholeLines } from '../../orchestrator/whole-lines.ts';
import type { Store } from '../../store/store.ts';
import type { LineSource } from './stream.ts';
import type { Logs } from './wire.ts';

export interface LogReader extends LineSource {
  /** The last lines, also one that has not ended yet. */
  tail(jobId: string, count: number): Promise<Logs>;
}

export function logReader(store: Store): LogReader {
  const whole = new WholeLines(store);
  return {
    linesOf: (event) => whole.linesOf(event),
    unended: (jobId, before) => whole.unended(jobId, before),
    async tail(jobId, count) {
      const { lines, total, truncated } = await readLines(store, jobId, { tail: count });
      return { lines: lines.map(({ text }) => text), total: total ?? lines.length, truncated };
    },
  };
}
