// Virtual time, and the one event loop of a simulated run: timers and turns in an order that the seed alone decides.
// Between two of them every promise that can go on does; nothing here waits for the real clock.
import type { Clock } from '../../src/domain/clock.ts';
import { START } from '../support/clock.ts';

/** Steps at one instant: far more than any burst of a run; whoever needs more goes round in circles. */
const STEPS_MAX = 20_000;

/**
 * After so many rounds the real event loop has its turn: whatever runs us stays responsive, and the one real turn left in
 * src/ (a body of hundreds of nested parents) goes on, at a place that the seed decides.
 */
const ROUNDS_PER_TURN = 512;

/** Everything runs and no time passes. */
export class Livelock extends Error {}

interface Timer {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Resolves when the microtask queue is empty: Node takes the next tick only then. */
const drained = (): Promise<void> => new Promise((resolve) => { process.nextTick(resolve); });

export class Kernel {
  /** Timers and turns so far. */
  steps = 0;
  /** Called when everything at this instant has been done and time is about to pass. */
  onQuiet: () => void = () => {};
  #mono = 0;
  #wall = START;
  #order = 0;
  #rounds = 0;
  #heap: Timer[] = [];
  #turns: (() => void)[] = [];

  get mono(): number { return this.#mono; }
  get wall(): number { return this.#wall; }

  after(ms: number, run: () => void): () => void {
    const timer: Timer = { at: this.#mono + Math.max(0, Math.ceil(ms)), order: this.#order++, run };
    this.#push(timer);
    return () => { timer.run = null; };
  }

  turn(run: () => void): void { this.#turns.push(run); }

  /** The clock of one life of the server; it stops with it. `lag` = how late its timers are, ms. */
  clockFor(isAlive: () => boolean, lag: () => number): Clock {
    const guarded = (callback: () => void) => (): void => { if (isAlive()) callback(); };
    return {
      now: () => this.#wall,
      monotonic: () => this.#mono,
      after: (ms, callback) => this.after(ms + lag(), guarded(callback)),
      turn: (callback) => this.turn(guarded(callback)),
    };
  }

  /** The wall clock is set; monotonic time does not notice. */
  jump(ms: number): void { this.#wall += ms; }

  /** The machine stands still: what came due meanwhile comes late, at once. */
  freeze(ms: number): void {
    this.#mono += ms;
    this.#wall += ms;
  }

  /** Runs until the instant (monotonic ms) or until it is told to stop. @throws Livelock */
  async run(until: number, isOver: () => boolean = () => false): Promise<void> {
    let here = 0;
    for (;;) {
      if ((this.#rounds += 1) % ROUNDS_PER_TURN === 0) await new Promise((resolve) => { setImmediate(resolve); });
      await drained();
      if (isOver()) return;
      const turns = this.#turns;
      if (turns.length > 0) {
        this.#turns = [];
        for (const turn of turns) {
          turn();
          await drained();
          this.steps += 1;
        }
        if ((here += turns.length) > STEPS_MAX) throw new Livelock(`${here} steps and no time passes`);
        continue;
      }
      const next = this.#heap[0];
      if (next === undefined || next.at > this.#mono) this.onQuiet();
      if (next === undefined || next.at > until) {
        this.#pass(until);
        return;
      }
      if (next.at > this.#mono) here = 0;
      this.#pass(next.at);
      this.#pop();
      if (next.run === null) continue;
      this.steps += 1;
      if ((here += 1) > STEPS_MAX) throw new Livelock(`${here} steps and no time passes`);
      next.run();
    }
  }

  #pass(to: number): void {
    if (to <= this.#mono) return;
    this.#wall += to - this.#mono;
    this.#mono = to;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    for (let up = (i - 1) >> 1; i > 0 && before(timer, heap[up]!); i = up, up = (i - 1) >> 1) {
      heap[i] = heap[up]!;
      heap[up] = timer;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ;) {
      let least = i * 2 + 1;
      if (least >= heap.length) return;
      if (least + 1 < heap.length && before(heap[least + 1]!, heap[least]!)) least += 1;
      if (!before(heap[least]!, last)) return;
      heap[i] = heap[least]!;
      heap[least] = last;
      i = least;
    }
  }
}

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
