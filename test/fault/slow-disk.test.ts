// A disk that is slow and one that hangs: who only reads must not notice. Figures are printed, not asserted; the bounds in
// the nemeses are such that only a blocked event loop meets them, and the writer on the main thread does meet them.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openStore } from '../../src/store/sqlite/index.ts';
import { FakeClock } from '../support/clock.ts';
import { plan, POLICIES } from '../support/make.ts';
import { Bench, tempFolder } from '../support/store.ts';
import { runCampaign } from './campaign.ts';
import { describeIf } from './feasible.ts';
import { broken } from './kinds.ts';
import { createFrozen } from './nemesis/frozen.ts';
import { LoopDisk } from './nemesis/loop-disk.ts';
import type { Nemesis } from './nemesis/nemesis.ts';
import { createSlow } from './nemesis/slow.ts';

const LIMIT = { timeout: 300_000 };
const COUNT = 120;
/** The store says so after two seconds, and needs a moment more on a busy machine. */
const FREEZE = 4_500;

async function caught(nemesis: Nemesis): Promise<string> {
  const { report, violations } = await runCampaign({ seed: 'control', runs: 1, restMax: 5_000, nemesis, entry: broken('inline-writer') });
  const kept = /kept in (\S+)/.exec(report ?? '')?.[1];
  if (kept !== undefined) rmSync(kept, { recursive: true, force: true }); // it was meant to fail
  return violations.join('\n');
}

describeIf(await createSlow().feasible(), 'a disk that takes 300 ms more for each sync', () => {
  it('does not slow down who only reads', LIMIT, async () => {
    const slow = createSlow({ count: COUNT });
    const { report } = await runCampaign({ seed: 'test', runs: 1, nemesis: slow });
    expect(report).toBeNull();
    expect(slow.slowed).toHaveLength(COUNT / 2);
    console.log(slow.facts?.());
  });

  it('control: a writer on the main thread lets every read wait for the disk', LIMIT, async () => {
    expect(await caught(createSlow({ count: COUNT }))).toMatch(/BLOCKED: .* slowed disk/);
  });
});

describeIf(await LoopDisk.feasible(), 'a disk that hangs', () => {
  it('acknowledges nothing, answers reads and health, says so in /ready, and goes on after it', LIMIT, async () => {
    const frozen = createFrozen({ freeze: FREEZE });
    const { report } = await runCampaign({ seed: 'test', runs: 1, nemesis: frozen });
    expect(report).toBeNull();
    expect(frozen.health.length).toBeGreaterThan(10);
    console.log(frozen.facts?.());
  });

  it('control: a writer on the main thread takes reads and health with it', LIMIT, async () => {
    expect(await caught(createFrozen({ freeze: FREEZE }))).toMatch(/HANGS: \/health/);
  });

  it('does not hang the first who reads what was committed just before', LIMIT, async () => {
    const folder = tempFolder();
    const home = folder.file('home');
    mkdirSync(home);
    const disk = new LoopDisk(folder.path, home);
    try {
      await disk.create();
      const clock = new FakeClock();
      const store = await openStore({ path: `${home}/muster.db`, clock, policies: POLICIES });
      const { id } = await new Bench(store, clock).submit(plan()); // and nothing reads it yet
      // A hang would stop this thread, so another process lets go; a child of ours that ends by itself.
      const thaw = spawn('sh', ['-c', `sleep ${FREEZE / 1_000}; fsfreeze -u ${home}`], { stdio: 'ignore' });
      const thawed = new Promise((resolve) => { thaw.on('exit', resolve); });
      await disk.freeze();
      expect((await store.job(id))?.job.id).toBe(id);
      await expect(disk.freeze()).rejects.toThrow(/busy/i); // it still is frozen: the read did not wait for the thaw
      await thawed;
      await store.close();
    } finally {
      await disk.destroy();
      folder.remove();
    }
  });
});
