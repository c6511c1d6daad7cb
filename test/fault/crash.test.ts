// The crash harness on the real server, small: 20 kills, 3 clean stops. `npm run crash` does as many as you like.
// And the harness on servers that break one promise each: what it does not catch there it would not catch anywhere.
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BREAKS } from './breaks.ts';
import { type CampaignResult, runCampaign } from './campaign.ts';
import { createKill } from './nemesis/kill.ts';
import { createTerm } from './nemesis/term.ts';

const LIMIT = { timeout: 300_000 };
/** Of a broken server: some of the breaks only show when they meet the right job. */
const CONTROL_RUNS = 8;

const BROKEN = ['test/fault/broken-server.ts'];

async function caught(way: string): Promise<CampaignResult> {
  const result = await runCampaign({ seed: `control ${way}`, runs: CONTROL_RUNS, nemesis: createKill(), entry: [...BROKEN, way], restMax: 5_000 });
  const kept = /kept in (\S+)/.exec(result.report ?? '')?.[1];
  if (kept !== undefined) rmSync(kept, { recursive: true, force: true }); // it was meant to fail
  return result;
}

describe('the real server', () => {
  it('loses nothing, leaves nothing stuck and keeps its streams whole when it is killed 20 times under load', LIMIT, async () => {
    const kill = createKill();
    const { report, counts } = await runCampaign({ seed: 'test', runs: 20, nemesis: kill });
    expect(report).toBeNull();
    expect(kill.kills()).toBeGreaterThanOrEqual(20);
    // A harness that did nothing would find nothing.
    expect(counts.acks).toBeGreaterThan(500);
    expect(counts.lostAnswers).toBeGreaterThan(10);
    expect(counts.interrupted).toBeGreaterThan(10);
    expect(counts.streams.reconnects).toBeGreaterThan(20);
    expect(counts.calls).toBeGreaterThan(100);
  });

  it('stops cleanly on SIGTERM under load: exit 0, no request reset, streams told to come back', LIMIT, async () => {
    const { report, counts } = await runCampaign({ seed: 'test', runs: 3, nemesis: createTerm() });
    expect(report).toBeNull();
    expect(counts.streams.goodbyes).toBeGreaterThanOrEqual(3);
    expect(counts.streams.broken).toBe(0);
  });
});

describe('a server that breaks a promise is caught:', () => {
  it('synchronous off', LIMIT, async () => {
    const { violations } = await caught('synchronous-off');
    expect(violations.join('\n')).toMatch(/I14: .*"synchronous":0/);
  });

  const SIGNS: Record<(typeof BREAKS)[number], RegExp> = {
    'event-left-out': /I3|I8|I9/,
    'final-event-left-out': /I4/,
    'gap-in-the-log': /I2: event \d+ is not there/,
    'ack-before-commit': /LOST/,
    'key-forgotten': /I1: .*(stood for|is there 2 times)/,
    'lease-left-behind': /I6: .* leased to a process that is dead/,
    'kill-burns-a-retry': /I8: .* a kill must burn no retry/,
    'child-not-let-in': /I5/,
  };
  for (const way of BREAKS) {
    it(way.replaceAll('-', ' '), LIMIT, async () => {
      const { violations } = await caught(way);
      expect(violations.join('\n')).toMatch(SIGNS[way]);
    });
  }
});
