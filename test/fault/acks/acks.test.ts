// 1,000 submissions under strace: none is acknowledged before a sync of the log that began after its last frame.
// And two servers that do not keep to it, which must be told.
import { describe, expect, it } from 'vitest';
import { traceAcks } from './traced.ts';

const LIMIT = { timeout: 300_000 };
const BROKEN = 'test/fault/broken-server.ts';

describe('an answer under strace', () => {
  it('leaves only after a finished sync of what it acknowledges, 1,000 times', LIMIT, async () => {
    const { violations, acks, transactions, syncs } = await traceAcks({ submits: 1_000, seed: 'test' });
    expect(violations).toEqual([]);
    expect(acks).toBeGreaterThan(1_400); // 900 singles, 100 bulks of 5, edits and cancellations
    expect(transactions).toBeGreaterThan(250);
    expect(syncs).toBeGreaterThanOrEqual(transactions);
  });

  it('is caught without a sync', LIMIT, async () => {
    const { violations } = await traceAcks({ submits: 60, seed: 'control', entry: [BROKEN, 'synchronous-off'] });
    expect(violations.join('\n')).toMatch(/without a finished sync since its last frame/);
  });

  it('is caught before the commit', LIMIT, async () => {
    const { violations } = await traceAcks({ submits: 60, seed: 'control', changes: false, entry: [BROKEN, 'ack-before-commit'] });
    expect(violations.join('\n')).toMatch(/before its last frame was written|never written to the log/);
  });
});
