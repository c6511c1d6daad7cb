// What every measurement is handed.
import { installPeers, missingPackages } from '../lib/databases.ts';
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
  /** Waits for rest and measures the disk: call it before each round, and print what it says with the round. */
  readonly round: () => Promise<string>;
}

/** Sees to the peers; false, with the reason printed, if a Debian package is not there. */
export function havePeers(report: Report, ...packages: Parameters<typeof missingPackages>[0]): boolean {
  const missing = missingPackages(packages);
  if (missing.length > 0) report.line(`  LEFT OUT: this needs Debian's ${missing.join(' and ')}: apt-get install --no-install-recommends ${missing.join(' ')}`);
  else installPeers((text) => report.line(`  ${text}`));
  return missing.length === 0;
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
