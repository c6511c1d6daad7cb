// Files for the depth measurement, filled through the store's own port: what is in them was decided and written by the
// same code as ever. Only the syncing is off while filling, and the file is closed and opened again afterwards.
import { join } from 'node:path';
import type { NewJob } from '../../src/domain/commands.ts';
import { DEFAULT_POLICY } from '../../src/domain/policy.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { Store } from '../../src/store/store.ts';

export interface Sizes {
  readonly queued: number;
  readonly later: number;
  readonly children: number;
  readonly events: number;
}

/** Ids to ask for. */
export interface Landmarks {
  /** Queued in the middle. */
  readonly job: string;
  /** A batch with all the children. */
  readonly tree: string;
  /** The one with the events; it has ended. */
  readonly talker: string;
}

/** What the server's registry knows; none of them runs while we measure. */
export const WAITING = 'noop';
export const CHILD = 'verify';
const TALKER = 'request';
export const TAG = 'later';
/** Children open at once: an end lets the next one in. */
export const WIDTH = 100;
export const STILL = `${WAITING}=0,${CHILD}=0,${TALKER}=0,batch=0`;

const BLOCK = 10_000;
const NOTES = 1_000;
const TOMORROW = 86_400_000;
const INPUT = JSON.stringify({ result: 'x'.repeat(155) });

export const openAt = (folder: string, synchronous: 'FULL' | 'OFF' = 'FULL'): Promise<Store> =>
  openStore({ path: join(folder, 'muster.db'), clock: systemClock, policies: Object.fromEntries([WAITING, CHILD, TALKER, 'batch'].map((type) => [type, DEFAULT_POLICY])), synchronous });

export const plan = (type: string, more: Partial<NewJob> = {}): NewJob => ({ type, input: INPUT, spec: {}, ...more });

/** One list for all blocks: what is sent to the writer's thread is copied once an object, not once a mention. */
export async function submit(store: Store, count: number, one: NewJob, parentId?: string): Promise<string | undefined> {
  let middle: string | undefined;
  const blocks = Math.ceil(count / BLOCK);
  for (let n = 0; n < blocks; n++) {
    const jobs = Array.from({ length: Math.min(BLOCK, count - n * BLOCK) }, () => one);
    const { jobs: [first] } = await store.execute({ kind: 'submit', jobs, parentId });
    if (n === blocks >> 1) middle = first?.id;
  }
  return middle;
}

/** Two commands under way, so that one is prepared while the other is written. */
async function queue(store: Store, count: number): Promise<string | undefined> {
  const half = Math.ceil(count / 2);
  const [, middle] = await Promise.all([submit(store, half, plan(WAITING)), submit(store, count - half, plan(WAITING))]);
  return middle;
}

export async function fill(folder: string, { queued, later, children, events }: Sizes): Promise<Landmarks> {
  const store = await openAt(folder, 'OFF');
  try {
    const tree = await submit(store, 1, plan('batch', { spec: { width: WIDTH, sealed: false } }));
    await store.execute({ kind: 'claim', worker: 'bench', type: 'batch', limit: 1 }); // opens it: it runs because its children do
    const half = queued >> 1;
    await queue(store, half);
    await submit(store, children, plan(CHILD), tree);
    await submit(store, later, plan(WAITING, { dueAt: Date.now() + TOMORROW, spec: { tags: [TAG] } }));
    const talker = await submit(store, 1, plan(TALKER));
    const { claimed: [lease] } = await store.execute({ kind: 'claim', worker: 'bench', type: TALKER, limit: 1 });
    if (lease === undefined) throw new Error('The job with the events was not claimed.');
    for (let n = 0; n < events; n += NOTES) {
      const text = (i: number): string => JSON.stringify({ progress: 0.5, step: n + i, text: 'x'.repeat(60) });
      await store.execute({ kind: 'note', jobId: lease.id, epoch: lease.epoch, events: Array.from({ length: Math.min(NOTES, events - n) }, (_, i) => ({ type: 'job:progress' as const, data: text(i) })) });
    }
    await store.execute({ kind: 'finish', ended: [{ jobId: lease.id, epoch: lease.epoch, outcome: { kind: 'done', result: null } }] });
    const job = await queue(store, queued - half);
    if (tree === undefined || talker === undefined || job === undefined) throw new Error('A landmark is missing.');
    return { job, tree, talker };
  } finally {
    await store.close();
  }
}
