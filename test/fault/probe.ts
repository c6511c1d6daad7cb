// Measures what an unrelated client sees of the server, and sums it up.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface ProbeOptions {
  readonly url: string;
  /** Asked in turn. */
  readonly paths: readonly string[];
  /** ms between two requests. */
  readonly every: number;
  /** It asks so often and ends then; default: until it is told. */
  readonly count?: number;
}

export interface Sample {
  readonly path: string;
  /** When it was sent, epoch ms. */
  readonly at: number;
  /** ms until the whole answer was there. */
  readonly took: number;
  /** null: there was none. */
  readonly status: number | null;
  /** Of /ready only. */
  readonly body: unknown;
}

const start = (options: ProbeOptions): Worker => new Worker(new URL('./probe-thread.ts', import.meta.url), { workerData: options, name: 'probe' });

async function samplesOf(thread: Worker): Promise<Sample[]> {
  const [samples] = await once(thread, 'message') as [Sample[]];
  return samples.toSorted((a, b) => a.at - b.at);
}

/** Returns the way to end it, which waits for the answers that are due. */
export function startProbe(options: ProbeOptions): () => Promise<Sample[]> {
  const thread = start(options);
  return () => {
    thread.postMessage('stop');
    return samplesOf(thread);
  };
}

/** Asks `count` times. */
export const probe = (options: ProbeOptions & { readonly count: number }): Promise<Sample[]> => samplesOf(start(options));

export function percentile(values: readonly number[], p: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? 0;
}

/** p50 / p99 in ms, of how many. */
export function told(values: readonly number[]): string {
  return `p50 ${percentile(values, 0.5).toFixed(1)} ms, p99 ${percentile(values, 0.99).toFixed(1)} ms of ${values.length}`;
}
