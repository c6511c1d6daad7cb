// A program that only appends numbers to a file and syncs each, as a log does; with or without the store's look behind each
// sync. It says on another disk how far it has got. Run: node write-and-sync.ts FOLDER SAYS look|no-look
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Look } from '../../../src/store/sqlite/look.ts';

export const PAGE = 4_096;

function run(folder: string, says: string, isLooking: boolean): void {
  const file = openSync(join(folder, 'log'), 'w');
  const out = openSync(says, 'w');
  const look = new Look(isLooking ? join(folder, 'log') : null);
  const page = Buffer.alloc(PAGE);
  const said = Buffer.alloc(8);
  for (let i = 1n; ; i++) {
    page.writeBigUInt64LE(i);
    writeSync(file, page, 0, PAGE, (Number(i) - 1) * PAGE);
    fsyncSync(file);
    look.now();
    said.writeBigUInt64LE(i);
    writeSync(out, said, 0, 8, 0);
  }
}

if (import.meta.main) run(process.argv[2]!, process.argv[3]!, process.argv[4] === 'look');
