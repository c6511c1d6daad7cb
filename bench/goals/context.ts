// What every measurement is handed.
import type { Report } from '../lib/figures.ts';
import type { Loader } from '../lib/load.ts';
import type { Guard } from '../lib/machine.ts';

export interface Context {
  /** A folder of this measurement's own, on the disk that is measured. */
  readonly folder: string;
  readonly report: Report;
  readonly guard: Guard;
  readonly load: Loader;
  /** At least five for figures that are quoted. */
  readonly rounds: number;
  /** Of load in one round. */
  readonly seconds: number;
  readonly quick: boolean;
}

/** One job of 200 bytes, as the peers were measured with. Its input is kept, and comes back as its result. */
export const JOB = JSON.stringify({ type: 'noop', input: { result: 'x'.repeat(155) } });

/** Polled at the end of a drain: two reads of one row. */
const POLL = 20;

export async function isDrained(url: string): Promise<boolean> {
  for (const status of ['queued', 'running']) {
    const answer = await fetch(`${url}/api/jobs?type=noop&status=${status}&limit=1`);
    const { jobs } = (await answer.json()) as { jobs: unknown[] };
    if (jobs.length > 0) return false;
  }
  return true;
}

export async function drained(url: string): Promise<void> {
  while (!(await isDrained(url))) await new Promise((resolve) => { setTimeout(resolve, POLL); });
}

export async function setConcurrency(url: string, concurrency: number): Promise<void> {
  const answer = await fetch(`${url}/api/types/noop`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ concurrency }) });
  if (!answer.ok) throw new Error(await answer.text());
}
