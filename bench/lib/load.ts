// Load on one path: wrk where there is one (it leaves the server nearly all of the processor), else our own client.
import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rate } from './figures.ts';

export interface Load {
  readonly perSecond: number;
  readonly requests: number;
  /** Answers that were not 2xx or 3xx, and broken connections. */
  readonly failed: number;
  /** ms */
  readonly p50: number;
  readonly p99: number;
}
export type Loader = (url: string, body: string, connections: number, seconds: number) => Promise<Load>;

interface Outcome { readonly requests: number; readonly us: number; readonly failed: number; readonly p50: number; readonly p99: number }
const loadOf = (o: Outcome): Load => ({ perSecond: rate(o.requests, o.us / 1_000), requests: o.requests, failed: o.failed, p50: o.p50 / 1_000, p99: o.p99 / 1_000 });

function hasWrk(): boolean {
  try {
    execFileSync('wrk', ['--version'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return error instanceof Error && 'status' in error && error.status === 1; // it prints its version and exits with 1
  }
}

export function loader(folder: string): { readonly name: string; readonly load: Loader } {
  if (hasWrk()) return { name: 'wrk, one thread', load: (url, body, connections, seconds) => wrk(folder, url, body, connections, seconds) };
  return { name: 'our own client on undici (wrk is not installed; it takes more of the processor, so ratios come out kinder)', load: own };
}

async function wrk(folder: string, url: string, body: string, connections: number, seconds: number): Promise<Load> {
  const file = join(folder, 'body.json');
  writeFileSync(file, body);
  const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', new URL('post.lua', import.meta.url).pathname, url, '--', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => { text += part; });
  await once(child, 'close');
  const line = text.split('\n').find((one) => one.startsWith('{'));
  if (line === undefined) throw new Error(`wrk said nothing of use: ${text}`);
  return loadOf(JSON.parse(line) as Outcome);
}

async function own(url: string, body: string, connections: number, seconds: number): Promise<Load> {
  const child = fork(new URL('client.ts', import.meta.url), [url, body, String(connections), String(seconds)]);
  const [outcome] = (await once(child, 'message')) as [Outcome];
  return loadOf(outcome);
}
