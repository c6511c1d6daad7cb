// Who may call a host now. At most so many calls per host at once, so that one slow participant cannot take every
// place of its job type: who would wait long is sent away with a time to come back, and waits without a place.
import type { Clock } from '../../domain/clock.ts';

/** Browsers use 6; 8 keeps a participant busy and leaves it upright. */
export const PER_HOST = 8;
/** Waiting this long for a turn is cheaper than being sent away and claimed again; longer holds a place others need. */
const WAIT_MAX = 1_000;
/** Callers in line per host; at 8 calls of 5 ms each they are through in about half a second. */
const LINE_MAX = 1_000;
/** Shortest and longest time to come back in: never in step with the claim loop, never forgotten. */
const RETURN_MIN = 1_000;
const RETURN_MAX = 60_000;

export type Turn =
  | { readonly kind: 'in'; leave(): void }
  | { readonly kind: 'busy'; /** ms */ readonly retryAfter: number }
  | { readonly kind: 'aborted' };

export interface Turnstile {
  enter(host: string, signal: AbortSignal): Promise<Turn>;
  /** Hosts with someone in or in line. */
  readonly size: number;
}

interface Gate {
  /** Start of each open call, oldest first. */
  readonly open: Map<object, number>;
  readonly line: Set<() => void>;
  /** How long a call lasts here: moving average, ms. */
  hold: number;
  /** The instant given to the last one sent away: the next gets a later one, so that they do not return together. */
  lastReturn: number;
}

export function createTurnstile(clock: Clock, width: number): Turnstile {
  const gates = new Map<string, Gate>();

  const admit = (host: string, gate: Gate): Turn => {
    const key = {};
    const since = clock.monotonic();
    gate.open.set(key, since);
    return {
      kind: 'in',
      leave() {
        if (!gate.open.delete(key)) return;
        const took = clock.monotonic() - since;
        gate.hold = gate.hold === 0 ? took : gate.hold * 0.8 + took * 0.2;
        const [next] = gate.line;
        if (next !== undefined) next();
        else if (gate.open.size === 0) gates.delete(host);
      },
    };
  };

  /** One call's length as far as it is known: a host that hangs right now is as slow as its oldest open call. */
  const holdOf = (gate: Gate): number => {
    const [oldest] = gate.open.values();
    return Math.max(gate.hold, oldest === undefined ? 0 : clock.monotonic() - oldest);
  };
  const expectedWait = (gate: Gate): number => (Math.floor(gate.line.size / width) + 1) * holdOf(gate);

  const sendAway = (gate: Gate): Turn => {
    const now = clock.monotonic();
    gate.lastReturn = Math.max(gate.lastReturn + holdOf(gate) / width, now + expectedWait(gate));
    return { kind: 'busy', retryAfter: Math.round(Math.min(RETURN_MAX, Math.max(RETURN_MIN, gate.lastReturn - now))) };
  };

  return {
    get size() { return gates.size; },
    async enter(host, signal) {
      if (signal.aborted) return { kind: 'aborted' };
      const gate = gates.get(host) ?? { open: new Map(), line: new Set(), hold: 0, lastReturn: 0 };
      gates.set(host, gate);
      if (gate.open.size < width) return admit(host, gate);
      if (gate.line.size >= LINE_MAX || expectedWait(gate) > WAIT_MAX) return sendAway(gate);
      return await new Promise<Turn>((resolve) => {
        const leaveLine = (turn: () => Turn): void => {
          gate.line.delete(next);
          cancel();
          signal.removeEventListener('abort', abort);
          resolve(turn());
        };
        const next = (): void => leaveLine(() => admit(host, gate));
        const abort = (): void => leaveLine(() => ({ kind: 'aborted' }));
        const cancel = clock.after(WAIT_MAX, () => leaveLine(() => sendAway(gate)));
        signal.addEventListener('abort', abort, { once: true });
        gate.line.add(next);
      });
    },
  };
}
