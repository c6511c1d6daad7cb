// The soak's load: submits, trees, failing participants, verbs, reads, streams that come and go, and deletes that keep
// the table at a steady size. Each kind on a clock of its own; what is asked follows a seed.
import { WAYS } from './participant.ts';

/** Finished or not, this many roots stay; older ones are cancelled and deleted. */
const KEPT = 2_000;
const STREAMS = 30;

export interface Mix {
  line(): string;
  stop(): Promise<void>;
}

/** mulberry32 */
function chance(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function startMix(url: string, participant: string, seed: number): Mix {
  const random = chance(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const roots: string[] = [];
  const counts = new Map<string, number>();
  const stop = new AbortController();
  const open = new Set<Promise<void>>();
  const count = (what: string): void => { counts.set(what, (counts.get(what) ?? 0) + 1); };

  async function ask(method: string, path: string, body?: object): Promise<any> {
    const answer = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) });
    const text = await answer.text();
    count(answer.status >= 500 ? `${answer.status}!` : `${Math.floor(answer.status / 100)}xx`);
    return answer.ok && text.startsWith('{') ? JSON.parse(text) : null;
  }
  async function submit(body: object): Promise<void> {
    const job = await ask('POST', '/api/jobs', body);
    if (typeof job?.id === 'string') roots.push(job.id);
  }
  const noop = (): object => (below(20) === 0 ? { type: 'noop', input: { fail: 'on purpose' } } : { type: 'noop', input: { result: 'x'.repeat(below(2_000)), ...(below(4) === 0 ? { sleep: below(500) } : {}) } });
  const quick = { maxAttempts: 3, backoff: { kind: 'fixed', base: 200, cap: 200, jitter: true } };
  const call = (): object => ({ type: 'request', input: { url: `${participant}/${pick(WAYS)}`, timeout: 2_000 }, ...quick });

  const kinds: readonly { readonly name: string; readonly every: number; readonly run: () => Promise<unknown> }[] = [
    { name: 'submit', every: 50, run: () => submit({ ...noop(), tags: [`tag${below(10)}`], priority: 1 + below(10) }) },
    { name: 'delayed', every: 500, run: () => submit({ ...noop(), delay: below(20_000), ttl: 5_000 + below(20_000) }) },
    { name: 'request', every: 200, run: () => submit(call()) },
    { name: 'callback', every: 2_000, run: () => submit({ ...noop(), callback: `${participant}/${pick(['done', 'broken', 'dropped'] as const)}` }) },
    { name: 'verify', every: 2_000, run: () => submit({ type: 'verify', input: { participants: [{ id: 'a', url: `${participant}/done` }, { id: 'b', url: `${participant}/${pick(WAYS)}` }] }, ...quick }) },
    {
      name: 'tree', every: 1_000, run: () => submit({
        type: 'batch', width: 1 + below(8), onChildFailure: pick(['continue', 'stop_new', 'cancel_siblings', 'fail_fast'] as const),
        children: Array.from({ length: 5 + below(30) }, () => (below(8) === 0 ? call() : noop())),
      }),
    },
    { name: 'bulk', every: 5_000, run: async () => { roots.push(...((await ask('POST', '/api/jobs/bulk', { jobs: Array.from({ length: 50 }, noop) }))?.ids ?? [])); } },
    {
      name: 'verb', every: 200, run: async () => {
        const id = pick(roots.slice(-50).concat('job_00000000000000000000000000'));
        const verb = pick(['start', 'pause', 'resume', 'retry', 'cancel', 'patch'] as const);
        if (verb === 'patch') await ask('PATCH', `/api/jobs/${id}`, { priority: 1 + below(10), tags: ['patched'] });
        else await ask('POST', `/api/jobs/${id}/${verb}`);
      },
    },
    {
      name: 'read', every: 100, run: () => {
        const id = pick(roots.slice(-500).concat('job_00000000000000000000000000'));
        return ask('GET', pick([
          '/api/jobs?limit=20', '/api/jobs?status=failed', '/api/jobs?type=request&status=completed', '/api/jobs?tag=tag1', '/api/jobs?text=purpose', '/api/types', '/health',
          `/api/jobs/${id}`, `/api/jobs/${id}?wait=1`, `/api/jobs/${id}/children`, `/api/jobs/${id}/events?limit=50`, `/api/jobs/${id}/explain`, `/api/jobs?root=${id}`,
        ]));
      },
    },
    { name: 'bad request', every: 1_000, run: () => ask('POST', '/api/jobs', pick([{}, { type: 'nothing' }, { type: 'noop', input: { unknown: 1 } }])) },
    { name: 'stream', every: 200, run: async () => { if (open.size < STREAMS) watch(); } },
    {
      name: 'delete', every: 1_000, run: async () => {
        const left: string[] = [];
        await Promise.all(Array.from({ length: 8 }, async () => {
          for (let n = 0; roots.length > KEPT && n < 50; n++) {
            const id = roots.shift() as string;
            await ask('POST', `/api/jobs/${id}/cancel`);
            await ask('DELETE', `/api/jobs/${id}`);
            if ((await ask('GET', `/api/jobs/${id}`)) !== null) left.push(id); // a child was still ending
          }
        }));
        roots.push(...left);
      },
    },
  ];

  /** Reads for a while, then goes without a word; now and then it does not read at all. */
  function watch(): void {
    const over = AbortSignal.any([AbortSignal.timeout(500 + below(15_000)), stop.signal]);
    const path = below(3) === 0 || roots.length === 0 ? '/api/stream' : `/api/jobs/${pick(roots.slice(-200))}/stream`;
    const deaf = below(10) === 0;
    const work = (async () => {
      try {
        const { body, status } = await fetch(`${url}${path}`, { signal: over });
        count(`stream ${status}`);
        if (deaf) await new Promise((resolve) => { over.addEventListener('abort', resolve); });
        else for await (const part of body ?? []) void part;
      } catch {
        // gone, as it was meant to
      }
    })();
    open.add(work);
    void work.finally(() => open.delete(work));
  }

  const loops = kinds.map(async ({ name, every, run }) => {
    while (!stop.signal.aborted) {
      const next = performance.now() + every * (0.5 + random());
      try {
        await run();
        count(name);
      } catch (error) {
        if (!stop.signal.aborted) count(`${name} failed (${error instanceof Error ? String((error.cause as Error | undefined)?.message ?? error.message) : 'unknown'})!`);
      }
      await new Promise((resolve) => { setTimeout(resolve, Math.max(0, next - performance.now())); });
    }
  });

  return {
    line: () => `${roots.length} roots kept; ${[...counts].filter(([what]) => /^\dxx$|!$|^submit$|^tree$|^delete|^stream$/.test(what)).map(([what, n]) => `${what} ${n}`).join(', ')}`,
    async stop() {
      stop.abort();
      await Promise.all(loops);
      await Promise.all(open);
    },
  };
}
