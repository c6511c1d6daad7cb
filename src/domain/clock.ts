// Time as a port: wall time for what is kept and shown, monotonic time for durations, timers for waits.

export interface Clock {
  /** Epoch ms. May jump; never measure durations with it. */
  now(): number;
  /** ms since some fixed instant; never goes back. */
  monotonic(): number;
  /** Calls back after `ms` (0..2^31-1). Returns the way to cancel. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back in the next turn of the event loop: after everything that is ready now. */
  turn(callback: () => void): void;
}
