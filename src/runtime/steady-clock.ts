// The process's own wall clock, which does not jump, and the watch that lets it follow the machine's. Leases, timeouts,
// deadlines, delays and backoff last as long as they were asked for, whatever is done to the clock of the machine.
import type { Clock } from '../domain/clock.ts';
import type { Store } from '../store/store.ts';
import type { Report, Service } from './service.ts';

export interface SteadyClock extends Clock {
  /** ms by which the machine's clock is ahead of this one. */
  drift(): number;
  /** Moves this clock; nothing else does. */
  follow(by: number): void;
}

/** Wall time at the start, and monotonic time since. */
export function createSteadyClock(machine: Clock): SteadyClock {
  let offset = machine.now() - machine.monotonic();
  return {
    now: () => Math.round(machine.monotonic() + offset),
    monotonic: () => machine.monotonic(),
    after: (ms, callback) => machine.after(ms, callback),
    turn: (callback) => machine.turn(callback),
    drift: () => Math.round(machine.now() - machine.monotonic() - offset),
    follow: (by) => { offset += by; },
  };
}

/** Within this, plus one write, everything shown and every instant asked for follows the machine's clock. */
const LOOK_EVERY = 1_000;
/** A step up to this is followed as it is: no lease is so short that it matters. */
const STEP = 250;

/** Follows the machine's clock: what runs in the store is moved by as much, in the same breath, so that nothing runs out early or late. */
export class ClockWatch implements Service {
  readonly #clock: SteadyClock;
  readonly #store: Pick<Store, 'shift' | 'health'>;
  readonly #report: Report;
  readonly #onFollowed: () => void;
  #cancel: (() => void) | null = null;
  #work: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(clock: SteadyClock, store: Pick<Store, 'shift' | 'health'>, report: Report, onFollowed: () => void = () => {}) {
    this.#clock = clock;
    this.#store = store;
    this.#report = report;
    this.#onFollowed = onFollowed;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#cancel ??= this.#clock.after(LOOK_EVERY, () => {
      this.#cancel = null;
      this.#work = this.#look().finally(() => this.start());
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#work;
  }

  async #look(): Promise<void> {
    const by = this.#clock.drift();
    if (Math.abs(by) < STEP) {
      this.#clock.follow(by);
      return;
    }
    if (this.#store.health() !== 'ok') return; // it goes on by its own time until the disk takes writes again
    // In one step: whatever is sent after this carries the new time and is carried out after the shift.
    const done = this.#store.shift(by);
    this.#clock.follow(by);
    try {
      await done;
      this.#onFollowed();
      this.#report.warn({ ms: by }, 'The clock of the machine was set; what runs, waits or is leased was moved with it');
    } catch (error) {
      this.#clock.follow(-by);
      this.#report.warn({ err: error, ms: by }, 'The clock of the machine was set, and what runs could not be moved with it; tried again in a second');
    }
  }
}

/** At the start: the clock stands before the newest event, so it was set back while nobody was here. Nothing waits that much longer for it. */
export async function catchUp(clock: Clock, store: Pick<Store, 'shift' | 'newestAt'>): Promise<number> {
  const newest = await store.newestAt();
  const by = newest === null ? 0 : Math.min(0, clock.now() - newest);
  if (by <= -STEP) await store.shift(by);
  return by <= -STEP ? by : 0;
}
