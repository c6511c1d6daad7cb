// What is submitted: every type, tree shape, policy and clock, drawn from the seed, on the time scale of minutes.
import { fromWire } from '../../src/http/native/wire.ts';
import type { NewJob } from '../../src/domain/commands.ts';
import type { Rng } from '../fault/rng.ts';

type Body = Record<string, unknown>;
interface Part { readonly body: Body; readonly size: number }

export interface Load {
  readonly jobs: readonly Body[];
  readonly parentId?: string;
  /** Jobs in it that carry its token. */
  readonly size: number;
  /** It stays open for more children until it is sealed. */
  readonly isOpen: boolean;
}

const RULES = ['continue', 'stop_new', 'cancel_siblings', 'fail_fast'] as const;
const URL = 'http://one.example.com/sim/$JOB$';

/** As the HTTP side does it: the same body and instant give the same jobs. */
export const toJobs = (load: Load, now: number): NewJob[] => load.jobs.map((body) => fromWire(body as never, now));

export function drawLoad(rng: Rng, token: string): Load {
  const one = ({ body, size }: Part, isOpen = false): Load => ({ jobs: [body], size, isOpen });
  switch (rng.weighted({ single: 45, tree: 25, bulk: 10, verify: 8, open: 12 })) {
    case 'single': return one(when(rng, leaf(rng, token), 0.25));
    case 'tree': return one(when(rng, tree(rng, token, rng.int(1, 3)), 0.1));
    case 'verify': return one(verify(rng, token));
    case 'open': {
      const { body, size } = tree(rng, token, 1);
      return one({ body: { ...body, sealed: false }, size }, true);
    }
    case 'bulk': {
      const parts = Array.from({ length: rng.int(2, 8) }, () => (rng.chance(0.1) ? tree(rng, token, 1) : leaf(rng, token)));
      return { jobs: parts.map(({ body }) => body), size: parts.reduce((sum, { size }) => sum + size, 0), isOpen: false };
    }
  }
}

export function drawChild(rng: Rng, token: string, parentId: string): Load {
  const { body, size } = leaf(rng, token);
  return { jobs: [body], parentId, size, isOpen: false };
}

function leaf(rng: Rng, token: string): Part {
  const common = {
    tags: [token], ...(rng.chance(0.3) ? { priority: rng.int(1, 10) } : {}), ...(rng.chance(0.12) ? { deadline: rng.int(500, 60_000) } : {}),
    ...(rng.chance(0.12) ? { ttl: rng.int(200, 40_000) } : {}), ...(rng.chance(0.1) ? { timeout: rng.int(100, 20_000) } : {}),
    ...(rng.chance(0.3) ? { maxAttempts: rng.int(1, 6) } : {}), ...(rng.chance(0.3) ? { backoff: backoff(rng) } : {}),
    ...(rng.chance(0.08) ? { callback: 'http://two.example.com/callback/$JOB$' } : {}),
  };
  switch (rng.weighted({ quick: 25, sleep: 20, long: 5, fail: 5, rogue: 20, special: 5, request: 30 })) {
    case 'quick': return { size: 1, body: { ...common, type: 'noop' } };
    case 'sleep': return { size: 1, body: { ...common, type: 'noop', input: { sleep: rng.int(5, 5_000), result: 1 } } };
    case 'long': return { size: 1, body: { ...common, type: 'noop', input: { sleep: rng.int(20_000, 120_000) } } };
    case 'fail': return { size: 1, body: { ...common, type: 'noop', input: { fail: 'as asked' } } };
    case 'rogue': return { size: 1, body: { ...common, type: 'rogue' } };
    case 'special': return { size: 1, body: { ...common, type: rng.pick(['rogueTimed', 'orphanPaused', 'orphanFailed']) } };
    case 'request': return { size: 1, body: { ...common, type: 'request', input: { url: URL, ...(rng.chance(0.3) ? { timeout: rng.int(200, 30_000) } : {}) } } };
  }
}

function tree(rng: Rng, token: string, depth: number): Part {
  const children = Array.from({ length: rng.int(0, 5) }, () => (depth > 1 && rng.chance(0.4) ? tree(rng, token, depth - 1) : leaf(rng, token)));
  const maybe = (probability: number, part: Body): Body => (rng.chance(probability) ? part : {});
  const goals = ['any', { percent: rng.int(1, 100) }, ...(children.length === 0 ? [] : [{ count: rng.int(1, children.length) }])];
  return {
    size: 1 + children.reduce((sum, child) => sum + child.size, 0),
    body: {
      type: 'batch', tags: [token], children: children.map(({ body }) => body),
      ...maybe(0.4, { width: rng.int(1, 3) }), ...maybe(0.4, { completion: rng.pick(goals) }), ...maybe(0.5, { onChildFailure: rng.pick(RULES) }),
      ...maybe(0.25, { onParentCancel: 'abandon' }), ...maybe(0.25, { input: { url: URL, body: { token } } }),
      ...maybe(0.15, { callback: 'http://two.example.com/callback/$JOB$' }), ...maybe(0.1, { deadline: rng.int(1_000, 120_000) }),
      ...maybe(0.06, { hold: true }), ...maybe(0.1, { ttl: rng.int(1_000, 60_000) }),
    },
  };
}

function verify(rng: Rng, token: string): Part {
  const participants = Array.from({ length: rng.int(1, 4) }, (_, i) => ({ id: `p${i}`, url: URL }));
  return { size: 1, body: { type: 'verify', tags: [token], input: { participants } } };
}

function when(rng: Rng, part: Part, probability: number): Part {
  if ('hold' in part.body || !rng.chance(probability)) return part;
  return { ...part, body: { ...part.body, ...(rng.chance(0.3) ? { hold: true } : { delay: rng.int(0, 90_000) }) } };
}

const backoff = (rng: Rng): Body => ({ kind: rng.pick(['fixed', 'linear', 'exponential']), base: rng.int(10, 2_000), cap: rng.int(2_000, 30_000), jitter: rng.chance(0.5) });
