// Everybody that jobs call, and the wire to them: answers in all the ways that participants and networks have. Stands
// where undici's dispatcher does, so turnstile, deadlines, bounds and the judging of answers are the real ones.
import type { Dispatcher } from 'undici';
import type { Rng } from '../fault/rng.ts';
import type { Kernel } from './kernel.ts';
import type { Trace } from './trace.ts';

type Handler = Dispatcher.DispatchHandler;
interface Seen { calls: number; answered: number; readonly completed: Set<number> }

const GOOD = { complete: 10, pending: 3, plain: 2, slow: 2, fail: 1 } as const;
const BAD = {
  unavailable: 4, tooMany: 3, broken: 2, garbage: 2, strange: 1, dropped: 3, droppedLate: 3, unreachable: 2, hangs: 3, hangsHalfway: 2, late: 4, twice: 3,
} as const;

export class Net {
  /** Everything is answered at once with COMPLETE. */
  calm = false;
  calls = 0;
  readonly seen = new Map<string, Seen>();
  /** Final bodies by the id of the job they report. */
  readonly callbacks = new Map<string, number>();
  /** Delays that answers named, by job. */
  readonly asked = new Map<string, Set<number>>();
  readonly #kernel: Kernel;
  readonly #rng: Rng;
  readonly #trace: Trace;
  readonly #badShare: number;

  constructor(kernel: Kernel, rng: Rng, trace: Trace, badShare: number) {
    this.#kernel = kernel;
    this.#rng = rng;
    this.#trace = trace;
    this.#badShare = badShare;
  }

  /** A delay that the server may obey instead of its backoff. */
  ask(jobId: string, ms: number): number {
    this.asked.set(jobId, (this.asked.get(jobId) ?? new Set<number>()).add(ms));
    return ms;
  }

  /** The way out of one life of the server; nothing comes back to a dead one. */
  dispatcherFor(isAlive: () => boolean): Dispatcher {
    const made = {
      dispatch: (options: Dispatcher.DispatchOptions, handler: Handler): boolean => {
        this.#take(options, handler, isAlive);
        return true;
      },
      destroy: () => Promise.resolve(),
    };
    return made as unknown as Dispatcher;
  }

  #take({ path, headers, body }: Dispatcher.DispatchOptions, handler: Handler, isAlive: () => boolean): void {
    const rng = this.#rng;
    const given = headers as Record<string, string>;
    const jobId = given['muster-job-id'] ?? '';
    const attempt = Number(given['muster-attempt']);
    const fate = this.calm ? 'complete' : rng.chance(this.#badShare) ? rng.weighted(BAD) : rng.weighted(GOOD);
    this.calls += 1;
    this.#trace.add(`call ${jobId} attempt ${attempt} ${path}: ${fate}`);
    const seen = this.seen.get(jobId) ?? { calls: 0, answered: 0, completed: new Set<number>() };
    this.seen.set(jobId, seen);
    seen.calls += 1;
    let cut = false;
    const controller = { abort: () => { cut = true; } } as unknown as Dispatcher.DispatchController;
    const later = (ms: number, run: () => void): void => { this.#kernel.after(ms, () => { if (!cut && isAlive()) run(); }); };
    const send = (status: number, text: string, more: Record<string, string> = {}): void => {
      seen.answered += 1;
      handler.onResponseStart?.(controller, status, { 'content-type': 'application/json', ...more }, '');
      if (text !== '') handler.onResponseData?.(controller, Buffer.from(text));
      handler.onResponseEnd?.(controller, {});
    };
    const reset = (): void => { handler.onResponseError?.(controller, Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })); };
    const work = JSON.stringify({ job: jobId, attempt });
    const complete = (): string => {
      seen.completed.add(attempt); // its work is done whether or not anybody hears of it
      if (path.startsWith('/callback')) this.#called(String(body));
      return `{"job_id":"${jobId}","delay":0,"message":"","state":"COMPLETE","data":${work}}`;
    };
    const wait = rng.chance(0.7) ? rng.int(1, 80) : rng.int(80, 4_000);
    if (fate === 'unreachable') return later(wait, () => { handler.onResponseError?.(controller, Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })); });
    later(1, () => {
      handler.onRequestStart?.(controller, {});
      const seconds = rng.int(0, 20);
      switch (fate) {
        case 'complete': return later(this.calm ? 1 : wait, () => send(200, complete()));
        case 'plain': return later(wait, () => { complete(); send(200, work); });
        case 'slow': return later(rng.int(5_000, 50_000), () => send(200, complete()));
        case 'late': return later(rng.int(30_000, 240_000), () => send(200, complete())); // past leases, timeouts and deadlines
        case 'pending': return later(wait, () => send(200, `{"job_id":"${jobId}","delay":${rng.int(0, 30)},"message":"","state":"PENDING","data":""}`));
        case 'fail': return later(wait, () => send(200, `{"job_id":"${jobId}","delay":0,"message":"no","state":"FAIL","data":${work}}`));
        case 'unavailable': case 'tooMany': {
          const status = fate === 'tooMany' ? 429 : 503;
          if (rng.chance(0.3)) return later(wait, () => send(status, '{"message":"busy"}'));
          return later(wait, () => { this.ask(jobId, Math.max(100, seconds * 1_000)); send(status, '{"message":"busy"}', { 'retry-after': String(seconds) }); });
        }
        case 'broken': return later(wait, () => send(500, 'oops'));
        case 'garbage': return later(wait, () => send(200, '{"state":"COMPL'));
        case 'strange': return later(wait, () => send(200, `{"job_id":"${jobId}","state":"PERHAPS"}`));
        case 'dropped': return later(wait, reset);
        case 'droppedLate': return later(wait, () => { complete(); reset(); });
        case 'hangs': return;
        case 'hangsHalfway': return later(wait, () => { handler.onResponseStart?.(controller, 200, { 'content-type': 'application/json' }, ''); });
        case 'twice': return later(wait, () => { send(200, complete()); send(503, '{"message":"again"}'); reset(); });
      }
    });
  }

  #called(body: string): void {
    const { jobId } = JSON.parse(body) as { jobId: string };
    this.callbacks.set(jobId, (this.callbacks.get(jobId) ?? 0) + 1);
  }
}
