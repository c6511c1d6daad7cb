// Something to watch: jobs that run for a while, trees, edits, cancellations, now and then a result of many packets.
// Nothing is deleted and nothing retried, so that the log at the end is all that ever was to be seen.
import { createAgent, exchange } from '../client.ts';
import type { Rng } from '../rng.ts';
import type { Place } from './roamer.ts';

const CLIENTS = 4;
/** Jobs that are edited and watched are among the newest. */
const RECENT = 60;
const PAUSE_MAX = 40;

export interface Fed {
  readonly id: string;
  readonly isTree: boolean;
}

export class Feeder {
  readonly #rng: Rng;
  readonly #place: Place;
  readonly #onJob: (job: Fed) => void;
  readonly #recent: string[] = [];
  #agent = createAgent();
  #isStopped = false;
  #clients: Promise<void>[] = [];

  constructor(rng: Rng, place: Place, onJob: (job: Fed) => void) {
    this.#rng = rng;
    this.#place = place;
    this.#onJob = onJob;
  }

  start(): void { this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#client(this.#rng.fork(String(i)))); }
  reconnect(): void {
    this.#agent.destroy();
    this.#agent = createAgent();
  }
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #client(rng: Rng): Promise<void> {
    while (!this.#isStopped) {
      await this.#place.up();
      const url = this.#place.url();
      if (url !== null && !this.#isStopped) await this.#act(url, rng);
      await new Promise((resolve) => { setTimeout(resolve, rng.int(0, PAUSE_MAX)); });
    }
  }

  async #act(url: string, rng: Rng): Promise<void> {
    const id = this.#recent.length === 0 ? undefined : rng.pick(this.#recent);
    const what = id === undefined ? 'submit' : rng.weighted({ submit: 30, edit: 60, cancel: 4, pause: 6 });
    if (what === 'submit' || id === undefined) {
      const isTree = rng.chance(0.4);
      const got = await exchange(url, { method: 'POST', path: '/api/jobs', body: isTree ? tree(rng, 2) : leaf(rng) }, this.#agent);
      if (got.kind !== 'answer' || got.status !== 201) return;
      const job = got.body as { id: string };
      this.#recent.push(job.id);
      if (this.#recent.length > RECENT) this.#recent.shift();
      this.#onJob({ id: job.id, isTree });
    } else if (what === 'edit') await exchange(url, { method: 'PATCH', path: `/api/jobs/${id}`, body: { priority: rng.int(1, 10), tags: [`edit${rng.int(0, 999)}`] } }, this.#agent);
    else if (what === 'cancel') await exchange(url, { method: 'POST', path: `/api/jobs/${id}/cancel`, body: { reason: 'nicht mehr nötig' } }, this.#agent);
    else {
      await exchange(url, { method: 'POST', path: `/api/jobs/${id}/pause` }, this.#agent);
      await exchange(url, { method: 'POST', path: `/api/jobs/${id}/resume` }, this.#agent);
    }
  }
}

function leaf(rng: Rng): object {
  // 200 KB goes out in several writes; the others hold what could end a line or a field of the stream.
  const result = rng.chance(0.02) ? 'x'.repeat(200_000) : `${'ü\r\n\ndata: \u2028'.repeat(rng.int(0, 20))}`;
  return { type: 'noop', input: { sleep: rng.int(20, 1_500), ...(rng.chance(0.1) ? { fail: 'as asked' } : { result }) } };
}

function tree(rng: Rng, depth: number): object {
  const children = Array.from({ length: rng.int(2, 4) }, (_, i) => (depth > 1 && i === 0 ? tree(rng, depth - 1) : leaf(rng)));
  return { type: 'batch', children, ...(rng.chance(0.5) ? { width: 1 } : {}), ...(rng.chance(0.3) ? { completion: 'any' } : {}), onChildFailure: 'continue' };
}
