// A process that opens one database after the other as the server does, reads all there is by every way there is to read
// it, and then works on it. One line of JSON in, one line out; it never decides what is right.
import { createInterface } from 'node:readline';
import { DomainError } from '../../../src/domain/errors.ts';
import { EMPTY_SPEC } from '../../../src/domain/job.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { openStore } from '../../../src/store/sqlite/index.ts';
import type { JobPage, Store } from '../../../src/store/store.ts';
import { STATUSES } from '../../../src/domain/job.ts';

export interface Ask { readonly path: string; /** What was there before the damage. */ readonly ids: readonly string[]; readonly parents: readonly string[]; readonly seqs: readonly number[] }
export interface Told {
  readonly refused?: { readonly name: string; readonly code: string; readonly message: string };
  /** JSON by what was asked; an error as "! code". A list is the ids of its jobs, those left out as damaged as "! id". */
  readonly answers?: Readonly<Record<string, string>>;
  readonly health?: string;
  /** What the store complained of. */
  readonly failures?: readonly string[];
}

const TYPES = ['noop', 'request', 'batch', 'verify'];
const PAGE = 100;

const told = ({ items, damaged }: JobPage): string[] => [...items.map(({ job }) => job.id), ...damaged.map(({ id }) => `! ${id}`)];

async function readAll(store: Store, { ids, parents, seqs }: Ask): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  const ask = async (what: string, read: () => Promise<unknown>): Promise<void> => {
    try {
      answers[what] = JSON.stringify(await read());
    } catch (error) {
      answers[what] = `! ${error instanceof DomainError ? error.code : String(error)}`;
    }
  };
  const listed = (filter: Parameters<Store['jobs']>[0]) => async (): Promise<string[]> => {
    const list: string[] = [];
    for (let after: number | null = null; ;) {
      const page = await store.jobs(filter, after, PAGE);
      list.push(...told(page));
      if (page.next === null) return list;
      after = page.next;
    }
  };
  for (const id of ids) await ask(`job ${id}`, () => store.job(id));
  for (const id of parents) {
    await ask(`children ${id}`, async () => told(await store.children(id, null, null, PAGE)));
    await ask(`results ${id}`, () => store.childResults(id, 1e9));
    await ask(`tree events ${id}`, async () => (await store.events({ jobId: id }, 0, 1e6)).map(({ seq }) => seq));
  }
  for (const seq of seqs) await ask(`event ${seq}`, async () => (await store.events('all', seq - 1, 1))[0] ?? null);
  await ask('list', listed({}));
  for (const status of STATUSES) await ask(`list ${status}`, listed({ status: [status] }));
  for (const type of TYPES) await ask(`list ${type}`, listed({ type }));
  for (let i = 0; i < 60; i += 7) await ask(`list t${i}`, listed({ tag: `t${i}` }));
  for (const type of TYPES) await ask(`ready ${type}`, () => store.readyTypes([type]));
  await ask('alarm', () => store.nextAlarm());
  await ask('newest', () => store.lastSeq());
  await ask('counts', async () => (await store.stats()).jobs);
  return answers;
}

/** What stands in it is worked on: nothing may stop that but what is said of the job it concerns. */
async function work(store: Store): Promise<string[]> {
  const failures: string[] = [];
  const run = async (what: string, command: Parameters<Store['execute']>[0]) => {
    try {
      return await store.execute(command);
    } catch (error) {
      failures.push(`${what}: ${error instanceof DomainError ? `${error.code}: ` : ''}${String(error)}`);
      return null;
    }
  };
  await run('recover', { kind: 'recover', worker: 'local', limit: 500 });
  await run('submit', { kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: EMPTY_SPEC }] });
  await run('tick', { kind: 'tick', limit: 500, spareLeases: true });
  for (const type of TYPES) {
    const claimed = (await run(`claim ${type}`, { kind: 'claim', worker: 'local', type, limit: 500 }))?.claimed ?? [];
    // One by one, as the server does when several together are refused for one of them.
    for (const { id, epoch } of claimed) await run(`finish ${id}`, { kind: 'finish', ended: [{ jobId: id, epoch, outcome: { kind: 'done', result: '1' } }] });
  }
  return failures;
}

async function tryOut(ask: Ask): Promise<Told> {
  let store: Store;
  try {
    store = await openStore({ path: ask.path, clock: systemClock, policies: {}, writer: 'inline' });
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return { refused: { name: error instanceof Error ? error.constructor.name : name, code: String(code ?? ''), message } };
  }
  const failures: string[] = [];
  store.onFailure((error) => failures.push(`the store failed: ${error.message}`));
  const answers = await readAll(store, ask);
  failures.push(...await work(store));
  const health = store.health();
  await store.close();
  return { answers, health, failures };
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${JSON.stringify(await tryOut(JSON.parse(line) as Ask))}\n`);
