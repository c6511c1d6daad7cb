// Faults of a disk of our own, a few of each: power cuts and a flip to read-only. `npm run crash` does as many as you like.
// Beside each the same on a server that must not survive it: what is not caught there would not be caught anywhere.
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type CampaignOptions, type CampaignResult, runCampaign } from './campaign.ts';
import { describeIf } from './feasible.ts';
import { broken } from './kinds.ts';
import { flipOften } from './nemesis/flips.ts';
import { LoopDisk } from './nemesis/loop-disk.ts';
import { createPowercut } from './nemesis/powercut.ts';
import { createReadonly } from './nemesis/readonly.ts';
import { createRng } from './rng.ts';

const LIMIT = { timeout: 300_000 };
const CONTROL_RUNS = 6;
/** A few of the 2,500 behind docs/promises.md; that every commit is looked at is test/store/sqlite/look.test.ts. */
const LOOKED_FLIPS = 12;
/** One in thirteen is lost, so all of these are kept by luck once in ten million. */
const UNLOOKED_FLIPS_MAX = 200;

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

  it('takes nothing from who looks behind each sync', LIMIT, async () => {
    expect(await flipOften(createRng('look'), LOOKED_FLIPS, true, 'all')).toMatchObject({ flips: LOOKED_FLIPS, lost: 0 });
  });

  it('control: takes what it said was synced from who does not look [kernel]', LIMIT, async (context) => {
    const { flips, lost } = await flipOften(createRng('no look'), UNLOOKED_FLIPS_MAX, false, 'lost');
    if (lost === 0) context.skip(`the kernel kept every one of ${flips} last writes: it does not lie, or not here`);
    expect(lost).toBe(1);
  });

  it('control: who answers before it commits loses work to a disk that became read-only', LIMIT, async () => {
    const { violations } = await caught({ nemesis: createReadonly(), entry: broken('ack-before-commit') });
    expect(violations.join('\n')).toMatch(/LOST/);
  });
});
