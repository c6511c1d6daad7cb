// What is asked of an overloaded server: mostly submissions, one at a time and in bulks, with reads and cancellations
// among them, and some jobs whose participants take their time, so that runs are held all along.
import type { Participant } from '../participant.ts';
import type { Rng } from '../rng.ts';
import type { Ask } from './pipes.ts';

export type What = 'submit' | 'slow' | 'bulk' | 'read' | 'list' | 'cancel';

export interface Drawn {
  readonly what: What;
  readonly ask: Ask;
  /** Statuses that are no refusal. */
  readonly expected: readonly number[];
}

export const BULK_SIZE = 10;
/** Cancellations are let in before submissions: at ten times the load 2 % of them are a fifth of what can be written. */
const WEIGHTS: Readonly<Record<What, number>> = { submit: 74, slow: 2, bulk: 5, read: 15, list: 2, cancel: 2 };
/** As long as a slow participant takes, ms. */
const SLOW_MAX = 3_000;

const leaf = (rng: Rng): object => ({ type: 'noop', input: { result: rng.int(0, 1_000_000) } });

export function draw(rng: Rng, ids: readonly string[], participant: Participant): Drawn {
  const what = rng.weighted(WEIGHTS);
  const id = ids.length === 0 ? null : ids[Math.max(0, ids.length - 1 - rng.int(0, 5_000))] ?? null;
  const known = id === null && (what === 'read' || what === 'cancel') ? 'submit' : what;
  switch (known) {
    case 'submit': return { what: known, ask: { method: 'POST', path: '/api/jobs', body: leaf(rng) }, expected: [201] };
    case 'slow': {
      const url = participant.script({ fails: 0, pending: 0, end: 'complete', wait: rng.int(500, SLOW_MAX) });
      return { what: known, ask: { method: 'POST', path: '/api/jobs', body: { type: 'request', input: { url } } }, expected: [201] };
    }
    case 'bulk': return { what: known, ask: { method: 'POST', path: '/api/jobs/bulk', body: { jobs: Array.from({ length: BULK_SIZE }, () => leaf(rng)) } }, expected: [201] };
    case 'read': return { what: known, ask: { method: 'GET', path: `/api/jobs/${id}` }, expected: [200] };
    case 'list': return { what: known, ask: { method: 'GET', path: '/api/jobs?limit=5' }, expected: [200] };
    case 'cancel': return { what: known, ask: { method: 'POST', path: `/api/jobs/${id}/cancel` }, expected: [200, 409] };
  }
}

/** Answers that add jobs. */
export const isWrite = (what: What): boolean => what === 'submit' || what === 'slow' || what === 'bulk';
