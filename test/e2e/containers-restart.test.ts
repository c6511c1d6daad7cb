// The server dies while containers run: no line is lost, none comes twice, and every end is what it was.
import { afterEach, describe, expect, test } from 'vitest';
import { Bench, docker, hasEngine } from '../support/docker.ts';

const of = describe.skipIf(!hasEngine);
let bench: Bench | null = null;
afterEach(async () => {
  await bench?.close();
  bench = null;
});
const start = async (): Promise<Bench> => (bench = await new Bench().ready());
const LONG = 40_000;
/** Numbered lines on both streams, each tenth 40 KB long, the last without its end. */
const talk = (lines: number, pause: string, exit: number): string => `long=$(head -c ${LONG} /dev/zero | tr '\\0' x); i=0
  while [ $i -lt ${lines} ]; do echo "out $i"; [ $((i % 10)) = 9 ] && echo "$i $long"; echo "err $i" >&2; ${pause}; i=$((i+1)); done; printf 'no end'; exit ${exit}`;
const expected = (lines: number): { out: string[]; err: string[] } => ({
  out: [...Array.from({ length: lines }, (_, i) => (i % 10 === 9 ? [`out ${i}`, `${i} ${'x'.repeat(LONG)}`] : [`out ${i}`])).flat(), 'no end'],
  err: Array.from({ length: lines }, (_, i) => `err ${i}`),
});
async function check(id: string, lines: number, exit: number): Promise<void> {
  const own = bench as Bench;
  const job = await own.ended(id);
  expect(job).toMatchObject({ status: exit === 0 ? 'completed' : 'failed', attempt: 1, result: { exitCode: exit, truncated: false } });
  const { out, err } = expected(lines);
  expect((await own.lines(id, '&stream=stdout')).map((line) => line.slice(0, 30))).toEqual(out.map((line) => line.slice(0, 30)));
  expect((await own.bytes(id, 'stdout')).toString()).toBe(out.join('\n'));
  expect((await own.lines(id, '&stream=stderr'))).toEqual(err);
  expect(own.containers(id)).toEqual([]);
}

of('a server that dies', () => {
  test('by SIGKILL, again and again, while ten containers print: nothing lost, nothing twice, in order per stream', async () => {
    const own = await start();
    const ids = await Promise.all(Array.from({ length: 10 }, (_, i) => own.sh(talk(120, 'sleep 0.1', i % 2))));
    for (let round = 0; round < Number(process.env['MUSTER_TEST_KILLS'] ?? 5); round++) {
      await own.stream(ids[round % 10] ?? '', (events) => events.filter(({ type }) => type === 'job:log').length > 5 || events.some(({ type }) => type === 'job:complete' || type === 'job:error'));
      await own.restart('SIGKILL');
    }
    for (const [i, id] of ids.entries()) await check(id, 120, i % 2);
  });

  test('while a container ends: its output, its exit code and its files are collected at the next start', async () => {
    const own = await start();
    const id = await own.sh('echo begin; sleep 1; echo end; mkdir out; echo kept > out/x; exit 4', { artifacts: ['out'] });
    await own.stream(id, (events) => events.some(({ type }) => type === 'job:log'));
    await own.server.kill('SIGKILL');
    docker('wait', ...own.containers(id));
    await own.restart('SIGKILL');
    expect(await own.ended(id)).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'container_exit' }, result: { exitCode: 4, artifacts: [{ path: 'out/x', size: 5 }] } });
    expect(await own.lines(id)).toEqual(['begin', 'end']);
  });

  test('by SIGTERM leaves containers running and takes them up at the next start', async () => {
    const own = await start();
    const id = await own.sh(talk(200, 'sleep 0.1', 0));
    await own.stream(id, (events) => events.some(({ type }) => type === 'job:log'));
    const [before] = own.containers(id);
    expect((await own.server.kill('SIGTERM')).code).toBe(0);
    expect(docker('inspect', '-f', '{{.State.Running}}', before ?? '')).toBe('true');
    await own.restart('SIGTERM');
    await check(id, 200, 0);
  });

  test('a container that vanished meanwhile is no success: the attempt was lost, and another one follows', async () => {
    const own = await start();
    const id = await own.sh('echo attempt; sleep 2');
    await own.stream(id, (events) => events.some(({ type }) => type === 'job:log'));
    await own.server.kill('SIGKILL');
    docker('rm', '-f', ...own.containers(id));
    await own.restart('SIGKILL');
    const job = await own.ended(id);
    expect(job).toMatchObject({ status: 'completed', attempt: 2, attempts: [{ number: 1, outcome: 'interrupted' }, { number: 2, outcome: 'completed' }] });
    expect(await own.lines(id)).toEqual(['attempt', 'attempt']);
  });

  test('what no job needs any more is removed; what only looks like ours is not', async () => {
    const own = await start();
    const id = await own.sh('trap "exit 0" TERM; echo up; while :; do sleep 0.1; done');
    await own.stream(id, (events) => events.some(({ type }) => type === 'job:log'));
    await own.server.kill('SIGKILL');
    const owner = await own.owner();
    const stranger = docker('create', '--name', `${id}-99`, '--label', 'muster.owner=somebody-else', '--label', `muster.job=${id}`, 'muster-demo:latest', 'true');
    try {
      const orphan = docker('run', '-d', '--network', 'none', '--label', `muster.owner=${owner}`, '--label', 'muster.job=job_00000000000000000000000000', '--label', 'muster.attempt=1', 'muster-demo:latest', 'sleep', '600');
      await own.restart('SIGKILL');
      await own.until(id, ({ status }) => status === 'running');
      docker('wait', orphan);
      for (let tries = 0; tries < 100 && docker('ps', '-aq', '--no-trunc').includes(orphan); tries++) await new Promise((resolve) => { setTimeout(resolve, 100); });
      const there = docker('ps', '-aq', '--no-trunc');
      expect(there).not.toContain(orphan);
      expect(there).toContain(stranger);
      expect((await own.post(`/api/jobs/${id}/cancel`)).status).toBeLessThan(300);
      expect((await own.ended(id)).status).toBe('cancelled');
    } finally {
      docker('rm', '-f', stranger);
    }
  });
});
