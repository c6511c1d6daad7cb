// Whether the disk has kept what was just synced: asked after each sync, before anything is answered or built on it.
//
// An ext4 that finds itself inconsistent (errors=remount-ro) first aborts its journal and turns read-only a few ms later,
// after writing two superblocks. In between a sync whose transaction was dropped returns success: it asks whether that
// transaction is still under way, and it is not. What needs a transaction of its own is refused from the abort on, so such
// a call after the sync knows for certain. Growing a sparse file is the cheapest one (7 µs, no block written). Opening a
// file for writing, or a second sync, only asks whether the disk is read-only yet: a plain program lost its last write in
// 23 of 300 flips, with a second sync in 10, with an open in 8, with this in none of 2,500.
import { closeSync, ftruncateSync, openSync, unlinkSync } from 'node:fs';
import { codeOf, NO_ROOM, StorageFailure } from './failure.ts';

/** Aligned to pages: growing from the middle of one would read it. */
const STEP = 4_096;
/** Then from the start again. Nothing is ever written to it, so this is no space on the disk. */
const SIZE_MAX = 4 * 1024 * 1024;

export class Look {
  readonly #path: string | null;
  #file: number | null = null;
  #size = 0;

  /** @param database its path, or null for one in memory */
  constructor(database: string | null) {
    this.#path = database === null ? null : `${database}.look`;
  }

  /** @throws StorageFailure: what was synced before may be lost, and nothing may be built on it. */
  now(): void {
    if (this.#path === null) return;
    try {
      this.#file ??= createUnnamed(this.#path); // itself a change that needs a transaction
      this.#size = this.#size >= SIZE_MAX ? 0 : this.#size + STEP;
      ftruncateSync(this.#file, this.#size);
    } catch (error) {
      if (NO_ROOM.has(codeOf(error))) return; // a disk that says so still works
      throw new StorageFailure(`The disk failed or became read-only while it was written to (${codeOf(error)}).`);
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

/** Without a name, so that nothing stays behind however the process ends. */
function createUnnamed(path: string): number {
  const file = openSync(path, 'w', 0o600);
  try {
    unlinkSync(path);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}
