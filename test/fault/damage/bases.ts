// Good databases to damage, made by the real server under real load: one whose server was killed (its log beside it), one
// closed cleanly, the log of an earlier life, and another database altogether.
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVER } from '../campaign.ts';
import { openReadOnly } from '../check.ts';
import { createAgent, exchange } from '../client.ts';
import { Participant } from '../participant.ts';
import { createRng, type Rng } from '../rng.ts';
import { ServerProcess } from '../server.ts';
import { Workload } from '../workload.ts';

/** Submissions of one life: a few hundred jobs, and a log that has not been round once (1,000 pages): each of its frames counts. */
const SUBMISSIONS = 25;
/** ms of running on after the last submission: some have ended, some run, some wait. */
const RUN_ON = 150;

export type Rows = ReadonlyMap<string, readonly (string | number | null)[]>;

/** The files of one database, and what stands in it. */
export interface Base {
  readonly name: string;
  readonly db: Buffer;
  readonly wal: Buffer | null;
  readonly shm: Buffer | null;
  readonly tables: ReadonlyMap<string, { readonly columns: readonly string[]; readonly rows: Rows }>;
}

export interface Bases {
  /** Killed: the newest part of it stands in the log. */
  readonly killed: Base;
  readonly clean: Base;
  /** Of an earlier life of the killed one. */
  readonly staleWal: Buffer;
  readonly foreign: Base;
}

export async function makeBases(seed: string, folder: string): Promise<Bases> {
  const rng = createRng(seed);
  const participant = new Participant();
  await participant.start();
  const path = join(folder, 'base.db');
  const other = join(folder, 'other.db');
  try {
    const workload = new Workload(rng.fork('workload'), participant);
    await live(path, workload, 'SIGKILL');
    const staleWal = readFileSync(`${path}-wal`);
    await live(path, workload, 'SIGKILL');
    const killed = take('killed', path, folder);
    await live(path, workload, 'SIGTERM');
    await live(other, workload, 'SIGKILL');
    return { killed, clean: take('clean', path, folder), staleWal, foreign: take('foreign', other, folder) };
  } finally {
    await participant.stop();
  }
}

async function live(path: string, workload: Workload, end: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const server = new ServerProcess(SERVER, path);
  const agent = createAgent();
  try {
    const { url } = await server.ready;
    for (let i = 0; i < SUBMISSIONS; i++) {
      const load = workload.draw(`t${i}`);
      const answer = await exchange(url, { method: 'POST', path: load.path, body: load.body, headers: { 'idempotency-key': `key-${i}-${server.pid}` } }, agent);
      if (answer.kind !== 'answer' || answer.status !== 201) throw new Error(`a submission for the bases came to ${JSON.stringify(answer).slice(0, 300)}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, RUN_ON); });
  } finally {
    agent.destroy();
    await server.kill(end);
  }
}

const bytesOf = (path: string): Buffer | null => (existsSync(path) ? readFileSync(path) : null);

function take(name: string, path: string, folder: string): Base {
  const copy = join(folder, `read-${name}`, 'm.db');
  mkdirSync(join(folder, `read-${name}`));
  for (const end of ['', '-wal']) if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  return { name, db: readFileSync(path), wal: bytesOf(`${path}-wal`), shm: bytesOf(`${path}-shm`), tables: readTables(copy) };
}

/** Every row of every table as SQLite gives it. Throws what SQLite throws. */
export function readTables(path: string): Base['tables'] {
  const db = openReadOnly(path);
  try {
    return db.transaction(() => {
      const names = ['sqlite_schema', ...db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[]];
      return new Map(names.map((name) => {
        const info = db.pragma(`table_info(${name})`) as { name: string; pk: number }[];
        const keys = name === 'sqlite_schema' ? [0, 1] : info.flatMap(({ pk }, i) => (pk > 0 ? [i] : []));
        const rows = db.prepare(`SELECT * FROM ${name}`).raw(true).all() as (string | number | null)[][];
        return [name, { columns: info.map((column) => column.name), rows: new Map(rows.map((row) => [keys.map((i) => row[i]).join(' '), row])) }];
      }));
    })();
  } finally {
    db.close();
  }
}

export type Pick = (rng: Rng, bases: Bases) => Base;
