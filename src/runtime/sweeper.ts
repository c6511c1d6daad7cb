// What happens because time passed: due jobs become ready, clocks run out, silent leases are taken back, old keys forgotten.
// The database is the timer: one timer here, for the earliest alarm in the store; idle when there is none.
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import type { Jobs } from '../orchestrator/jobs.ts';
import type { Store } from '../store/store.ts';
import type { Report, Service } from './service.ts';

/** Jobs looked at in one transaction: about 10 ms, so that submits do not wait long behind a rush hour. */
const TICK_MAX = 500;
/** Longest sleep: a wall clock that jumps is noticed within this. */
const SLEEP_MAX = 60_000;
/** Waking this late means that the process or the clock stood still or jumped: leases get another term instead of being taken. */
const STALL = 2_000;
/** After a tick that failed. */
const RETRY_AFTER = 1_000;
/** The idempotency draft wants an expiry that clients can rely on: a day. */
export const KEYS_KEPT = 24 * 3_600_000;
/**
 * Never at once after a start: whoever was cut off comes back with its key, and a clock that was set forward meanwhile
 * makes every key look old (seen: 12 requests of 200 carried out twice).
 */
const FORGET_FIRST = 600_000;
const FORGET_EVERY = 3_600_000;
const FORGET_MAX = 1_000;

export class Sweeper implements Service {
  readonly #store: Store;
  readonly #jobs: Jobs;
  readonly #clock: Clock;
  readonly #report: Report;
  readonly #unheard: () => number | null;
  #stopCommit: (() => void) | null = null;
  #timer: { at: number; cancel: () => void } | null = null;
  #forget: (() => void) | null = null;
  #work: Promise<void> = Promise.resolve();
  #busy = false;
  #again = false;

  /** @param unheard when the oldest claim was sent that has not been answered: what it claims has not begun */
  constructor(store: Store, jobs: Jobs, clock: Clock, report: Report, unheard: () => number | null = () => null) {
    this.#store = store;
    this.#jobs = jobs;
    this.#clock = clock;
    this.#report = report;
    this.#unheard = unheard;
  }

  start(): void {
    if (this.#stopCommit !== null) return;
    this.#stopCommit = this.#store.onCommit(() => void this.#plan());
    this.#forgetLater(FORGET_FIRST);
    void this.#plan();
  }

  async stop(): Promise<void> {
    this.#stopCommit?.();
    this.#stopCommit = null;
    this.#forget?.();
    this.#timer?.cancel();
    this.#timer = null;
    await this.#work;
  }

  /** The clock was set: instants are nearer or farther than they were. */
  replan(): void {
    if (this.#stopCommit === null) return;
    this.#timer?.cancel();
    this.#timer = null;
    void this.#plan();
  }

  /** Sets the timer to the earliest alarm, if that is earlier than what it is set to. */
  async #plan(): Promise<void> {
    const at = await this.#store.nextAlarm().catch(() => null);
    if (at === null || this.#stopCommit === null) return;
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#set(at);
  }

  #set(at: number): void {
    this.#timer?.cancel();
    const wait = Math.min(SLEEP_MAX, Math.max(0, at - this.#clock.now()));
    const wall = this.#clock.now() + wait;
    const mono = this.#clock.monotonic() + wait;
    this.#timer = {
      at,
      cancel: this.#clock.after(Math.ceil(wait), () => {
        this.#timer = null;
        const stalled = this.#clock.monotonic() - mono > STALL || Math.abs(this.#clock.now() - wall) > STALL;
        this.#run(stalled);
      }),
    };
  }

  #run(stalled: boolean): void {
    if (this.#stopCommit === null) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    this.#work = this.#ticks(stalled).finally(() => {
      this.#busy = false;
      if (this.#again) {
        this.#again = false;
        this.#run(false);
      }
    });
  }

  async #ticks(spareLeases: boolean): Promise<void> {
    try {
      for (;;) {
        // Asked first: the timer may have been for a lease that ended well, or for a nap on the way to a far alarm.
        const next = await this.#store.nextAlarm();
        if (this.#stopCommit === null) return;
        if (next === null || next > this.#clock.now()) break;
        const { seen } = await this.#jobs.execute({ kind: 'tick', limit: TICK_MAX, spareLeases, unheard: this.#unheard() });
        if (seen === 0) break;
      }
      await this.#plan();
    } catch (error) {
      if (this.#stopCommit === null) return;
      if (!(error instanceof DomainError)) this.#report.error({ err: error }, 'A sweep failed; it is tried again');
      this.#set(this.#clock.now() + RETRY_AFTER);
    }
  }

  #forgetLater(wait: number): void {
    this.#forget = this.#clock.after(wait, () => {
      this.#store.forgetKeys(this.#clock.now() - KEYS_KEPT, FORGET_MAX).catch((error: unknown) => {
        if (this.#stopCommit !== null) this.#report.warn({ err: error }, 'Old idempotency keys could not be forgotten; tried again in an hour');
        return 0;
      }).then((count) => { if (this.#stopCommit !== null) this.#forgetLater(count === FORGET_MAX ? 100 : FORGET_EVERY); });
    });
  }
}

/** Takes up what a dead process was running. Before anything is served. */
export async function recover(jobs: Jobs, worker: string): Promise<number> {
  let count = 0;
  for (;;) {
    const { seen } = await jobs.execute({ kind: 'recover', worker, limit: TICK_MAX });
    if (seen === 0) return count;
    count += seen;
  }
}
