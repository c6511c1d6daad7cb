// Ways to break a commit, for the controls of faults of the disk. Patches what broken-writer.ts is about to load.
import Database from 'better-sqlite3';
import { DomainError } from '../../src/domain/errors.ts';
import { Checkpoints } from '../../src/store/sqlite/checkpoint.ts';
import { Committer } from '../../src/store/sqlite/committer.ts';
import { Engine } from '../../src/store/sqlite/engine.ts';
import { isFull } from '../../src/store/sqlite/failure.ts';
import { Look } from '../../src/store/sqlite/look.ts';
import type { CommitBreak } from './breaks.ts';

const { exec } = Database.prototype;
const { beforeCommit } = Engine.prototype;
const { commit } = Committer.prototype;
let engine: Engine | null = null;
let db: Database.Database | null = null;
const know = (now: { engine?: Engine; db?: Database.Database }): void => {
  engine = now.engine ?? engine;
  db = now.db ?? db;
};

Engine.prototype.beforeCommit = function known(this: Engine) {
  know({ engine: this });
  beforeCommit.call(this);
};
Database.prototype.exec = function known(this: Database.Database, sql: string) {
  if (sql === 'BEGIN IMMEDIATE') know({ db: this });
  return exec.call(this, sql);
};

export const COMMIT_BREAKS: Readonly<Record<CommitBreak, () => void>> = {
  // Nobody notices before the process dies between the two.
  'events-apart': () => {
    Engine.prototype.beforeCommit = function apart(this: Engine) {
      db?.exec('COMMIT');
      db?.exec('BEGIN IMMEDIATE');
      beforeCommit.call(this);
    };
  },
  'ack-when-full': () => {
    const known = Database.prototype.exec;
    Database.prototype.exec = function hopeful(this: Database.Database, sql: string) {
      if (sql !== 'COMMIT') return known.call(this, sql);
      try {
        return known.call(this, sql);
      } catch (error) {
        if (!isFull(error)) throw error;
        if (this.inTransaction) known.call(this, 'ROLLBACK');
        engine?.rolledBack();
        return this;
      }
    };
  },
  // What many programs do: the request failed, the next one may not.
  'carry-on': () => {
    Committer.prototype.commit = function stubborn(this: Committer, requests) {
      try {
        return commit.call(this, requests);
      } catch (error) {
        if (db?.inTransaction === true) exec.call(db, 'ROLLBACK');
        engine?.rolledBack();
        return requests.map(() => ({ refusal: new DomainError('unavailable', `Not this time: ${String(error)}`) }));
      }
    };
  },
  // What SQLite does by itself, inside a COMMIT: the log stays, and nobody is told.
  'checkpoint-unheard': () => {
    const { afterCommit } = Checkpoints.prototype;
    Checkpoints.prototype.afterCommit = function deaf(this: Checkpoints) {
      try {
        afterCommit.call(this);
      } catch {
        // another time
      }
    };
  },
  // A sync that succeeded is believed.
  'no-look': () => { Look.prototype.now = () => {}; },
};
