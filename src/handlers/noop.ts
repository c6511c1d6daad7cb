// `noop`: does nothing, on demand for a while or as a failure. For benchmarks, tests and trying trees.
import type { Clock } from '../domain/clock.ts';
import { readJson } from '../domain/read-json.ts';
import { reasonOf } from './egress/exchange.ts';
import type { Handler } from './handler.ts';
import { noopInput } from './inputs.ts';

export const createNoop = (clock: Clock): Handler => async (job, { signal }) => {
  if (job.input === '{}') return { kind: 'done', result: null }; // the benchmarks' case: nothing to read
  const { result, sleep, fail } = noopInput.parse(readJson(job.input));
  if (sleep !== undefined && sleep > 0) {
    await new Promise<void>((resolve) => {
      const cancel = clock.after(sleep, resolve);
      signal.addEventListener('abort', () => { cancel(); resolve(); }, { once: true });
      if (signal.aborted) { cancel(); resolve(); }
    });
  }
  if (signal.aborted) return { kind: 'interrupted', reason: reasonOf(signal) };
  if (fail !== undefined) return { kind: 'fail', error: { code: 'handler_error', message: fail, retryable: false } };
  return { kind: 'done', result: result === undefined ? null : JSON.stringify(result) };
};
