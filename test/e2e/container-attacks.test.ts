// Containers that hold the runner up, on a real engine: what they do not read, and what they leave to be looked through.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, ServerProcess } from '../fault/server.ts';
import { containersOf, DEMO_IMAGE, noEngine } from '../support/engine.ts';

const TIMEOUT = 120_000;
const reason = noEngine();
let folder: string;
let server: ServerProcess;
let url: string;
const started: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-container-attacks-'));
  server = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'), { env: { MUSTER_IMAGES: 'muster-demo:*' } });
  ({ url } = await server.ready);
});
afterAll(async () => {
  await server.kill('SIGTERM');
  expect(started.flatMap(containersOf)).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

/** Submits a shell script and waits for its end. */
async function run(script: string, input: Record<string, unknown>, spec: Record<string, unknown> = {}): Promise<any> {
  const body = JSON.stringify({ type: 'container', input: { image: DEMO_IMAGE, command: ['sh', '-c', script], ...input }, ...spec });
  const answer = await fetch(`${url}/api/jobs?wait=60`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { id } = (await answer.json()) as { id: string };
  started.push(id);
  for (;;) {
    const job = (await (await fetch(`${url}/api/jobs/${id}?wait=30`)).json()) as { status: string };
    if (['completed', 'failed', 'cancelled'].includes(job.status)) return job;
  }
}

describe.skipIf(reason !== null)('a container that holds the runner up', () => {
  const input = 'x'.repeat(700_000); // more than the pipe and every buffer before it take
  test('does not read its standard input: its time is counted all the same, and it is stopped', async () => {
    const job = await run(`echo begun; trap "" TERM; sleep 1000; sleep 1000`, { stdin: input, grace: 0 }, { timeout: 3_000 });
    expect(job).toMatchObject({ status: 'failed', error: { code: 'timeout' }, result: { exitCode: 137, signal: 'SIGKILL' } });
    const logs = await (await fetch(`${url}/api/jobs/${job.id}/logs`)).text();
    expect(logs).toBe('begun\n');
  }, TIMEOUT);

  test('reads it late: all of it arrives', async () => {
    const job = await run('echo begun; sleep 2; wc -c', { stdin: input });
    expect(job).toMatchObject({ status: 'completed' });
    expect(await (await fetch(`${url}/api/jobs/${job.id}/logs`)).text()).toBe('begun\n700000\n');
  }, TIMEOUT);

  test('ends without reading it', async () => {
    expect(await run('exit 3', { stdin: input })).toMatchObject({ status: 'failed', error: { code: 'container_exit' }, result: { exitCode: 3 } });
  }, TIMEOUT);

  test('leaves more than anybody looks through: what was found before is kept, the rest is named', async () => {
    const job = await run('mkdir -p out/b; echo kept > out/a.txt; for i in 1 2 3 4 5 6; do truncate -s 100M out/b/$i; done', { artifacts: ['out/a.txt', 'out/b', 'more'] });
    expect(job).toMatchObject({ status: 'completed' });
    expect(job.result.artifacts.map(({ path }: { path: string }) => path)).toEqual(expect.arrayContaining(['out/a.txt']));
    expect(job.result.artifactsRefused.at(-1)).toEqual({ path: 'out/b', reason: expect.stringContaining('too much to look through') });
  }, TIMEOUT);

  test('writes to /tmp, as whoever it runs: made from scratch, for an image of before may be there', async () => {
    const image = 'muster-demo:of-attacks';
    execFileSync('scripts/demo-image', [image], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      expect(await run('echo written > /tmp/x && cp /tmp/x $HOME/y', { image })).toMatchObject({ status: 'completed', result: { exitCode: 0 } });
    } finally {
      execFileSync('docker', ['rmi', image], { stdio: 'ignore' });
    }
  }, TIMEOUT);

  test('leads out of the work folder by a link above what is asked for: nothing of it is kept', async () => {
    const job = await run('mkdir out; echo in > out/a; ln -s / out/root; ln -s /etc deep; ln -s out inside', { artifacts: ['out/root/etc', 'deep/passwd', 'inside/a', 'out/a'] });
    expect(job.result.artifacts.map(({ path }: { path: string }) => path)).toEqual(['out/a']);
    expect(job.result.artifactsRefused).toEqual(['out/root/etc', 'deep/passwd', 'inside/a'].map((path) => ({ path, reason: 'below a link' })));
  }, TIMEOUT);
});
