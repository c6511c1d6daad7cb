// Each sync of the disk takes 300 ms more. Writes are slow then; whoever only reads must not notice. Measured by a client
// of its own under the campaign's load, side by side with the same server on the fast disk. Figures are printed; what is
// a violation is a bound that only a blocked event loop meets.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { percentile, probe, type Sample, told } from '../probe.ts';
import type { Field, Nemesis } from './nemesis.ts';

const DELAY = 300_000; // µs
/** By seccomp, so that strace stops the server at its syncs and nowhere else. */
const SLOWED: readonly string[] = ['strace', '-D', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=fsync,fdatasync', '-e', `inject=fsync,fdatasync:delay_exit=${DELAY}`];
/** 100 requests a second: no load to speak of. */
const ASK_EVERY = 10;
const COUNT = 400;
/** Longest pause of each of the campaign's clients, ms: some 80 acts a second, so that it is the disk that is slow and not this machine. */
const PACE = 200;
/** The server warms up first: reading code for the first time takes a moment on any disk. */
const WARM = 700;
/** A GET behind a blocked loop waits for a sync: 300 ms, and is far from what it takes on the fast disk, also on a machine that has too much to do. */
const BLOCKED = 250;
const BLOCKED_TIMES = 3;

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

export interface Slow extends Nemesis {
  /** ms of each GET of a job on the fast and on the slowed disk, and of the changes beside them. */
  readonly fast: readonly number[];
  readonly slowed: readonly number[];
}

export function createSlow({ count = COUNT }: { /** Requests in each measurement. */ readonly count?: number } = {}): Slow {
  const reads: Record<'fast' | 'slowed', number[]> = { fast: [], slowed: [] };
  const health: Record<'fast' | 'slowed', number[]> = { fast: [], slowed: [] };
  const acks = { fast: 0, slowed: 0 };
  let disk: 'fast' | 'slowed' = 'fast';

  async function look({ server, driver, acks: acked, violation, log }: Field): Promise<void> {
    const { url } = await server().ready;
    await pause(WARM);
    const job = await driver.request({ method: 'POST', path: '/api/jobs', body: { type: 'noop' } });
    const path = job.kind === 'answer' && job.status === 201 ? `/api/jobs/${job.body.id}` : '/api/types';
    const before = acked();
    const samples = await probe({ url, paths: [path, '/health'], every: ASK_EVERY, count });
    acks[disk] += acked() - before;
    const took = (of: string): number[] => samples.filter((sample) => sample.path === of).map((sample) => sample.took);
    reads[disk].push(...took(path));
    health[disk].push(...took('/health'));
    log(`${disk} disk: GET ${told(took(path))}, /health ${told(took('/health'))}, ${acked() - before} changes acknowledged`);
    const bad = (sample: Sample): boolean => sample.status !== 200;
    for (const { path: asked, status } of samples.filter(bad).slice(0, 3)) violation(`GET ${asked} was answered ${status} on a ${disk} disk`);
    for (const what of [path, '/health']) {
      const p50 = percentile(took(what), 0.5);
      if (disk === 'slowed' && p50 >= Math.max(BLOCKED, BLOCKED_TIMES * percentile(reads.fast, 0.5))) violation(`BLOCKED: half of GET ${what === path ? 'of a job' : what} took ${Math.round(p50)} ms and more on a ${disk} disk: reads wait for writes`);
    }
  }

  return {
    name: 'slow', fast: reads.fast, slowed: reads.slowed,
    async feasible() {
      if (process.platform !== 'linux') return 'strace is Linux’s';
      const works = await promisify(execFile)('strace', ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:delay_exit=1', 'true']).then(() => null, (error: Error) => error);
      return works === null ? null : `strace cannot slow a process down: ${works.message}`;
    },
    async setup({ driver }) { driver.pace = PACE; },
    launch: () => (disk === 'slowed' ? { wrap: SLOWED } : {}),
    async inject(field) {
      await look(field);
      const from = Date.now();
      await field.server().kill();
      disk = 'slowed';
      await field.startServer();
      field.excuse(from, Date.now());
      await look(field);
      await field.server().kill();
    },
    async heal({ startServer }) {
      disk = 'fast';
      await startServer();
    },
    async teardown() {},
    excuses: (line) => line.startsWith('strace: '), // of its own trouble with two calls at once; it goes on
    facts: () => `\n    on a fast disk   GET ${told(reads.fast)}; /health ${told(health.fast)}; ${acks.fast} changes\n    on a slowed disk GET ${told(reads.slowed)}; /health ${told(health.slowed)}; ${acks.slowed} changes`,
  };
}
