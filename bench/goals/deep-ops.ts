// What the depth measurement does, each on a small file and a big one: on the store's port, and over HTTP.
import type { JobFilter, Store } from '../../src/store/store.ts';
import { CHILD, type Landmarks, plan, submit, TAG, WAITING, WIDTH } from './deep-fill.ts';

export interface Side { readonly marks: Landmarks }
export interface StoreSide extends Side { readonly store: Store }
export interface HttpSide extends Side { readonly url: string }

export interface Op<T extends Side = Side> {
  readonly group: 'claim' | 'roll-up' | 'verbs' | 'list' | 'stream' | 'metrics' | 'start-up';
  readonly name: string;
  readonly repeats: number;
  /** ms of what the name says. */
  readonly run: (side: T) => Promise<number>;
}

const CLAIM = 250;
const PAGE = 50;
const EVENTS = 256;
const DONE = { kind: 'done', result: null } as const;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function claimAndEnd(store: Store, type: string, count: number, perCommand: number): Promise<void> {
  const { claimed } = await store.execute({ kind: 'claim', worker: 'bench', type, limit: count });
  if (claimed.length !== count) throw new Error(`${claimed.length} of ${count} jobs of type ${type} were claimed.`);
  for (let at = 0; at < count; at += perCommand) {
    await store.execute({ kind: 'finish', ended: claimed.slice(at, at + perCommand).map(({ id, epoch }) => ({ jobId: id, epoch, outcome: DONE })) });
  }
}

const read = (group: Op['group'], name: string, work: (side: StoreSide) => Promise<unknown>): Op<StoreSide> =>
  ({ group, name, repeats: 40, run: (side) => timed(() => work(side)) });
const list = (name: string, filter: JobFilter | ((side: StoreSide) => JobFilter)): Op<StoreSide> =>
  read('list', name, (side) => side.store.jobs(typeof filter === 'function' ? filter(side) : filter, null, PAGE));

/** seq of an event in the middle of the job that has many. */
const middles = new WeakMap<Store, number>();
async function middle({ store, marks }: StoreSide): Promise<number> {
  const known = middles.get(store);
  if (known !== undefined) return known;
  const [first] = await store.events({ jobId: marks.talker }, 0, 1);
  const last = (await store.job(marks.talker))?.finalSeq;
  const seq = ((first?.seq ?? 0) + (last ?? 0)) >> 1;
  middles.set(store, seq);
  return seq;
}

export const STORE_OPS: readonly Op<StoreSide>[] = [
  {
    group: 'claim', name: `claim ${CLAIM} and end them`, repeats: 20,
    async run({ store }) { // as many are queued again, unmeasured
      const ms = await timed(() => claimAndEnd(store, WAITING, CLAIM, CLAIM));
      await submit(store, CLAIM, plan(WAITING));
      return ms;
    },
  },
  { group: 'claim', name: `submit ${CLAIM}, claim and end ${CLAIM}`, repeats: 10, run: ({ store }) => timed(async () => { await submit(store, CLAIM, plan(WAITING)); await claimAndEnd(store, WAITING, CLAIM, CLAIM); }) },
  { group: 'claim', name: 'submit one', repeats: 50, run: ({ store }) => timed(() => submit(store, 1, plan(WAITING))) },
  { group: 'claim', name: 'a sweep that finds nothing due', repeats: 20, run: ({ store }) => timed(() => store.execute({ kind: 'tick', limit: 500, spareLeases: false })) },
  {
    group: 'roll-up', name: `claim ${WIDTH} children of one tree, end them by tens, each lets the next in`, repeats: 5,
    async run({ store, marks }) { // as many are added again, unmeasured
      const ms = await timed(() => claimAndEnd(store, CHILD, WIDTH, 10));
      await submit(store, WIDTH, plan(CHILD), marks.tree);
      return ms;
    },
  },
  {
    group: 'verbs', name: 'submit a batch of 10, cancel it, retry it, cancel and delete it', repeats: 20,
    run: ({ store }) => timed(async () => {
      const jobs = [plan('batch', { children: Array.from({ length: 10 }, () => plan(CHILD)) })];
      const jobId = (await store.execute({ kind: 'submit', jobs })).jobs[0]?.id ?? '';
      for (const kind of ['cancel', 'retry', 'cancel', 'remove'] as const) await store.execute({ kind, jobId });
    }),
  },
  read('list', 'one job', ({ store, marks }) => store.job(marks.job)),
  read('list', 'the batch itself', ({ store, marks }) => store.job(marks.tree)),
  list('newest 50', {}),
  list('by status, many (queued)', { status: ['queued'] }),
  list('by status, none (failed)', { status: ['failed'] }),
  list('by two statuses (queued, running)', { status: ['queued', 'running'] }),
  list('by three statuses, few (completed, failed, cancelled)', { status: ['completed', 'failed', 'cancelled'] }),
  list('by type, many', { type: WAITING }),
  list('by type, one', { type: 'batch' }),
  list('by type and status, many', { type: WAITING, status: ['queued'] }),
  list('by type and status, none of many (noop failed)', { type: WAITING, status: ['failed'] }),
  list('by type and status, none of few (batch queued)', { type: 'batch', status: ['queued'] }),
  list('by tag', { tag: TAG }),
  list('by tree', ({ marks }) => ({ rootId: marks.tree })),
  list('by tree and status, none', ({ marks }) => ({ rootId: marks.tree, status: ['failed'] })),
  list('by tag and status, none', { tag: TAG, status: ['failed'] }),
  list('by parent', ({ marks }) => ({ parentId: marks.tree })),
  list('by parent and status, none', ({ marks }) => ({ parentId: marks.tree, status: ['failed'] })),
  list('by text, found nowhere (one page of the search)', { text: 'found nowhere' }),
  read('list', 'children by ordinal, first page', ({ store, marks }) => store.children(marks.tree, null, null, PAGE)),
  read('list', 'children that failed, none', ({ store, marks }) => store.children(marks.tree, ['failed'], null, PAGE)),
  read('list', 'is one ready, when is the next alarm', async ({ store }) => { await store.readyTypes([WAITING]); await store.nextAlarm(); }),
  read('stream', `a job's events, first ${EVENTS}`, ({ store, marks }) => store.events({ jobId: marks.talker }, 0, EVENTS)),
  read('stream', `a job's events, ${EVENTS} from the middle`, async (side) => side.store.events({ jobId: side.marks.talker }, await middle(side), EVENTS)),
  read('stream', `a tree's events, first ${EVENTS}`, ({ store, marks }) => store.events({ jobId: marks.tree }, 0, EVENTS)),
  read('stream', `a tree's events, newest ${EVENTS}`, async ({ store, marks }) => store.events({ jobId: marks.tree }, (await store.lastSeq()) - EVENTS, EVENTS)),
  read('stream', `everything, newest ${EVENTS}`, async ({ store }) => store.events('all', (await store.lastSeq()) - EVENTS, EVENTS)),
  read('stream', 'newest and oldest cursor', async ({ store }) => { await store.lastSeq(); await store.floorSeq(); }),
  read('metrics', 'counts by type and status', ({ store }) => store.stats()),
];

const get = (group: Op['group'], name: string, path: (marks: Landmarks) => string): Op<HttpSide> => ({
  group, name, repeats: 20,
  run: ({ url, marks }) => timed(async () => {
    const answer = await fetch(`${url}${path(marks)}`);
    if (!answer.ok) throw new Error(`${answer.status} for ${path(marks)}: ${(await answer.text()).slice(0, 200)}`);
    await answer.arrayBuffer();
  }),
});

/** ms until a stream has given so many events. */
async function streamed(url: string, count: number): Promise<void> {
  const over = new AbortController();
  const { body } = await fetch(url, { signal: over.signal });
  if (body === null) throw new Error('A stream has no body.');
  let left = count;
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    left -= part.match(/^id: /gm)?.length ?? 0;
    if (left <= 0) break;
  }
  over.abort();
}

export const HTTP_OPS: readonly Op<HttpSide>[] = [
  get('metrics', 'GET /metrics', () => '/metrics'),
  get('list', 'GET /api/jobs?limit=50', () => `/api/jobs?limit=${PAGE}`),
  get('list', 'GET one job', ({ job }) => `/api/jobs/${job}`),
  get('list', 'GET the batch', ({ tree }) => `/api/jobs/${tree}`),
  { group: 'stream', name: 'SSE of the job with the events, first 1,000', repeats: 5, run: ({ url, marks }) => timed(() => streamed(`${url}/api/jobs/${marks.talker}/stream`, 1_000)) },
];
