// Looks at a server from a thread of its own, so that what the load costs its sender is not taken for the server's delay:
// /health once a second, memory, and what /metrics says of the queue and the event loop.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const HEALTH_EVERY = 1_000;
const LOOK_EVERY = 250;
/** Far over what is allowed, so that a late answer is told from none. */
const PATIENCE = 60_000;

export interface Seen {
  readonly complaints: readonly string[];
  readonly health: { readonly asked: number; readonly worst: number };
  readonly rss: { readonly first: number; readonly middle: number; readonly end: number; readonly peak: number };
  readonly queuePeak: number;
  /** Worst p99 of all scrapes, ms. */
  readonly loopP99: number;
}

export class Watch {
  readonly #worker: Worker;
  #seen: Promise<Seen> | null = null;

  /** @param healthMax ms */
  constructor(url: string, pid: number, healthMax: number) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { url, pid, healthMax } });
  }

  end(): Promise<Seen> {
    this.#seen ??= new Promise((resolve, reject) => {
      this.#worker.once('message', resolve).once('error', reject);
      this.#worker.postMessage('end');
    });
    return this.#seen;
  }
}

function get(url: string): Promise<{ status: number; body: string } | null> {
  return new Promise((resolve) => {
    const outgoing = request(url, { agent: false, timeout: PATIENCE }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => resolve({ status: answer.statusCode ?? 0, body })).on('error', () => resolve(null));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('late'))).on('error', () => resolve(null)).end();
  });
}

interface What { readonly url: string; readonly pid: number; readonly healthMax: number }

function look({ url, pid, healthMax }: What): void {
  const complaints = new Set<string>();
  const memory: number[] = [];
  const health = { asked: 0, worst: 0 };
  let queuePeak = 0;
  let loopP99 = 0;
  let isScraping = false;
  const under = new Set<Promise<void>>();
  const ask = async (): Promise<void> => {
    const from = performance.now();
    const answer = await get(`${url}/health`);
    const took = performance.now() - from;
    health.asked += 1;
    health.worst = Math.max(health.worst, took);
    if (answer === null || answer.status !== 200) complaints.add(`/health answered ${answer === null ? 'nothing' : answer.status}`);
    else if (took > healthMax) complaints.add(`/health took more than ${healthMax} ms`);
  };
  const scrape = async (): Promise<void> => {
    if (isScraping) return;
    isScraping = true;
    const text = (await get(`${url}/metrics`))?.body ?? '';
    const value = (name: string): number => Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ').at(-1) ?? 0);
    queuePeak = Math.max(queuePeak, value('muster_write_queue'));
    loopP99 = Math.max(loopP99, value('nodejs_eventloop_lag_p99_seconds') * 1_000);
    isScraping = false;
  };
  const track = (work: Promise<void>): void => { under.add(work); void work.finally(() => under.delete(work)); };
  const timers = [
    setInterval(() => track(ask()), HEALTH_EVERY),
    setInterval(() => {
      memory.push(Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024);
      track(scrape());
    }, LOOK_EVERY),
  ];
  parentPort?.once('message', () => {
    for (const timer of timers) clearInterval(timer);
    void Promise.all(under).then(() => {
      const at = (share: number): number => memory[Math.min(memory.length - 1, Math.floor(memory.length * share))] ?? 0;
      const seen: Seen = { complaints: [...complaints], health, queuePeak, loopP99, rss: { first: at(0), middle: at(0.5), end: at(1), peak: Math.max(...memory) } };
      parentPort?.postMessage(seen);
    });
  });
}

if (!isMainThread && workerData !== null && typeof workerData === 'object' && 'pid' in workerData) look(workerData as What);
