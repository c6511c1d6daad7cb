// Servers under measurement: each a process of its own, on loopback and a free port, its data in a folder of its own.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Server {
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

const START_MAX = 20_000;
const GONE_MAX = 5_000;

/** However the bench ends, its servers end with it. */
const alive = new Map<ChildProcess, NodeJS.Signals>();
process.on('exit', () => {
  for (const [child, signal] of alive) child.kill(signal);
  // Their folders are removed next: what still writes would keep them.
  const until = performance.now() + GONE_MAX;
  while ([...alive.keys()].some(isRunning) && performance.now() < until) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
});

/** At exit nobody reaps them any more: a zombie is gone. */
function isRunning({ pid }: ChildProcess): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** @param signal what ends it when the bench is cut short */
export function owned<T extends ChildProcess>(child: T, signal: NodeJS.Signals = 'SIGKILL'): T {
  alive.set(child, signal);
  child.once('exit', () => alive.delete(child));
  return child;
}

async function served(child: ChildProcess, url: Promise<string>): Promise<Server> {
  owned(child);
  const late = new Promise<never>((_resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`A server ended with ${String(code)} before it listened.`)));
    setTimeout(() => reject(new Error('A server did not start in time.')), START_MAX).unref();
  });
  late.catch(() => {});
  const found = await Promise.race([url, late]);
  return {
    url: found, child, pid: child.pid ?? -1,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** The real server, as `npm start` runs it. */
export function muster(folder: string, settings: Readonly<Record<string, string>> = {}): Promise<Server> {
  const child = spawn(process.execPath, [new URL('../../src/start.mjs', import.meta.url).pathname], {
    env: { PATH: process.env['PATH'], PORT: '0', MUSTER_DB: join(folder, 'muster.db'), ...settings }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /"url":"([^"]+)"/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
      else if (/"level":"(warn|error|fatal)"/.test(line)) process.stderr.write(`${line}\n`);
    });
  });
  return served(child, url);
}

/** A server of the bench's own, which sends { url } to its parent. */
export function helper(module: string, ...args: string[]): Promise<Server> {
  const child = fork(new URL(`../${module}`, import.meta.url), args);
  const url = new Promise<string>((resolve) => {
    child.on('message', (message: { url?: string }) => { if (message.url !== undefined) resolve(message.url); });
  });
  return served(child, url);
}

export const emptied = (folder: string): string => {
  for (const end of ['', '-wal', '-shm', '.lock', '.reserve']) rmSync(join(folder, `muster.db${end}`), { force: true });
  return folder;
};
