// More than a server can take, for ten seconds; run.ts does two minutes. Its queue is bounded at 500 here, so that the bound
// is met within the time. And a server that admits everybody, which must be told.
import { describe, expect, it } from 'vitest';
import { runOverload } from './overload.ts';

const LIMIT = { timeout: 400_000 };
/** 500, as many cancellations again, and a full commit of what the server does of itself. */
const BOUNDED = { plateauSeconds: 4, seed: 'test', queueMax: 1_500, healthMax: 60_000 };

describe('ten times what a server can take', () => {
  it('is refused with Retry-After, costs bounded memory and loses nothing that was accepted', LIMIT, async () => {
    const { violations, statuses, acked, seen } = await runOverload({ ...BOUNDED, seconds: 10, env: { MUSTER_WRITE_QUEUE: '500' } });
    expect(violations).toEqual([]);
    expect(statuses['submit 503']).toBeGreaterThan(100);
    expect(acked).toBeGreaterThan(500);
    expect(seen.health.asked).toBeGreaterThan(5);
  });

  it('is told of a server that admits everybody', LIMIT, async () => {
    const { violations } = await runOverload({ ...BOUNDED, seconds: 6, entry: ['test/fault/overload/open-server.ts'], env: { MUSTER_WRITE_QUEUE: '1000000' } });
    expect(violations.join('\n')).toMatch(/QUEUE: \d+ commands waited/);
    expect(violations.join('\n')).toMatch(/nothing was refused/);
  });
});
