// The server that users run, as a process, and a look into its file from outside: what was written is not its own word.
import Database from 'better-sqlite3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Facts } from './attack.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** From spawn to listening; far beyond the second it takes. */
const READY_MAX = 30_000;

export interface State {
  readonly jobs: number;
  readonly seq: number;
  /** SQLite's own count of foreign commits: the same number means that nothing at all was written. */
  readonly version: number;
}

export interface Target {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its log, line by line as it came. */
  readonly lines: readonly string[];
  state(): State;
  /** Resident memory, MiB. */
  rss(): number;
  /** Ends it by SIGTERM; what it said that a sound server does not say. */
  stop(): Promise<string[]>;
}

export async function startTarget(env: Readonly<Record<string, string>> = {}): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-attack-'));
  const path = join(folder, 'a.db');
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MUSTER_') && name !== 'NODE_OPTIONS'));
  const child = spawn(process.execPath, ['src/start.mjs'], {
    cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...inherited, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info', MUSTER_ENV: 'production', MUSTER_DB: path, ...env },
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string): void => { child.kill('SIGKILL'); reject(new Error(`${why}\n${lines.slice(-20).join('\n')}`)); };
    const late = setTimeout(() => fail('The server does not listen.'), READY_MAX);
    void exited.then(() => { clearTimeout(late); fail('The server ended.'); });
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (part: string) => {
        const parts = (rest + part).split('\n');
        rest = parts.pop() ?? '';
        for (const line of parts) {
          lines.push(line);
          if (!line.includes('"Muster listens on ')) continue;
          clearTimeout(late);
          resolve((JSON.parse(line) as { url: string }).url);
        }
      });
    }
  });
  const db = new Database(path, { readonly: true });
  const counts = db.prepare('SELECT (SELECT count(*) FROM job) AS jobs, coalesce((SELECT max(seq) FROM event), 0) AS seq').raw(true);
  const pid = child.pid ?? 0;
  return {
    url, pid, lines, port: Number(new URL(url).port),
    state() {
      const [jobs, seq] = counts.get() as [number, number];
      return { jobs, seq, version: db.pragma('data_version', { simple: true }) as number };
    },
    rss: () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024,
    async stop() {
      db.close();
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGTERM');
      const [code, signal] = await exited as [number | null, string | null];
      rmSync(folder, { recursive: true, force: true });
      const complaints = lines.filter((line) => /"level":"(?:error|fatal)"/.test(line) || !line.startsWith('{'));
      return code === 0 ? complaints : [`code ${code}, signal ${signal}`, ...complaints];
    },
  };
}

/** POST /api/jobs; the job. */
export async function submit(target: Pick<Target, 'url'>, body: unknown, headers: Record<string, string> = {}): Promise<any> {
  const answer = await fetch(`${target.url}/api/jobs`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  const job = await answer.json() as { id: string };
  if (!answer.ok) throw new Error(`${answer.status} ${JSON.stringify(job)}`);
  return job;
}

/** The jobs that attacks name. Nothing moves any more when this resolves. */
export async function makeFacts(target: Target): Promise<Facts> {
  const ended = await submit(target, { type: 'noop' }, { prefer: 'wait=30' });
  if (ended.status !== 'completed') throw new Error('The first job did not complete.');
  const sealed = await submit(target, { type: 'batch', sealed: true, hold: true, children: [{ type: 'noop' }] });
  const open = await submit(target, { type: 'batch', sealed: false, hold: true });
  await settled(target);
  return { ended: ended.id, sealed: sealed.id, open: open.id };
}

/** Until nothing is written any more, for five looks in a row. */
export async function settled(target: Pick<Target, 'state'>): Promise<void> {
  for (let same = 0, last = -1; same < 5;) {
    const { version } = target.state();
    same = version === last ? same + 1 : 0;
    last = version;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}
