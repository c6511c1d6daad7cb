// A newcomer's first minutes: the commands of the README and of pages it links, taken as they stand.
import { spawn, type ChildProcess, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocksOf = (page: string): string[] => [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]!.trim());
const commands = (path: string): string[] => blocksOf(readFileSync(join(root, path), 'utf8'));
const [install, submit, watch, using] = blocksOf(readme) as [string, string, string, string];

/** A network of its own, so that port 8000 is free whatever runs here. */
const isolated = spawnSync('unshare', ['-n', 'true']).status === 0;
const enter = isolated ? ['unshare', '-n'] : [];
const folder = mkdtempSync(join(tmpdir(), 'muster-readme-'));

/** One shell that starts the server and then reads commands, all in the same network. */
let shell: ChildProcess;
let output = '';

function run(script: string, until: RegExp): Promise<string> {
  const from = output.length;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const said = output.slice(from);
      if (!until.test(said)) return;
      shell.stdout!.off('data', look);
      resolve(said);
    };
    shell.stdout!.on('data', look);
    shell.once('exit', () => reject(new Error(`the shell ended:\n${output}`)));
    shell.stdin!.write(`${script}\n`);
  });
}

beforeAll(async () => {
  const command = [...enter, 'bash', '-c', `${isolated ? 'ip link set lo up && ' : ''}exec bash`];
  shell = spawn(command[0]!, command.slice(1), { cwd: root, env: { ...process.env, MUSTER_DB: join(folder, 'muster.db') }, stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  shell.stdout!.setEncoding('utf8').on('data', (text: string) => { output += text; });
  // `npm ci` has been done: these tests run from what it installed. The rest of the line is typed as it stands.
  await run(`${install.replace('npm ci && ', '')} & server=$!`, /Muster listens on/);
});

afterAll(async () => {
  const gone = new Promise((resolve) => { shell.stdout!.once('close', resolve); }); // when the last of the group lets go of it
  process.kill(-shell.pid!, 'SIGTERM');
  shell.stdin!.destroy();
  await gone;
  rmSync(folder, { recursive: true, force: true });
});

describe('the README', () => {
  test('says in one sentence what it is, and how to start, submit and watch by line 25', () => {
    const top = readme.split('\n').slice(0, 25).join('\n');
    expect(top).toContain('npm ci && npm start');
    expect(top).toContain("curl -s localhost:8000/api/jobs -H 'content-type: application/json' -d");
    expect(top).toContain('curl -N localhost:8000/api/jobs/$id/stream');
    expect(readme.split('\n')[2]).toMatch(/^Muster is .*\.$/);
  });

  test('its commands submit a batch and watch it until it is COMPLETE', async () => {
    await run(`${submit}\necho "id is $id"`, /id is job_[a-z0-9]{26}\n/);
    const seen = await run(`${watch}\necho "curl ended with $?"`, /curl ended with \d+\n/);
    expect(seen).toContain('curl ended with 0'); // by itself: the stream ends with the job
    const events = [...seen.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1]!));
    expect(events[0]).toEqual({ type: 'connected' });
    expect(events.at(-1)).toMatchObject({ type: 'job:complete', data: { type: 'batch', state: 'COMPLETE', children: [{ state: 'COMPLETE' }, { state: 'COMPLETE' }] } });
    expect(events.filter((event) => event.data?.reason === 'pending')).toHaveLength(2);
  });

  test('its further commands are answered as it says', async () => {
    const seen = await run(`${using}\necho; echo done`, /\ndone\n/);
    expect(seen).toContain('"tags":["demo"]');
    expect(seen).toMatch(/"jobs":\[\{"id":"job_/);
    expect(seen).toContain('"code":"delayed"'); // explained
    expect(seen).toMatch(/"id":"job_[^\n]*"status":"queued"[^\n]*"outcome":"failed"/); // given another life
  });

  test('the commands of the pages on schedules and evaluation work as they stand', async () => {
    const [schedule] = commands('docs/schedules.md');
    const [first, experiment, own] = commands('docs/evaluation.md');
    const seen = await run(`cd ${folder}\n${schedule}\n${first}\n${experiment}\n${own}\necho; echo pages done`, /\npages done\n/);
    expect(seen).toContain('"code":"waiting"');
    expect(seen).toContain('"kind":"trigger"');
    expect(seen).toContain('"passFailStatus":"passed"');
    expect(seen).toMatch(/"type":"job:complete".*"passed":1,"failed":0,"errors":0/);
    expect(seen).toContain('"headerNames":["authorization"]');
    expect(seen).toContain('"hasKey":true');
    expect(seen).not.toContain('"type":"/docs#'); // no refusal
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('Nightly');
  });

  test('every relative link leads somewhere', () => {
    for (const [, path] of readme.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) expect(() => readFileSync(join(root, path!)), path).not.toThrow();
  });
});
