// Another process for a test: runs a few lines of module code with the project's sources at hand, and hears what it prints.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tempFolder } from '../../support/store.ts';

const SRC = new URL('../../../src/', import.meta.url).href;

export interface Child {
  readonly process: ChildProcess;
  /** The next line it prints, or null when it has ended. */
  line(): Promise<string | null>;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly errors: string }>;
}

/** @param code module code; `SRC` is replaced by the address of the sources. @param limit shell words before it, such as "ulimit -f 100;" */
export function child(code: string, limit = ''): Child {
  const folder = tempFolder();
  const file = folder.file('child.mjs'); // not -e: a worker thread would inherit its flags
  writeFileSync(file, code.replaceAll('SRC/', SRC));
  const process_ = spawn('/bin/sh', ['-c', `${limit} exec "$0" "$1"`, process.execPath, file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  process_.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
  const lines = createInterface({ input: process_.stdout })[Symbol.asyncIterator]();
  return {
    process: process_,
    line: async () => { const next = await lines.next(); return next.done === true ? null : next.value; },
    ended: once(process_, 'close').then(([code_, signal]) => {
      folder.remove();
      return { code: code_ as number | null, signal: signal as NodeJS.Signals | null, errors };
    }),
  };
}
