// A clock that stands still until a test moves it: wall and monotonic time apart, timers in order.
import type { Clock } from '../../src/domain/clock.ts';

/** 2026-01-01T00:00:00Z: a plain instant far from any edge. */
export const START = 1_767_225_600_000;

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #wall = START;
  #mono = 0;
  #timers = new Set<Timer>();

  now(): number { return this.#wall; }
  monotonic(): number { return this.#mono; }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#mono + ms, callback };
    this.#timers.add(timer);
    return () => { this.#timers.delete(timer); };
  }

  turn(callback: () => void): void { setImmediate(callback); }

  /** Timers that wait. */
  get waiting(): number { return this.#timers.size; }

  /** Lets time pass; timers fire in order, each at its own instant. */
  advance(ms: number): void {
    const end = this.#mono + ms;
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      const step = Math.max(0, next.at - this.#mono);
      this.#mono += step;
      this.#wall += step;
      this.#timers.delete(next);
      next.callback();
    }
    this.#wall += end - this.#mono;
    this.#mono = end;
  }

  /** The process stands still for a while: everything that came due fires late, at once. */
  freeze(ms: number): void {
    this.#wall += ms;
    this.#mono += ms;
    this.advance(0);
  }

  /** The wall clock is set; monotonic time does not notice. */
  jump(ms: number): void { this.#wall += ms; }

  #next(until: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) if (timer.at <= until && (first === null || timer.at < first.at)) first = timer;
    return first;
  }
}
