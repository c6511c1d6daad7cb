// What is submitted: every job type, tree shape, policy and clock, drawn from the seed. Pure but for the draws.
import type { Participant, Script } from './participant.ts';
import type { Rng } from './rng.ts';

export interface Load {
  readonly path: string;
  readonly body: unknown;
  /** Jobs in it that carry its token. */
  readonly size: number;
  /** It stays open for more children until it is sealed. */
  readonly isOpen?: boolean;
}

type Body = Record<string, unknown>;
interface Part { readonly body: Body; readonly size: number }

const POLICIES = ['continue', 'stop_new', 'cancel_siblings', 'fail_fast'] as const;

export class Workload {
  readonly #rng: Rng;
  readonly #participant: Participant;

  constructor(rng: Rng, participant: Participant) {
    this.#rng = rng;
    this.#participant = participant;
  }

  draw(token: string): Load {
    const rng = this.#rng;
    switch (rng.weighted({ single: 40, tree: 25, bulk: 15, verify: 10, open: 10 })) {
      case 'single': return { path: '/api/jobs', ...this.#when(this.leaf(token), 0.2) };
      case 'tree': return { path: '/api/jobs', ...this.#when(this.tree(token, rng.int(1, 3)), 0.1) };
      case 'verify': return { path: '/api/jobs', ...this.verify(token) };
      case 'open': {
        const { body, size } = this.tree(token, 1);
        return { path: '/api/jobs', body: { ...body, sealed: false }, size, isOpen: true };
      }
      case 'bulk': {
        const jobs = Array.from({ length: rng.int(2, 25) }, () => (rng.chance(0.1) ? this.tree(token, 1) : this.leaf(token)));
        const size = jobs.reduce((sum, job) => sum + job.size, 0);
        const list = jobs.map(({ body }) => body);
        return { path: '/api/jobs/bulk', body: rng.chance(0.5) ? { jobs: list } : list.map((job) => JSON.stringify(job)).join('\n'), size };
      }
    }
  }

  /** One job more for an open batch. */
  child(token: string, parentId: string): Load {
    const { body, size } = this.leaf(token);
    return { path: '/api/jobs', body: { ...body, parentId }, size };
  }

  leaf(token: string): Part {
    const rng = this.#rng;
    const common = { tags: [token], ...(rng.chance(0.3) ? { priority: rng.int(1, 10) } : {}), ...(rng.chance(0.08) ? { deadline: rng.int(200, 3_000) } : {}), ...(rng.chance(0.05) ? { ttl: rng.int(100, 2_000) } : {}) };
    switch (rng.weighted({ quick: 35, sleep: 20, long: 4, fail: 6, slow: 4, request: 31 })) {
      case 'quick': return { size: 1, body: { ...common, type: 'noop' } };
      case 'sleep': return { size: 1, body: { ...common, type: 'noop', input: { sleep: rng.int(5, 200), result: rng.int(0, 9) } } };
      // Longer than the server lives, often enough: interrupted again and again.
      case 'long': return { size: 1, body: { ...common, type: 'noop', input: { sleep: rng.int(1_000, 3_000) } } };
      case 'fail': return { size: 1, body: { ...common, type: 'noop', input: { fail: 'as asked' } } };
      case 'slow': return { size: 1, body: { ...common, type: 'noop', input: { sleep: rng.int(100, 400) }, timeout: rng.int(50, 300), maxAttempts: 2, backoff: this.#backoff() } };
      case 'request': {
        const script = this.#script();
        const callback = rng.chance(0.15) ? { callback: `${this.#participant.url}/callback` } : {};
        // Exactly as many attempts as the script needs: one burned by a kill would make the job fail.
        return { size: 1, body: { ...common, ...callback, type: 'request', input: { url: this.#participant.script(script) }, maxAttempts: script.fails + 1, backoff: this.#backoff() } };
      }
    }
  }

  tree(token: string, depth: number): Part {
    const rng = this.#rng;
    const children = Array.from({ length: rng.int(1, 5) }, () => (depth > 1 && rng.chance(0.4) ? this.tree(token, depth - 1) : this.leaf(token)));
    const maybe = (probability: number, part: Body): Body => (rng.chance(probability) ? part : {});
    const script = this.#script();
    return {
      size: 1 + children.reduce((sum, child) => sum + child.size, 0),
      body: {
        type: 'batch', tags: [token], children: children.map(({ body }) => body),
        ...maybe(0.4, { width: rng.int(1, 3) }),
        ...maybe(0.4, { completion: rng.pick(['any', { count: rng.int(1, children.length) }, { percent: rng.int(1, 100) }]) }),
        ...maybe(0.5, { onChildFailure: rng.pick(POLICIES) }),
        ...maybe(0.2, { onParentCancel: 'abandon' }),
        ...maybe(0.25, { input: { url: this.#participant.script(script), body: { token } }, maxAttempts: script.fails + 1, backoff: this.#backoff() }),
        ...maybe(0.15, { callback: `${this.#participant.url}/callback` }),
        ...maybe(0.05, { deadline: rng.int(300, 3_000) }),
        ...maybe(0.05, { hold: true }),
      },
    };
  }

  verify(token: string): Part {
    const rng = this.#rng;
    const participants = Array.from({ length: rng.int(1, 5) }, (_, i) => ({ id: `p${i}`, url: this.#participant.script({ ...this.#script(), fails: rng.chance(0.2) ? 1 : 0 }) }));
    return { size: 1, body: { type: 'verify', tags: [token], input: { participants } } };
  }

  #when(part: Part, probability: number): Part {
    const rng = this.#rng;
    if ('hold' in part.body || !rng.chance(probability)) return part;
    return { ...part, body: { ...part.body, ...(rng.chance(0.3) ? { hold: true } : { delay: rng.int(0, 800) }) } };
  }

  #script(): Script {
    const rng = this.#rng;
    return { fails: rng.chance(0.25) ? rng.int(1, 2) : 0, pending: rng.chance(0.35) ? rng.int(1, 3) : 0, end: rng.chance(0.12) ? 'fail' : 'complete', wait: rng.chance(0.7) ? rng.int(0, 40) : 0 };
  }

  #backoff(): Body {
    return this.#rng.chance(0.5) ? { kind: 'fixed', base: 30, cap: 30, jitter: false } : { kind: 'exponential', base: 20, cap: 200, jitter: true };
  }
}
