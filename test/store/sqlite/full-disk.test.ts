// A disk that is full, on a small file system in memory (root only): what is refused, what still goes through, how it ends.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type SqliteStore } from '../../../src/store/sqlite/index.ts';
import { FakeClock } from '../../support/clock.ts';
import { leaves, plan, POLICIES, WORKER } from '../../support/make.ts';
import { Bench, codeOf, tempFolder } from '../../support/store.ts';

const SIZE = '24m';
let folder: ReturnType<typeof tempFolder>;
let disk: string;
let store: SqliteStore | null = null;
const clock = new FakeClock();

/** Can this process mount? Root in a container may not. */
const canMount = (() => {
  const probe = tempFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe.path], { stdio: 'ignore' });
    execFileSync('umount', [probe.path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    probe.remove();
  }
})();

function fill(): void {
  const file = openSync(`${disk}/filler`, 'a');
  const block = Buffer.alloc(64 * 1024);
  for (let size = block.length; size >= 1; ) {
    try {
      writeSync(file, block, 0, size);
    } catch {
      size = Math.floor(size / 2);
    }
  }
  closeSync(file);
}
const free = (): void => rmSync(`${disk}/filler`);
const open = async (): Promise<Bench> => new Bench((store = await openStore({ path: `${disk}/m.db`, clock, policies: POLICIES })), clock);

/** Submits until the store says that it is full. Returns what it acknowledged. */
async function submitUntilFull(b: Bench): Promise<string[]> {
  const acked: string[] = [];
  const input = JSON.stringify('x'.repeat(100_000));
  for (let i = 0; i < 500; i++) {
    try {
      acked.push((await b.submit(plan({ input, dueAt: null }))).id);
    } catch (error) {
      expect(error).toMatchObject({ code: 'storage_full' });
      return acked;
    }
  }
  throw new Error('The disk never got full.');
}

describe.skipIf(!canMount)('a full disk', () => {
  beforeEach(() => {
    folder = tempFolder();
    disk = folder.file('disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', disk]);
  });
  afterEach(async () => {
    await store?.close();
    execFileSync('umount', ['-l', disk]);
    folder.remove();
  });

  test('refuses new work, records the ends of what runs, and goes on by itself when there is room again', async () => {
    const b = await open();
    await b.run({ kind: 'submit', jobs: leaves(50) });
    const claims = await b.claim();
    fill();
    const acked = await submitUntilFull(b);
    expect(b.store.health()).toBe('full');
    expect(await codeOf(b.submit(plan()))).toBe('storage_full');
    expect(await codeOf(b.claim().then(() => null))).toBe('storage_full');
    expect(await b.store.forgetKeys(clock.now(), 10)).toBe(0);

    await b.run({ kind: 'renew', leases: claims.map((claim) => ({ jobId: claim.id, epoch: claim.epoch })) });
    for (const claim of claims.slice(1)) await b.done(claim, JSON.stringify('r'.repeat(4_000)));
    await b.run({ kind: 'cancel', jobId: claims[0]!.id });
    expect((await b.store.stats()).jobs).toContainEqual({ type: 'noop', status: 'completed', count: 49 });
    expect(b.store.health()).toBe('full');

    const room = new Promise<void>((resolve) => { b.store.onCommit(() => { if (b.store.health() === 'ok') resolve(); }); });
    free();
    await room;
    const after = await b.submit(plan());
    await b.store.close();
    const again = await open();
    const kept = new Set((await again.store.jobs({}, null, 10_000)).items.map((item) => item.job.id));
    expect([...acked, ...claims.map((claim) => claim.id), after.id].filter((id) => !kept.has(id))).toEqual([]);
    expect(kept.size).toBe(acked.length + 51);
    expect((await again.record(claims[1]!.id)).result).toHaveLength(4_002);
  });

  test('one command that fits is not lost with one that does not', async () => {
    const b = await open();
    await b.run({ kind: 'submit', jobs: leaves(2) });
    const [claim] = await b.claim();
    fill();
    const big = JSON.stringify('x'.repeat(6_000_000));
    const [refused, done] = await Promise.allSettled([b.submit(plan({ input: big })), b.done(claim!)]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'storage_full' } });
    expect(done).toMatchObject({ status: 'fulfilled', value: { refused: [] } });
    expect(await b.status(claim!.id)).toBe('completed');
  });

  test('a server that starts on one opens with what was set aside, serves reads and ends, and takes work once there is room', async () => {
    const first = await open();
    await first.submit(plan());
    await first.run({ kind: 'claim', worker: WORKER, type: 'noop', limit: 1 });
    await first.store.close();
    fill();
    const b = await open();
    expect((await b.run({ kind: 'recover', worker: WORKER, limit: 10 })).seen).toBe(1);
    expect((await b.store.jobs({}, null, 10)).items).toHaveLength(1);
    expect(await codeOf(b.submit(plan()))).toBe('storage_full');
    const room = new Promise<void>((resolve) => { b.store.onCommit(() => { if (b.store.health() === 'ok') resolve(); }); });
    free();
    await room;
    expect((await b.submit(plan())).status).toBe('queued');
    expect(statSync(`${disk}/m.db.reserve`).size).toBe(4 * 1024 * 1024);
  });
});
