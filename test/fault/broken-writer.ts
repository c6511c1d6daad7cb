// A writer that breaks its word in one way, named by FAULT_BREAK: a negative control of the harness.
// Patches what it imports; nothing in src/ knows of it. Only ever loaded as a writer's thread.
import { Checkpoints } from '../../src/store/sqlite/checkpoint.ts';
import Database from 'better-sqlite3';
import type { NewEvent } from '../../src/domain/event.ts';
import { LogTables } from '../../src/store/sqlite/log-table.ts';
import { JobTable, type JobUpdate, type Placed } from '../../src/store/sqlite/job-table.ts';
import { ScheduleTables } from '../../src/store/sqlite/schedule-table.ts';
import { Sets } from '../../src/store/sqlite/sets.ts';
import { type Break, type CommitBreak, isCommitBreak, type ScheduleBreak } from './breaks.ts';

/** One in so many: seldom enough that a look at a few jobs would miss it. */
const EVERY = 20;
/** How long after the answer the commit comes, ms. */
const LATE = 150;

// The store has its own workerData for its writer, so the way to break it comes by the environment of the test's server.
const way = process.env['FAULT_BREAK'] as Break | CommitBreak | ScheduleBreak | undefined;

const { append } = LogTables.prototype;
let count = 0;
const skip = (holds: (event: NewEvent) => boolean, seqLost: boolean): void => {
  LogTables.prototype.append = function leaky(this: LogTables, event: NewEvent, job: Placed): number {
    if (!holds(event) || (count += 1) % EVERY !== 0) return append.call(this, event, job);
    if (seqLost) this.lastSeq += 1;
    return this.lastSeq;
  };
};

if (way === 'event-left-out') skip((event) => event.type === 'job:status', false);
else if (way === 'final-event-left-out') skip((event) => event.type === 'job:complete' || event.type === 'job:error', false);
else if (way === 'gap-in-the-log') skip((event) => event.type === 'job:log', true);
else if (way === 'ack-before-commit') {
  Checkpoints.prototype.afterCommit = () => {}; // inside of a transaction the log cannot be asked for
  const { exec } = Database.prototype;
  let isLate = false;
  Database.prototype.exec = function eager(this: Database.Database, sql: string) {
    if (sql === 'BEGIN IMMEDIATE' && isLate) return this; // goes on in the transaction that is still open
    if (sql !== 'COMMIT') return exec.call(this, sql);
    if (!isLate) {
      isLate = true;
      setTimeout(() => { isLate = false; exec.call(this, 'COMMIT'); }, LATE);
    }
    return this;
  };
}
else if (way === 'key-forgotten') {
  LogTables.prototype.known = () => null;
  LogTables.prototype.remember = () => {};
} else if (way === 'lease-left-behind') JobTable.prototype.leasedKeys = () => [];
else if (way === 'kill-burns-a-retry') {
  const { update } = JobTable.prototype;
  const burn = (change: JobUpdate): JobUpdate =>
    (change.job.interruptions > change.before.job.interruptions ? { ...change, job: { ...change.job, failures: change.job.failures + 1 } } : change);
  JobTable.prototype.update = function costly(this: JobTable, changes: Iterable<JobUpdate>, now: number) { update.call(this, [...changes].map(burn), now); };
} else if (way === 'advance-apart') {
  // What `fire` writes beside the job comes a moment later, in no transaction.
  const { put, addRun } = ScheduleTables.prototype;
  ScheduleTables.prototype.put = function late(this: ScheduleTables, ...args) { setTimeout(() => put.apply(this, args), LATE); return { key: args[0].key, schedule: args[1] }; };
  ScheduleTables.prototype.addRun = function late(this: ScheduleTables, ...args) { setTimeout(() => { try { addRun.apply(this, args); } catch { /* it is there */ } }, LATE); };
} else if (way === 'child-not-let-in') {
  const { admit } = Sets.prototype;
  Sets.prototype.admit = function forgetful(this: Sets, parent: number, n: number, now: number) { if ((count += 1) % EVERY !== 0) admit.call(this, parent, n, now); };
}

if (isCommitBreak(way)) (await import('./broken-commit.ts')).COMMIT_BREAKS[way]();

await import('../../src/store/sqlite/writer.ts');
