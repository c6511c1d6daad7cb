// What the figures depend on: the machine, its disk, and whether somebody else is using it.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { median, quantile } from './figures.ts';

/** A measurement may begin when the cores were idle to this share for one sample. */
const IDLE = 0.85;
const SAMPLE = 1_000;
/** A machine that never comes to rest is measured all the same, and the report says so. */
const PATIENCE = 10_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

function ticks(): { idle: number; total: number } {
  const all = cpus().flatMap(({ times }) => Object.values(times)).reduce((sum, n) => sum + n, 0);
  return { idle: cpus().reduce((sum, { times }) => sum + times.idle, 0), total: all };
}

export interface Guard {
  /** Resolves when the machine is at rest, or, with false, when patience has run out. */
  rest(): Promise<boolean>;
  /** Measurements that began on a busy machine, and all of them. */
  readonly count: { busy: number; rounds: number };
}

/** @param patience ms; less for a quick look */
export function idleGuard(patience = PATIENCE): Guard {
  const count = { busy: 0, rounds: 0 };
  return {
    count,
    async rest() {
      count.rounds += 1;
      for (const start = performance.now(); ; ) {
        const before = ticks();
        await pause(SAMPLE);
        const after = ticks();
        if ((after.idle - before.idle) / Math.max(1, after.total - before.total) >= IDLE) return true;
        if (performance.now() - start > patience) {
          count.busy += 1;
          return false;
        }
      }
    },
  };
}

/** p50 and p99 of one 4 KiB append and its sync, ms: what a commit waits for at least. */
export function syncTimes(folder: string, samples = 300): { fsync: number[]; fdatasync: number[] } {
  const path = join(folder, 'sync');
  const page = Buffer.alloc(4_096, 1);
  const measure = (sync: (file: number) => void): number[] => {
    const file = openSync(path, 'w');
    const times = Array.from({ length: samples }, () => {
      writeSync(file, page);
      const start = performance.now();
      sync(file);
      return performance.now() - start;
    });
    closeSync(file);
    rmSync(path);
    return [median(times), quantile(times, 0.99)];
  };
  return { fsync: measure(fsyncSync), fdatasync: measure(fdatasyncSync) };
}

function tried<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch {
    return otherwise;
  }
}

const run = (command: string, ...args: string[]): string => tried(() => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(), '');

export function machineFacts(): string[] {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const commit = run('git', 'rev-parse', '--short', 'HEAD');
  const changed = run('git', 'status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with local changes';
  return [
    `Muster ${version}${commit === '' ? '' : ` at ${commit}${changed}`}, Node ${process.version}, Linux ${release()}`,
    `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB, load ${loadavg().map((n) => n.toFixed(2)).join(' ')}`,
  ];
}

/** Resident memory of a process, MiB: now and at its highest. */
export function memoryOf(pid: number): { now: number; peak: number } {
  const text = tried(() => readFileSync(`/proc/${pid}/status`, 'utf8'), '');
  const read = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? NaN) / 1_024;
  return { now: read('VmRSS'), peak: read('VmHWM') };
}

/** Processor time a process has used, seconds; all its threads, the writer's included. */
export function cpuOf(pid: number): number {
  const fields = tried(() => readFileSync(`/proc/${pid}/stat`, 'utf8'), '').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
