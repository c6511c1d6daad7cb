// Reading of many streams shares one thread with everything else: what arrives is read in small pieces, in turn, and a turn
// of the event loop has a bound. A stream whose piece waits is held back at its socket, so nothing piles up here.
import type { Clock } from '../../domain/clock.ts';

/** ms of reading in one turn: a health check or another stream waits no longer for it than for a commit. */
const TURN = 8;

export class Pump {
  readonly #clock: Clock;
  readonly #queue: { readonly step: () => boolean; readonly done: () => void }[] = [];
  #running = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `step` in its turns until it says that it has nothing more. */
  add(step: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push({ step, done: resolve });
      if (this.#running) return;
      this.#running = true;
      this.#clock.turn(() => this.#turn());
    });
  }

  #turn(): void {
    const until = this.#clock.monotonic() + TURN;
    do {
      const next = this.#queue.shift();
      if (next === undefined) break;
      if (next.step()) this.#queue.push(next);
      else next.done();
    } while (this.#clock.monotonic() < until);
    if (this.#queue.length > 0) this.#clock.turn(() => this.#turn());
    else this.#running = false;
  }
}
