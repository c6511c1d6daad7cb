// Harm at an exact system call: the server under strace, which counts its calls on the files of the database and kills it
// or makes them fail. Nothing else of the process is touched.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Launch } from '../server.ts';
import { missing } from './disks.ts';

/** Everything by which the store changes the disk. */
export const CALLS = ['pwrite64', 'write', 'fsync', 'fdatasync', 'ftruncate', 'unlink', 'openat'] as const;
export type CallName = (typeof CALLS)[number];

export interface Point {
  readonly call: CallName;
  /** Counted from 1, in the thread that made it. */
  readonly n: number;
  /** When the whole run made it: 0 = the first of all. */
  readonly order: number;
  /** What it was done to, for reports. */
  readonly file: string;
}

/** ms for strace to write down its last line after the server has gone. */
const TRACE_MAX = 10_000;

/** @param injections as strace takes them, such as `pwrite64:signal=SIGKILL:when=3` */
export function straced(db: string, injections: readonly string[], out = '/dev/null'): Launch {
  const files = [dirname(db), ...['', '-wal', '-shm', '-journal', '.reserve', '.lock'].map((end) => `${db}${end}`)];
  return {
    wrap: [
      // -D: strace is the grandchild, so the pid is the server's own. Stopping at these calls only is three times faster, but
      // from such a stop no signal can be injected (strace 6.1: it says nothing and kills nobody).
      'strace', '-D', '-f', ...(injections.some((each) => each.includes('signal=')) ? [] : ['--seccomp-bpf']), '-qq', '-y', '-o', out, '-e', `trace=${CALLS.join()}`, '-e', 'signal=none', ...files.flatMap((path) => ['-P', path]),
      ...injections.flatMap((each) => ['-e', `inject=${each}`]),
    ],
  };
}

/** What a run did to the disk, read from the trace that `straced` wrote. Only one thread writes. */
export async function readPoints(out: string): Promise<Point[]> {
  const until = Date.now() + TRACE_MAX;
  let text = '';
  for (let before = -1; Date.now() < until && (before !== text.length || text === ''); ) {
    before = text.length;
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    text = existsSync(out) ? readFileSync(out, 'utf8') : '';
  }
  const counts = new Map<string, number>();
  const points: Point[] = [];
  for (const line of text.split('\n')) {
    const [, thread, call, rest = ''] = /^(\d+) +(\w+)\((.*)$/.exec(line) ?? [];
    if (thread === undefined || !CALLS.some((each) => each === call) || (call === 'openat' && !rest.includes('O_CREAT'))) {
      if (thread !== undefined && call === 'openat') counts.set(`${thread} openat`, (counts.get(`${thread} openat`) ?? 0) + 1);
      continue;
    }
    const n = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, n);
    const path = /<([^>]+)>/.exec(call === 'openat' ? '' : rest)?.[1] ?? /"([^"]+)"/.exec(rest)?.[1] ?? '';
    points.push({ call: call as CallName, n, order: points.length, file: path.slice(path.lastIndexOf('/') + 1) });
  }
  return points;
}

/** So many of them: each kind of call has its share, and each share is spread evenly over all there are. All, if there are no more. */
export function spread(points: readonly Point[], count: number): Point[] {
  if (count >= points.length) return [...points];
  const byCall = CALLS.map((call) => points.filter((point) => point.call === call)).filter(({ length }) => length > 0).sort((a, b) => a.length - b.length);
  const chosen = byCall.flatMap((list, i) => {
    const left = count - byCall.slice(0, i).reduce((sum, { length }) => sum + Math.min(length, Math.ceil(count / byCall.length / 2)), 0);
    const share = i === byCall.length - 1 ? left : Math.min(list.length, Math.ceil(count / byCall.length / 2), left);
    return Array.from({ length: Math.min(share, list.length) }, (_, at) => list[Math.floor(((at + 0.5) * list.length) / share)]!);
  });
  return chosen.sort((a, b) => a.order - b.order);
}

export async function cannotTrace(): Promise<string | null> {
  if ((await missing('strace')) !== null) return 'there is no strace (Debian: strace)';
  const { status, stderr } = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  return status === 0 ? null : `strace may not trace here: ${stderr.split('\n')[0]}`;
}
