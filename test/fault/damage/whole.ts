// One image by the real server, as a user starts it: its exit code and words, or what it answers of the damaged row.
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SERVER } from '../campaign.ts';
import { createAgent, exchange } from '../client.ts';
import { ServerProcess } from '../server.ts';
import type { Oracle } from './judge.ts';

/** RELIABILITY A8 wants 5 s on a quiet machine; this is for a hang. */
const END_MAX = 20_000;
const HINT = /restore|MUSTER_DB|newer version/i;

/** @returns what is wrong */
export async function tryWhole(path: string, name: string, oracle: Oracle, copy: string): Promise<string[]> {
  const home = join(dirname(copy), 'whole');
  const db = join(home, 'm.db');
  mkdirSync(home);
  if (name === 'directory') mkdirSync(db);
  for (const end of ['', '-wal', '-shm']) if (existsSync(path + end) && statSync(path + end).isFile()) copyFileSync(path + end, db + end);
  const server = new ServerProcess(SERVER, db);
  const agent = createAgent();
  const wrong: string[] = [];
  try {
    const late = new Promise<'late'>((resolve) => { setTimeout(resolve, END_MAX, 'late').unref(); });
    const first = await Promise.race([server.ready, server.exited, late]).catch(() => server.exited);
    if (first === 'late') return [`HANG: the server neither serves nor ends: ${name}`];
    if (!('url' in first)) {
      const code = name === 'directory' ? 78 : 65;
      if (first.code !== code) wrong.push(`EXIT ${first.code} ${first.signal ?? ''}, not ${code}: ${name}\n${server.log()}`);
      else if (!HINT.test(server.log())) wrong.push(`EXIT without a hint what to do: ${name}: ${server.log()}`);
      return wrong;
    }
    if (oracle.damage !== null) wrong.push(`SERVES A DAMAGED FILE (${oracle.damage}): ${name}`);
    const get = async (where: string, method = 'GET', body?: unknown) => exchange(first.url, { method, path: where, ...(body === undefined ? {} : { body }) }, agent);
    let fresh = await get('/api/jobs', 'POST', { type: 'noop' });
    // A machine on which a commit takes seconds is refused for what waits already, and told when to come again.
    for (let tries = 0; tries < 10 && fresh.kind === 'answer' && fresh.status === 503; tries++) {
      await new Promise((resolve) => { setTimeout(resolve, Number(fresh.kind === 'answer' ? fresh.headers['retry-after'] : 1) * 1_000); });
      fresh = await get('/api/jobs', 'POST', { type: 'noop' });
    }
    if (fresh.kind !== 'answer' || fresh.status !== 201) wrong.push(`NO NEW WORK on it: ${name}: ${JSON.stringify(fresh).slice(0, 300)}`);
    for (const where of ['/health', '/ready', '/metrics', '/api/jobs?limit=5', '/api/jobs?limit=200']) {
      const answer = await get(where);
      const isDeclared = answer.kind === 'answer' && (answer.status === 200 || (answer.status === 500 && answer.body.code === 'damaged' && answer.headers['content-type']?.startsWith('application/problem+json') === true));
      if (!isDeclared) wrong.push(`UNDECLARED answer to ${where}: ${name}: ${JSON.stringify(answer).slice(0, 300)}`);
    }
    const { code, signal } = await server.kill('SIGTERM');
    if (code !== 0) wrong.push(`STOPPED with ${code ?? signal}: ${name}\n${server.log()}`);
    return wrong;
  } finally {
    agent.destroy();
    await server.kill();
    rmSync(home, { recursive: true, force: true });
  }
}
