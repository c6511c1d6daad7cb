// The server under test as a process: started, watched, and ended by its own pid. Knows nothing of jobs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { undoAtExit } from './undo.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** From spawn to listening; far beyond the second it takes, so that only a hang meets it. */
const READY_MAX = 120_000;
/** Lines of its log kept for a failure message. */
const LOG_KEPT = 200;

export interface Ready {
  readonly url: string;
  /** As the server read them back from SQLite. */
  readonly storage: { readonly synchronous: number; readonly journal: string } | undefined;
  /** From spawn to listening, ms. */
  readonly took: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a nemesis has its servers started. */
export interface Launch {
  /** What comes before `node`; it must leave the pid to the server (`strace -D` does). */
  readonly wrap?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class ServerProcess {
  readonly startedAt = Date.now();
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly exited: Promise<Exit>;
  readonly ready: Promise<Ready>;

  /** @param entry script with its arguments, from the root of the project */
  constructor(entry: readonly string[], db: string, { wrap = [], env = {} }: Launch = {}) {
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MUSTER_') && name !== 'NODE_OPTIONS'));
    const [command = process.execPath, ...args] = [...wrap, process.execPath, ...entry];
    this.#child = spawn(command, args, {
      cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...inherited, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info', MUSTER_DB: db, ...env },
    });
    const end = undoAtExit(() => { this.#child.kill('SIGKILL'); });
    this.#child.once('exit', end); // its pid may be another's soon
    this.exited = once(this.#child, 'exit').then(([code, signal]) => ({ code, signal } as Exit));
    this.ready = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not listening after ${READY_MAX} ms\n${this.log()}`)), READY_MAX);
      void this.exited.then(({ code, signal }) => {
        clearTimeout(late);
        reject(new Error(`ended before it listened (code ${code}, signal ${signal})\n${this.log()}`));
      });
      let rest = '';
      const take = (text: string): void => {
        rest += text;
        for (let at = rest.indexOf('\n'); at >= 0; at = rest.indexOf('\n')) {
          const line = rest.slice(0, at);
          rest = rest.slice(at + 1);
          this.#lines.push(line);
          if (this.#lines.length > LOG_KEPT) this.#lines.shift();
          if (!line.includes('"Muster listens on ')) continue;
          clearTimeout(late);
          const { url, storage } = JSON.parse(line) as Pick<Ready, 'url' | 'storage'>;
          resolve({ url, storage, took: Date.now() - this.startedAt });
        }
      };
      for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.setEncoding('utf8').on('data', take);
    });
    this.ready.catch(() => {}); // whoever cares awaits it
  }

  get pid(): number { return this.#child.pid ?? 0; }
  get hasExited(): boolean { return this.#child.exitCode !== null || this.#child.signalCode !== null; }

  /** Everything it said at level error or above: a defect, whatever else holds. */
  complaints(): string[] { return this.#lines.filter((line) => /"level":"(error|fatal)"/.test(line) || !line.startsWith('{')); }
  log(): string { return this.#lines.slice(-30).join('\n'); }

  /** Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    if (!this.hasExited) process.kill(this.pid, signal);
    return this.exited;
  }
}
