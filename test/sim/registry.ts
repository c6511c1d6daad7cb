// The job types of a run: the real ones, and `rogue`, a handler that does what handlers should not.
import { DomainError } from '../../src/domain/errors.ts';
import type { Clock } from '../../src/domain/clock.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createEgress } from '../../src/handlers/egress/client.ts';
import type { Handler, JobType, Registry } from '../../src/handlers/handler.ts';
import { createRegistry } from '../../src/handlers/registry.ts';
import type { Rng } from '../fault/rng.ts';
import type { Knobs } from './knobs.ts';
import type { Net } from './net.ts';

const NOBODY = { allowLoopback: false, allowCidrs: [], allowPorts: [], ownAddresses: [], ownPort: 0 };
export const BACKOFF = { kind: 'exponential', base: 500, cap: 20_000, jitter: true } as const;

export function createTypes(net: Net, clock: Clock, isAlive: () => boolean, knobs: Knobs, rng: Rng): Registry {
  const egress = createEgress({ policy: NOBODY, clock, dispatcher: net.dispatcherFor(isAlive) });
  const real = createRegistry({ egress, clock, arenaUrl: 'http://arena.example.com' });
  const tuned = (row: JobType): JobType => ({
    ...row, policy: { ...row.policy, backoff: BACKOFF, ...(knobs.lease === null ? {} : { lease: knobs.lease }) }, concurrency: knobs.concurrency ?? row.concurrency,
  });
  const rows = Object.fromEntries(Object.entries(real).map(([type, row]) => [type, tuned(row)]));
  const noop = rows['noop'];
  if (noop === undefined) throw new Error('There is no noop.');
  const rogue = { ...noop, run: createRogue(net, clock, rng), concurrency: knobs.concurrency ?? 20 };
  return {
    ...rows, rogue,
    rogueTimed: { ...rogue, policy: { ...rogue.policy, timeout: 15_000, ttl: 120_000, maxInterruptions: 3 } },
    orphanPaused: { ...rogue, policy: { ...rogue.policy, onOrphan: 'pause' } },
    orphanFailed: { ...rogue, policy: { ...rogue.policy, onOrphan: 'fail' } },
  };
}

/** Deaf to its signal, late, talkative, and inventive in what it answers. */
const createRogue = (net: Net, clock: Clock, rng: Rng): Handler => async (job, context) => {
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => { clock.after(ms, resolve); });
  const error = (retryable: boolean) => ({ code: 'handler_error', message: 'It went wrong.', retryable }) as const;
  const result = JSON.stringify({ job: job.id, attempt: job.attempt });
  if (job.children.total > 0) return { kind: 'spawn', children: [] };
  if (rng.chance(0.4)) for (let i = rng.int(1, 25); i > 0; i--) context.log(`line ${i}`);
  if (rng.chance(0.2)) context.progress(rng.next());
  if (!net.calm && rng.chance(0.7)) await sleep(rng.chance(0.9) ? rng.int(1, 8_000) : rng.int(20_000, 120_000));
  const fate = net.calm ? 'done' : rng.weighted({ done: 8, throws: 2, fail: 2, end: 1, later: 2, spawn: 1, timed_out: 1, early: 1, refuses: 1 });
  switch (fate) {
    case 'done': return { kind: 'done', result };
    case 'throws': throw new Error('It broke.');
    case 'refuses': throw new DomainError('conflict', 'A refusal out of place.');
    case 'fail': return { kind: 'fail', error: error(true), ...(rng.chance(0.5) ? { delay: net.ask(job.id, rng.int(0, 9_000)) } : {}) };
    case 'end': return { kind: 'fail', error: error(false) };
    case 'later': return { kind: 'later', delay: rng.int(0, 5_000) };
    case 'early': return { kind: 'later', delay: -5 };
    case 'timed_out': return { kind: 'timed_out', after: 5 };
    case 'spawn': {
      const children = Array.from({ length: rng.int(0, 4) }, () => ({ type: rng.pick(['noop', 'rogue']), input: '{}', spec: {} }));
      return { kind: 'spawn', children } satisfies Outcome;
    }
  }
};
