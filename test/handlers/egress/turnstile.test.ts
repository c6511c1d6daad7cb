import { describe, expect, it } from 'vitest';
import { createTurnstile, type Turn } from '../../../src/handlers/egress/turnstile.ts';
import { manualClock, never } from '../support.ts';

const inside = (turn: Turn): Extract<Turn, { kind: 'in' }> => {
  if (turn.kind !== 'in') throw new Error(`expected to be let in, not ${turn.kind}`);
  return turn;
};

describe('the turnstile', () => {
  it('lets so many in per host, and the next when one leaves', async () => {
    const turnstile = createTurnstile(manualClock(), 2);
    const first = inside(await turnstile.enter('a', never));
    inside(await turnstile.enter('a', never));
    inside(await turnstile.enter('b', never));
    const admitted: string[] = [];
    const third = turnstile.enter('a', never).then((turn) => { admitted.push('third'); return turn; });
    void turnstile.enter('a', never).then(() => admitted.push('fourth'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(admitted).toEqual([]);
    first.leave();
    first.leave(); // leaving twice frees one place
    inside(await third);
    await new Promise((resolve) => setImmediate(resolve));
    expect(admitted).toEqual(['third']);
  });

  it('sends away who waited a second, each with a later time to come back', async () => {
    const clock = manualClock();
    const turnstile = createTurnstile(clock, 2);
    const open = [inside(await turnstile.enter('a', never)), inside(await turnstile.enter('a', never))];
    const waiting = Array.from({ length: 4 }, () => turnstile.enter('a', never));
    clock.advance(1_000);
    const times = (await Promise.all(waiting)).map((turn) => (turn.kind === 'busy' ? turn.retryAfter : -1));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(times).size).toBe(4);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(1_000);
    // The host hangs: whoever comes now is sent away at once, so that it costs others no place.
    clock.advance(29_000);
    expect(await turnstile.enter('a', never)).toMatchObject({ kind: 'busy' });
    for (const turn of open) turn.leave();
    expect([clock.timers, turnstile.size]).toEqual([0, 0]);
  });

  it('lets everyone through in time when the host is quick', async () => {
    const clock = manualClock();
    const turnstile = createTurnstile(clock, 8);
    let through = 0;
    const visit = async (): Promise<void> => {
      const turn = inside(await turnstile.enter('a', never));
      through++;
      clock.after(5, () => turn.leave());
    };
    const all = Array.from({ length: 900 }, visit);
    for (let i = 0; i < 200; i++) {
      clock.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    expect([through, turnstile.size]).toEqual([900, 0]);
  });

  it('lets go of who gives up while waiting', async () => {
    const clock = manualClock();
    const turnstile = createTurnstile(clock, 1);
    const first = inside(await turnstile.enter('a', never));
    const stop = new AbortController();
    const waiting = turnstile.enter('a', stop.signal);
    stop.abort();
    expect(await waiting).toEqual({ kind: 'aborted' });
    expect(await turnstile.enter('a', stop.signal)).toEqual({ kind: 'aborted' });
    first.leave();
    expect([clock.timers, turnstile.size]).toEqual([0, 0]);
  });
});
