// The engine dies, restarts or is away: a private one, so that nobody else's containers are touched.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, hasEngine, IMAGE } from '../support/docker.ts';

const folder = hasEngine ? mkdtempSync(join(tmpdir(), 'muster-engine-')) : '';
const host = `unix://${folder}/s`;
const docker = (...args: string[]): string => execFileSync('docker', ['-H', host, ...args], { encoding: 'utf8', timeout: 60_000 }).trim();

class Engine {
  #child: ChildProcess | null = null;

  async start(): Promise<void> {
    this.#child = spawn('dockerd', ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`, '-H', host, '--pidfile', `${folder}/pid`, '--bridge=none', '--iptables=false'], { stdio: 'ignore' });
    for (let tries = 0; ; tries++) {
      try {
        docker('version');
        return;
      } catch (error) {
        if (tries > 120 || this.#child.exitCode !== null) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 250); });
      }
    }
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    // Its containerd dies with it, and stays a zombie where nobody reaps: the next one would wait for it.
    if (signal === 'SIGKILL') for (const file of ['pid', 'exec/containerd/containerd.pid']) rmSync(`${folder}/${file}`, { force: true });
  }
}

describe.skipIf(!hasEngine)('an engine of its own', () => {
  const engine = new Engine();
  let bench: Bench;
  beforeAll(async () => {
    await engine.start();
    execFileSync('sh', ['-c', `docker save ${IMAGE} | docker -H ${host} load`], { stdio: 'ignore' });
    bench = await new Bench({ DOCKER_HOST: host }).ready();
  }, 120_000);
  afterAll(async () => {
    await bench.server.kill('SIGTERM');
    const left = docker('ps', '-aq');
    await engine.kill('SIGTERM');
    for (const mount of execFileSync('sh', ['-c', `mount | grep ' ${folder}/' | cut -d' ' -f3 | sort -r`], { encoding: 'utf8' }).split('\n')) if (mount !== '') execFileSync('umount', ['-l', mount]);
    rmSync(bench.folder, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
    expect(left).toBe('');
  }, 60_000);
  const talks = (id: string) => bench.stream(id, (events) => events.some(({ type }) => type === 'job:log'));

  test.each(['SIGKILL', 'SIGTERM'] as const)('ended by %s and started again: what it ended is no success, and the job runs to its end', async (signal) => {
    // Ended by the engine it would say 0, as one that succeeded.
    const id = await bench.sh('trap "exit 0" TERM; echo begin; i=0; while [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; echo "whole run"');
    await talks(id);
    await engine.kill(signal);
    const waiting = await bench.until(id, ({ status }) => status === 'retry');
    expect(waiting.error).toMatchObject({ code: 'engine_unavailable', retryable: true });
    const ready = await fetch(`${bench.url}/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([200, { status: 'ready', reasons: [{ code: 'engine_unavailable' }] }]);
    expect(await bench.ended((await bench.post('/api/jobs', { type: 'noop' }).then(({ body }) => (body as { id: string }).id)))).toMatchObject({ status: 'completed' });
    await engine.start();
    const job = await bench.ended(id);
    expect(job).toMatchObject({ status: 'completed', attempt: 2, attempts: [{ number: 1, outcome: 'interrupted' }, { number: 2, outcome: 'completed' }] });
    expect((await bench.lines(id)).filter((line) => line === 'whole run')).toHaveLength(1);
    expect((await bench.get('/ready')).reasons).toEqual([]);
  });

  test('that is away when a job is submitted: it waits, no attempt is lost, and it can be cancelled', async () => {
    await engine.kill('SIGTERM');
    const id = await bench.submit({ command: ['echo', 'late'] });
    const other = await bench.submit({ command: ['true'] });
    await bench.until(id, ({ status }) => status === 'retry');
    await bench.until(other, ({ status }) => status === 'retry');
    expect((await bench.post(`/api/jobs/${other}/cancel`)).status).toBeLessThan(300);
    expect((await bench.ended(other)).status).toBe('cancelled');
    await engine.start();
    expect(await bench.ended(id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(await bench.lines(id)).toEqual(['late']);
  });
});
