// How often a disk that turns read-only under a program takes what it had said was synced. Without the store in between, so
// that a lie of the kernel's is told from a fault of ours, and at four flips a second.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Rng } from '../rng.ts';
import { LoopDisk } from './loop-disk.ts';
import { PAGE } from './write-and-sync.ts';

const PROGRAM = new URL('./write-and-sync.ts', import.meta.url).pathname;
/** Writes before the flip. */
const WRITES_MAX = 100;
/** ms; only a program that hangs meets it. */
const PATIENCE = 30_000;

export interface Flips { readonly flips: number; /** In how many of them something acknowledged was lost. */ readonly lost: number; readonly writes: number }

/** @param until stops as soon as something was lost, too */
export async function flipOften(rng: Rng, flips: number, isLooking: boolean, until: 'all' | 'lost'): Promise<Flips> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-flips-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  let [done, lost, writes] = [0, 0, 0];
  try {
    while (done < flips && !(until === 'lost' && lost > 0)) {
      const disk = new LoopDisk(folder, home);
      try {
        await disk.create();
        const synced = await flipUnder(disk, home, join(folder, 'says'), rng.int(1, WRITES_MAX), isLooking);
        await disk.mend();
        done += 1;
        writes += synced;
        if (!isWhole(join(home, 'log'), synced)) lost += 1;
      } finally {
        await disk.destroy();
      }
    }
    return { flips: done, lost, writes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns how many writes it had said were synced when it ended */
async function flipUnder(disk: LoopDisk, home: string, says: string, after: number, isLooking: boolean): Promise<number> {
  rmSync(says, { force: true });
  const child = spawn(process.execPath, [PROGRAM, home, says, isLooking ? 'look' : 'no-look'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { words += text; });
  let isOver = false;
  const over = new Promise<void>((resolve) => { child.once('close', () => { isOver = true; resolve(); }); });
  const hang = setTimeout(() => { child.kill('SIGKILL'); }, PATIENCE);
  try {
    while (!isOver && saidOf(says) < after) await new Promise((resolve) => { setTimeout(resolve, 1); });
    if (isOver) throw new Error(`the program ended before the flip: ${words}`);
    await disk.flip();
    await over;
  } finally {
    clearTimeout(hang);
    child.kill('SIGKILL');
    await over;
  }
  if (child.exitCode === null || !/EROFS|EIO/.test(words)) throw new Error(`the program did not end by its disk: code ${child.exitCode}, ${words}`);
  return saidOf(says);
}

function saidOf(path: string): number {
  try {
    const said = readFileSync(path);
    return said.length < 8 ? 0 : Number(said.readBigUInt64LE());
  } catch {
    return 0; // not yet
  }
}

function isWhole(path: string, count: number): boolean {
  if (statSync(path).size < count * PAGE) return false;
  const log = readFileSync(path);
  for (let i = 0; i < count; i++) if (log.readBigUInt64LE(i * PAGE) !== BigInt(i + 1)) return false;
  return true;
}
