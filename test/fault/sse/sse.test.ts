// Streams under disconnects, kills and readers that do not read; small (the commands in run.ts do as much as you like).
// And servers whose streams skip, repeat or queue without bound, which must be told.
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type DisconnectResult, runDisconnects } from './disconnects.ts';
import { runNever } from './never.ts';

const LIMIT = { timeout: 300_000 };
const CHANGED = 'test/fault/sse/stream-server.ts';

describe('readers that are cut off', () => {
  it('have every event of their streams once, in order and byte for byte, after 200 disconnects and 5 kills', LIMIT, async () => {
    const result = await runDisconnects({ disconnects: 200, kills: 5, seed: 'test' });
    expect(result.violations).toEqual([]);
    expect(result.disconnects).toBeGreaterThanOrEqual(200);
    expect(result.kills).toBe(5);
    // A harness that did nothing would find nothing.
    expect(Math.min(...Object.entries(result.cuts).filter(([name]) => name !== 'broken').map(([, count]) => count))).toBeGreaterThan(0);
    expect(result.readers).toBeGreaterThan(15);
    expect(result.events).toBeGreaterThan(100);
    expect(result.delivered).toBeGreaterThan(result.events * 5);
  });

  const caught = async (way: string): Promise<DisconnectResult> => {
    const result = await runDisconnects({ disconnects: 150, kills: 0, seed: 'control', entry: [CHANGED, way] });
    if (result.kept !== null) rmSync(result.kept, { recursive: true, force: true }); // it was meant to fail
    return result;
  };
  it('tell of a server that leaves an event out when they come back', LIMIT, async () => {
    expect((await caught('resume-skips')).violations.join('\n')).toMatch(/LEFT OUT/);
  });
  it('tell of a server that repeats one', LIMIT, async () => {
    expect((await caught('resume-repeats')).violations.join('\n')).toMatch(/gave \d+ where/);
  });
});

describe('readers that never read', () => {
  it('are cut, cost little and take nothing from those that do', LIMIT, async () => {
    const { violations, cut, streamed } = await runNever({ never: 30, readers: 20, seconds: 6, rate: 40, entry: [CHANGED, 'short-stall'] });
    expect(violations).toEqual([]);
    expect(cut).toBe(30);
    expect(streamed).toBeGreaterThan(8_000_000); // more than the kernel keeps for a socket
  });

  it('make a server grow that queues for its clients', LIMIT, async () => {
    const { violations, cut } = await runNever({ never: 30, readers: 5, seconds: 6, rate: 40, entry: [CHANGED, 'queues,short-stall'], waitMax: 3_000 });
    expect(cut).toBe(0);
    expect(violations.join('\n')).toMatch(/MEMORY: it grew by/);
  });
});
