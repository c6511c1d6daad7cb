// Container jobs on a real engine, over real HTTP: what is printed, how it ends, and what is left behind.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, docker, hasEngine, IMAGE } from '../support/docker.ts';

const of = describe.skipIf(!hasEngine);
let bench: Bench;
if (hasEngine) {
  beforeAll(async () => { bench = await new Bench().ready(); });
  afterAll(async () => {
    expect(bench.server.complaints()).toEqual([]);
    await bench.close();
  });
}
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

of('a container', () => {
  test('prints to followers while it runs, leaves its files, and answers by the agents\' contract', async () => {
    const id = await bench.submit({ env: { STEPS: '3', PAUSE: '0.3', GOAL: 'a report' }, artifacts: ['./out/'] });
    const events = await bench.stream(id);
    const logs = events.filter(({ type }) => type === 'job:log');
    expect(logs.flatMap(({ data }) => data.lines)).toEqual(['Goal: a report', 'Step 1 of 3', 'Step 2 of 3', 'Step 3 of 3', expect.stringContaining('"status":"ok"'), '__AGENT_DONE__']);
    expect(logs.length).toBeGreaterThan(2); // as it printed, not at its end
    const job = await bench.ended(id);
    expect(job).toMatchObject({ status: 'completed', result: { exitCode: 0, signal: null, oomKilled: false, truncated: false, droppedBytes: 0, output: { status: 'ok', summary: 'Took 3 steps' } } });
    expect(job.attempts).toMatchObject([{ number: 1, outcome: 'completed', run: { exitCode: 0, imageId: docker('inspect', '-f', '{{.Id}}', IMAGE) } }]);
    expect((await bench.get(`/api/jobs/${id}/artifacts`)).artifacts).toEqual([{ path: 'out/report.txt', size: 15, contentType: 'text/plain; charset=utf-8' }]);
    const file = await fetch(`${bench.url}/api/jobs/${id}/artifacts/out/report.txt`);
    expect([file.headers.get('content-disposition'), await file.text()]).toEqual(['attachment; filename="report.txt"', 'Goal: a report\n']);
    expect(bench.containers(id)).toEqual([]);
  });

  test('has every byte it printed kept, of both streams, also those that are no text', async () => {
    const bytes = randomBytes(200_000);
    const id = await bench.submit({ command: ['sh', '-c', 'cat in/bytes; base64 in/bytes >&2'], files: [{ path: 'in/bytes', base64: bytes.toString('base64') }] });
    expect((await bench.ended(id)).status).toBe('completed');
    expect(sha(await bench.bytes(id, 'stdout'))).toBe(sha(bytes));
    expect((await bench.bytes(id, 'stderr')).toString().replaceAll('\n', '')).toBe(bytes.toString('base64'));
  });

  test('reads its standard input to the end', async () => {
    const id = await bench.submit({ command: ['wc', '-c'], stdin: 'x'.repeat(300_000) });
    expect((await bench.ended(id)).status).toBe('completed');
    expect(await bench.lines(id)).toEqual(['300000']);
  });

  test('with long lines, an unterminated last one and characters at every border has them whole', async () => {
    const id = await bench.sh(`i=0; while [ $i -lt 5 ]; do head -c 30000 /dev/zero | tr '\\0' x; printf '\\303\\244%05d\\n' $i; i=$((i+1)); done
      j=0; while [ $j -lt 9000 ]; do printf '\\360\\237\\230\\200'; j=$((j+1)); done; printf '\\nno end'`);
    expect((await bench.ended(id)).status).toBe('completed');
    const lines = await bench.lines(id);
    expect(lines).toEqual([...Array.from({ length: 5 }, (_, i) => `${'x'.repeat(30_000)}ä0000${i}`), '\u{1f600}'.repeat(9_000), 'no end']);
    expect((await bench.get(`/api/jobs/${id}/logs?format=json&tail=2`))).toMatchObject({ lines: ['\u{1f600}'.repeat(9_000), 'no end'], total: 7, offset: 5 });
  });

  test('with a terminal has one raw stream, escapes and all', async () => {
    const id = await bench.sh("printf '\\033[31mred\\033[0m\\n'; echo err >&2", { tty: true });
    expect((await bench.ended(id)).status).toBe('completed');
    expect(await bench.lines(id)).toEqual(['\u001b[31mred\u001b[0m', 'err']);
    expect((await bench.bytes(id)).toString()).toContain('\r\n');
  });

  test('never has its secrets shown again: not as they are, not in base64, in no read and no file', async () => {
    const secret = 'S3cret-value/with+signs';
    const id = await bench.sh('echo "key $KEY"; printf "x$KEY" | base64; printf "xx$KEY-tail" | base64; printf "$KEY" | base64; printf %s "$KEY" | head -c 10; sleep 1.5; printf %s "$KEY" | tail -c +11; echo; echo "{\\"status\\":\\"ok\\",\\"summary\\":\\"$KEY\\"}"; echo __AGENT_DONE__', { secrets: { KEY: secret } });
    const events = JSON.stringify(await bench.stream(id));
    const job = await bench.ended(id);
    const all = [events, JSON.stringify(job), (await bench.bytes(id)).toString(), JSON.stringify(await bench.get('/api/jobs')), JSON.stringify(await bench.get(`/api/jobs/${id}/events`)), JSON.stringify(await bench.get(`/api/jobs/${id}/explain`)), bench.server.log()].join('\n');
    expect(job.status).toBe('completed');
    expect(await bench.lines(id)).toContain('key ***');
    expect(all).not.toContain(secret);
    for (const shift of ['', 'x', 'xx']) expect(all).not.toContain(Buffer.from(shift + secret).toString('base64').slice(4, -8));
  });
});

of('the seven ends that go wrong', () => {
  test('a container that cannot be started fails with the engine\'s words', async () => {
    const job = await bench.ended(await bench.submit({ workingDir: '/bin/busybox' }));
    expect(job).toMatchObject({ status: 'failed', error: { code: 'container_failed' } });
    expect(job.error?.message).toMatch(/not a directory/i);
    expect((await bench.ended(await bench.submit({ image: 'absent:1' }))).error).toMatchObject({ code: 'container_failed', message: expect.stringContaining('docker pull') });
  });
  test('one that exits at once has its exit code and its last words', async () => {
    const id = await bench.sh('echo gone >&2; exit 7');
    expect(await bench.ended(id)).toMatchObject({ status: 'failed', error: { code: 'container_exit' }, result: { exitCode: 7 } });
    expect(await bench.lines(id)).toEqual(['gone']);
  });
  test('one without output completes with none', async () => {
    const id = await bench.submit({ command: ['true'] });
    expect(await bench.ended(id)).toMatchObject({ status: 'completed', result: { outputBytes: 0, output: null } });
    expect(await bench.lines(id)).toEqual([]);
  });
  test('one that runs out of time while it prints ends with what it printed', async () => {
    const id = await bench.sh('trap "echo last words; exit 0" TERM; while :; do echo tick; sleep 0.2; done', {}, { timeout: 1_500 });
    expect(await bench.ended(id)).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    expect((await bench.lines(id)).at(-1)).toBe('last words');
    expect(bench.containers(id)).toEqual([]);
  });
  test('an unknown id is not found, by every read', async () => {
    for (const path of ['', '/logs', '/artifacts', '/artifacts/x', '/stream']) expect((await fetch(`${bench.url}/api/jobs/job_00000000000000000000000000${path}`)).status, path).toBe(404);
  });
  test('a client that is cut off comes back and misses nothing', async () => {
    const id = await bench.sh('i=0; while [ $i -lt 40 ]; do echo line $i; sleep 0.05; i=$((i+1)); done');
    await bench.stream(id, (events) => events.filter(({ type }) => type === 'job:log').length > 3);
    const lines = (await bench.stream(id)).filter(({ type }) => type === 'job:log').flatMap(({ data }) => data.lines);
    expect(lines).toEqual(Array.from({ length: 40 }, (_, i) => `line ${i}`));
  });
});

of('what is printed counts for nothing else', () => {
  test('the sentinel and a fake result end no job and make no success', async () => {
    const id = await bench.sh('echo \'{"status":"ok","summary":"done"}\'; echo __AGENT_DONE__; sleep 1; exit 3');
    await bench.stream(id, (events) => events.some(({ data }) => JSON.stringify(data ?? {}).includes('AGENT_DONE')));
    expect((await bench.get(`/api/jobs/${id}`)).status).toBe('running');
    expect(await bench.ended(id)).toMatchObject({ status: 'failed', error: { code: 'container_exit' }, result: { exitCode: 3, output: { summary: 'done' } } });
  });
});

of('the end that is asked for', () => {
  const cancelled = async (id: string): Promise<number> => {
    const began = performance.now();
    expect((await bench.post(`/api/jobs/${id}/cancel`)).status).toBeLessThan(300);
    expect(await bench.ended(id)).toMatchObject({ status: 'cancelled' });
    expect(bench.containers(id)).toEqual([]);
    return performance.now() - began;
  };
  const running = (id: string) => bench.stream(id, (events) => events.some(({ type }) => type === 'job:log'));

  test('is TERM, and what is said then is kept', async () => {
    const id = await bench.sh('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.1; done');
    await running(id);
    await cancelled(id);
    expect(await bench.lines(id)).toEqual(['up', 'bye']);
  });
  test('is KILL for who ignores TERM, after its grace', async () => {
    const id = await bench.sh('trap "" TERM; echo up; while :; do sleep 0.1; done', { grace: 1_000 });
    await running(id);
    expect(await cancelled(id)).toBeLessThan(15_000);
  });
  test('reaches a container that is paused', async () => {
    const id = await bench.sh('echo up; sleep 600', { grace: 1_000 });
    await running(id);
    docker('pause', ...bench.containers(id));
    await cancelled(id);
  });
  test('ends a fork bomb whole', async () => {
    const id = await bench.sh('echo up; b() { b | b & }; b; sleep 600', { grace: 500, limits: { pids: 64 } });
    await running(id);
    expect(await cancelled(id)).toBeLessThan(15_000);
  });
});

of('the profile', () => {
  test('holds: no capability, no way to new ones, nothing to write to but /tmp, no network, nobody', async () => {
    const id = await bench.sh('grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; id -u; touch /x 2>&1; touch /tmp/ok && echo tmp; ls /sys/class/net; mount -t tmpfs none /mnt 2>&1 | head -1; ls /var/run/docker.sock 2>&1; ulimit -c');
    expect((await bench.ended(id)).status).toBe('completed');
    const text = (await bench.lines(id)).join('\n');
    expect(text).toMatch(/CapBnd:\s+0000000000000000/);
    expect(text).toMatch(/CapEff:\s+0000000000000000/);
    expect(text).toMatch(/NoNewPrivs:\s+1/);
    expect(text).toMatch(/Seccomp:\s+2/);
    expect(text).toMatch(/\n65534\n/);
    expect(text).toMatch(/touch: \/x: Read-only file system/);
    expect(text).toMatch(/\ntmp\n/);
    expect((await bench.lines(id)).filter((line) => /^(lo|eth|docker|veth|en|wl)/.test(line))).toEqual(['lo']);
    expect(text).toMatch(/docker.sock: No such file/);
  });
  test('memory beyond the limit ends it with the reason, and the rest of /tmp is not there', async () => {
    const id = await bench.sh('head -c 100m /dev/zero > /tmp/x; echo wrote $?; tail /dev/zero', { limits: { memory: 32 * 1024 * 1024 } });
    expect(await bench.ended(id)).toMatchObject({ status: 'failed', error: { code: 'out_of_memory' }, result: { oomKilled: true } });
  });
  test.each([
    ['an image that is a flag', { image: '--privileged' }], ['that is a path', { image: '../x' }], ['with a blank', { image: 'a b' }], ['of 5,000 characters', { image: 'a'.repeat(5_000) }], ['that is not allowed', { image: 'other:1' }], ['without a version', { image: 'muster-demo' }],
    ['Privileged', { Privileged: true }], ['HostConfig', { HostConfig: { Binds: ['/:/x'] } }], ['Binds', { Binds: ['/:/x'] }], ['capAdd', { capAdd: ['ALL'] }], ['network host', { network: 'host' }], ['network of a container', { network: 'container:x' }], ['bridge where it is not allowed', { network: 'bridge' }],
    ['a working directory in /proc', { workingDir: '/proc/self/fd/7' }], ['a file outside', { files: [{ path: '/etc/passwd', content: '' }] }], ['a file above', { files: [{ path: '../x', content: '' }] }], ['an artifact outside', { artifacts: ['/var/run/docker.sock'] }], ['an artifact above', { artifacts: ['a/../../x'] }],
    ['LD_PRELOAD', { env: { LD_PRELOAD: '/x' } }], ['a line end in a name', { env: { 'A\nB': '1' } }], ['a large value', { env: { A: 'x'.repeat(100_000) } }], ['root', { user: '0' }], ['a short secret', { secrets: { A: 'abc' } }],
  ])('%s is refused at the door', async (_, input) => {
    const { status } = await bench.post('/api/jobs', { type: 'container', input: { image: IMAGE, ...input } });
    expect([400, 422]).toContain(status);
  });
  test('links and what is not there are not kept, and said', async () => {
    const id = await bench.sh('mkdir out; echo x > out/file; ln -s /etc/passwd out/link; ln out/file out/hard; mkfifo out/pipe', { artifacts: ['out', 'absent'] });
    const { result } = await bench.ended(id);
    expect(result.artifacts.map(({ path }: { path: string }) => path).length).toBe(1);
    expect(result.artifactsRefused.map(({ reason }: { reason: string }) => reason).sort()).toEqual(['a fifo', 'a link', 'a link', 'not there']);
  });
});

of('the cap', () => {
  test.each([[9_999_999, false], [10_000_000, false], [10_000_001, true]])('of 10,000,000 bytes: %i printed', async (bytes, truncated) => {
    const id = await bench.sh(`yes $(seq -s - 1 40) | head -c ${bytes}`);
    const { result } = await bench.ended(id);
    expect(result).toMatchObject({ outputBytes: bytes, truncated });
    const kept = await bench.bytes(id);
    expect(kept.length).toBe(bytes - result.droppedBytes);
    expect(kept.length).toBeLessThanOrEqual(10_000_000);
    expect(result.droppedBytes > 0).toBe(truncated);
    const gaps = (await bench.stream(id)).filter(({ type }) => type === 'job:gap');
    expect(gaps.map(({ data }) => [data.bytes, data.lineCount])).toEqual(truncated ? [[result.droppedBytes, result.droppedLines]] : []);
  });
  test('a flood keeps its first 8 MB and its last 2, and the count of the rest is exact', async () => {
    const id = await bench.sh('i=0; while [ $i -lt 30 ]; do seq 1 100000; i=$((i+1)); done; echo the end');
    const { result } = await bench.ended(id);
    const total = 30 * 588_895 + 8;
    expect(result).toMatchObject({ outputBytes: total, truncated: true });
    const kept = (await bench.bytes(id)).toString();
    expect(kept.length).toBe(total - result.droppedBytes);
    expect(kept.split('\n').length - 1).toBe(30 * 100_000 + 1 - result.droppedLines);
    expect(kept.startsWith('1\n2\n3\n')).toBe(true);
    expect(kept.endsWith('99999\n100000\nthe end\n')).toBe(true);
    expect(kept.length).toBeGreaterThan(9_800_000);
  });
  test('who never stops is ended by the raw limit, with its own reason', async () => {
    const id = await bench.submit({ command: ['yes'], limits: { output: 3_000_000 } });
    expect(await bench.ended(id)).toMatchObject({ status: 'failed', error: { code: 'output_limit' } });
    expect(bench.containers(id)).toEqual([]);
  });
});

of('many', () => {
  test('20 at once with 10,000 lines each: every line once, in order', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => bench.sh('seq 1 10000')));
    for (const id of ids) {
      expect((await bench.ended(id)).status).toBe('completed');
      expect(await bench.lines(id)).toEqual(Array.from({ length: 10_000 }, (_, i) => String(i + 1)));
    }
  });
});
