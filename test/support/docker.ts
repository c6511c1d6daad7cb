// A real engine for tests, and a server in a process of its own that uses it. Where no engine can be had the tests are
// skipped aloud; in CI that is a failure.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { instanceAt } from '../../src/store/sqlite/ids.ts';
import { ROOT, ServerProcess } from '../fault/server.ts';

export const IMAGE = 'muster-demo:latest';

function findEngine(): boolean {
  try {
    execFileSync('docker', ['version'], { stdio: 'ignore', timeout: 20_000 });
    execFileSync(join(ROOT, 'scripts/demo-image'), [IMAGE], { stdio: 'ignore', timeout: 60_000 });
    return true;
  } catch (error) {
    if (process.env['CI'] === 'true') throw new Error(`No container engine or no busybox: CI must have them. ${String(error)}`);
    console.warn('Skipped: no container engine answers, or there is no static busybox to make an image of.');
    return false;
  }
}
/** Asked once per file of tests. */
export const hasEngine: boolean = findEngine();

export const docker = (...args: string[]): string => execFileSync('docker', args, { encoding: 'utf8', timeout: 60_000 }).trim();

export type Job = { id: string; status: string; error: { code: string; message: string } | null; result: any; attempt: number; attempts: any[]; startedAt: string | null; endedAt: string | null };

export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'muster-containers-'));
  readonly db = join(this.folder, 'm.db');
  server: ServerProcess;
  url = '';
  readonly #env: Record<string, string>;

  constructor(env: Record<string, string> = {}) {
    this.#env = { MUSTER_IMAGES: `${IMAGE},absent:1`, MUSTER_CONCURRENCY: 'container=20', LOG_LEVEL: 'info', ...env };
    this.server = new ServerProcess(['src/main.ts'], this.db, { env: this.#env });
  }

  async ready(): Promise<this> {
    this.url = (await this.server.ready).url;
    return this;
  }

  /** Ended as the signal does it, and started anew. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.server.kill(signal);
    this.server = new ServerProcess(['src/main.ts'], this.db, { env: this.#env });
    await this.ready();
  }

  async submit(input: object, more: object = {}): Promise<string> {
    const { status, body } = await this.post('/api/jobs', { type: 'container', input: { image: IMAGE, ...input }, ...more });
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
    return (body as Job).id;
  }

  sh(script: string, input: object = {}, more: object = {}): Promise<string> {
    return this.submit({ command: ['sh', '-c', script], ...input }, more);
  }

  async post(path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const answer = await fetch(`${this.url}${path}`, { method: 'POST', ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
  }

  async get(path: string): Promise<any> { return await (await fetch(`${this.url}${path}`)).json(); }

  /** The job when it has ended. */
  async ended(id: string): Promise<Job> {
    for (;;) {
      const job = await this.get(`/api/jobs/${id}?wait=30`) as Job;
      if (job.endedAt !== null) return job;
    }
  }

  async until(id: string, holds: (job: Job) => boolean): Promise<Job> {
    for (;;) {
      const job = await this.get(`/api/jobs/${id}`) as Job;
      if (holds(job)) return job;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  /** Follows the job's stream until `holds` of its events so far. */
  async stream(id: string, holds: (events: any[]) => boolean = () => false): Promise<any[]> {
    const events: any[] = [];
    const answer = await fetch(`${this.url}/api/jobs/${id}/stream`);
    let rest = '';
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      rest += Buffer.from(chunk).toString();
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data: ')) events.push(JSON.parse(line.slice(6)));
      if (holds(events)) break; // leaving the loop closes the connection
    }
    return events;
  }

  async bytes(id: string, stream?: 'stdout' | 'stderr'): Promise<Buffer> {
    return Buffer.from(await (await fetch(`${this.url}/api/jobs/${id}/logs?download=true${stream === undefined ? '' : `&stream=${stream}`}`)).arrayBuffer());
  }

  async lines(id: string, query = ''): Promise<string[]> { return ((await this.get(`/api/jobs/${id}/logs?format=json&limit=10000${query}`)) as { lines: string[] }).lines; }

  /** Containers of this job on the engine. */
  containers(id: string): string[] { return docker('ps', '-aq', '--filter', `label=muster.job=${id}`).split('\n').filter((line) => line !== ''); }

  async close(): Promise<void> {
    await this.server.kill('SIGTERM');
    const db = this.folder;
    const left = docker('ps', '-aq', '--filter', `label=muster.owner=${await this.owner()}`).split('\n').filter((line) => line !== '');
    if (left.length > 0) docker('rm', '-fv', ...left);
    rmSync(db, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`${left.length} containers were left behind`);
  }

  /** The label of a server on this database, or on a copy of it. */
  async owner(at = this.db): Promise<string> {
    const { default: Database } = await import('better-sqlite3');
    const db = new Database(at, { readonly: true });
    try {
      return instanceAt(db.prepare("SELECT value FROM meta WHERE name = 'instance'").pluck().get() as string, realpathSync(at));
    } finally {
      db.close();
    }
  }
}
