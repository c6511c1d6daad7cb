// The writing half of the store without its thread: connection, engine and committer put together.
import type { Policies } from '../../domain/policy.ts';
import { newJobId, newScheduleId } from './ids.ts';
import { checkpoint } from './checkpoint.ts';
import { Committer } from './committer.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { isFull, removeFile } from './failure.ts';
import { Look } from './look.ts';
import { openWriter } from './open.ts';
import type Database from 'better-sqlite3';

export interface Core {
  readonly db: Database.Database;
  readonly committer: Committer;
  /** What SQLite says of itself, for /ready: 2 = FULL. */
  readonly facts: { readonly synchronous: number; readonly journal: string };
  /** Of what was committed. */
  lastSeq(): number;
  forgetKeys(before: number, limit: number): number;
  /** False: there is no room for it. */
  shift(by: number): boolean;
  /** Checkpoints and lets go of the file. */
  close(): void;
}

export function openCore(path: string, policies: Policies, synchronous: 'FULL' | 'NORMAL' | 'OFF', chance: Partial<EngineOptions> = {}): Core {
  const reserve = path === ':memory:' ? null : `${path}.reserve`;
  // A full disk has no room for the write-ahead log that opening makes: what the last run set aside is for this too.
  if (reserve !== null) removeFile(reserve);
  const look = new Look(path === ':memory:' ? null : path);
  const db = openWriter(path, synchronous, look);
  const engine = new Engine(db, { policies, random: chance.random ?? Math.random, newId: chance.newId ?? newJobId, newScheduleId: chance.newScheduleId ?? newScheduleId });
  const committer = new Committer(db, engine, reserve, look);
  return {
    db,
    committer,
    facts: { synchronous: db.pragma('synchronous', { simple: true }) as number, journal: db.pragma('journal_mode', { simple: true }) as string },
    lastSeq: () => engine.lastSeq,
    forgetKeys: (before, limit) => {
      try {
        return committer.full ? 0 : engine.forgetKeys(before, limit); // forgetting needs room too; another time will do
      } catch (error) {
        if (isFull(error)) return 0;
        throw error;
      }
    },
    shift: (by) => {
      try {
        engine.shift(by);
        committer.settle();
        return true;
      } catch (error) {
        if (isFull(error)) return false;
        throw error;
      }
    },
    close: () => {
      if (path !== ':memory:') checkpoint(db, look);
      db.close();
      look.close();
    },
  };
}
