// The agent of agent-server.ts as a test has it: a process, its URL, and what it noted.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface AgentProcess {
  readonly url: string;
  /** Lines "begin PROMPT" and "end PROMPT", as they came. */
  noted(): string[];
  stop(): Promise<void>;
}

export async function startAgent(): Promise<AgentProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-agent-'));
  const log = join(folder, 'log');
  writeFileSync(log, '');
  const child = spawn(process.execPath, [new URL('./agent-server.ts', import.meta.url).pathname, log], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
    child.once('exit', () => reject(new Error('the agent did not start')));
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    noted: () => readFileSync(log, 'utf8').split('\n').filter((line) => line !== ''),
    async stop() {
      const gone = new Promise((resolve) => { child.once('exit', resolve); });
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
