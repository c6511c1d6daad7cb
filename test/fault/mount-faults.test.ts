// Faults of a disk of our own, a few of each: power cuts and a flip to read-only. `npm run crash` does as many as you like.
// Beside each the same on a server that must not survive it: what is not caught there would not be caught anywhere.
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type CampaignOptions, type CampaignResult, runCampaign } from './campaign.ts';
import { describeIf } from './feasible.ts';
import { broken } from './kinds.ts';
import { LoopDisk } from './nemesis/loop-disk.ts';
import { createPowercut } from './nemesis/powercut.ts';
import { createReadonly } from './nemesis/readonly.ts';

const LIMIT = { timeout: 300_000 };
const CONTROL_RUNS = 6;

async function caught(options: Pick<CampaignOptions, 'nemesis' | 'entry' | 'synchronous'>): Promise<CampaignResult> {
  const result = await runCampaign({ seed: 'control', runs: CONTROL_RUNS, restMax: 5_000, ...options });
  const kept = /kept in (\S+)/.exec(result.report ?? '')?.[1];
  if (kept !== undefined) rmSync(kept, { recursive: true, force: true }); // it was meant to fail
  return result;
}

describeIf(await LoopDisk.feasible(), 'a disk that loses power or flips to read-only', () => {
  it('loses nothing that was acknowledged when the power fails under load and while it starts', LIMIT, async () => {
    const powercut = createPowercut();
    const { report, counts } = await runCampaign({ seed: 'test', runs: 4, nemesis: powercut });
    expect(report).toBeNull();
    expect(powercut.cuts()).toBeGreaterThanOrEqual(4);
    expect(counts.acks).toBeGreaterThan(50);
    expect(counts.lostAnswers).toBeGreaterThan(0);
  });

  it('control: without a sync per commit a power cut loses what was acknowledged', LIMIT, async () => {
    const { violations } = await caught({ nemesis: createPowercut(), entry: broken('synchronous-normal'), synchronous: 1 });
    expect(violations.join('\n')).toMatch(/LOST/);
    expect(violations.join('\n')).not.toMatch(/synchronous/); // it is the loss that is seen, not the setting
  });

  it('stops at once on a disk that became read-only, refuses to start there, and goes on once it is mended', LIMIT, async () => {
    const readonly = createReadonly();
    const { report, counts } = await runCampaign({ seed: 'test', runs: 3, nemesis: readonly });
    expect(report).toBeNull();
    expect(readonly.noticed).toHaveLength(3);
    expect(readonly.refusals()).toBeGreaterThan(0);
    expect(counts.acks).toBeGreaterThan(50);
  });

  it('control: who answers before it commits loses work to a disk that became read-only', LIMIT, async () => {
    const { violations } = await caught({ nemesis: createReadonly(), entry: broken('ack-before-commit') });
    expect(violations.join('\n')).toMatch(/LOST/);
  });
});
