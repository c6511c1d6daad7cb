// Cores that break their word in one way each: the simulation's negative controls. Nothing in src/ knows of them.
import type { LeaseRef } from '../../src/domain/commands.ts';
import { OneFollower } from '../../src/runtime/follower.ts';
import { Sweeper } from '../../src/runtime/sweeper.ts';
import { JobTable, type JobUpdate } from '../../src/store/sqlite/job-table.ts';
import { Sets } from '../../src/store/sqlite/sets.ts';
import { LogTables } from '../../src/store/sqlite/log-table.ts';
import type { Knobs } from './knobs.ts';
import type { Laws } from './laws.ts';
import type { Commands } from './life.ts';

export interface Break {
  readonly what: string;
  /** What the finding must look like. */
  readonly sign: RegExp;
  readonly apply?: () => () => void;
  /** What brings it about sooner. */
  readonly knobs?: Partial<Knobs>;
  /** In place of the store's chance. */
  readonly random?: () => number;
  readonly tamper?: (task: Commands, laws: Laws) => void;
}

/** One in so many: seldom enough that a look at a few jobs would miss it. */
const EVERY = 20;

function patch<T extends object, K extends keyof T>(where: T, name: K, make: (old: T[K]) => T[K]): () => void {
  const old = where[name];
  where[name] = make(old);
  return () => { where[name] = old; };
}

const patchUpdates = (change: (update: JobUpdate) => JobUpdate): (() => void) => patch(JobTable.prototype, 'update', (old) => function costly(this: JobTable, changes: Iterable<JobUpdate>, now: number) {
  old.call(this, [...changes].map(change), now);
});

export const BREAKS: Readonly<Record<string, Break>> = {
  'epoch-ignored': {
    what: 'whoever once had a lease may write', sign: /^I9/, knobs: { lease: 20, slowDisk: 60_000 },
    tamper: (task, laws) => {
      for (const [i, sent] of task.list.entries()) {
        const { command } = sent;
        const now = <T extends LeaseRef>(ref: T): T => ({ ...ref, epoch: laws.epochOf(ref.jobId) });
        if (command.kind === 'finish') task.list[i] = { ...sent, command: { ...command, ended: command.ended.map(now) } };
        else if (command.kind === 'claim' || command.kind === 'recover') task.list[i] = { ...sent, command: { ...command, worker: 'elsewhere' } }; // whose leases lapse
        else if (command.kind === 'renew') task.list[i] = { ...sent, command: { ...command, leases: command.leases.map(now) } };
      }
    },
  },
  'end-forgotten': {
    what: 'a run ends and nobody writes it down', sign: /^(I7|STUCK)/,
    tamper: (task) => {
      for (const [i, sent] of task.list.entries()) {
        const { command } = sent;
        if (command.kind === 'finish' && sent.id % EVERY === 0) task.list[i] = { ...sent, command: { ...command, ended: command.ended.slice(1) } };
      }
    },
  },
  'recovery-forgets': { what: 'recovery forgets running jobs', sign: /^I6/, apply: () => patch(JobTable.prototype, 'leasedKeys', () => () => []) },
  'deadline-never-fires': {
    what: 'a deadline is no alarm', sign: /^(I7|STUCK)/,
    apply: () => patch(JobTable.prototype, 'dueKeys', (old) => function deaf(this: JobTable, now: number, limit: number) {
      return old.call(this, now, limit).filter((key) => { const at = this.rowByKey(key)?.[18]; return typeof at !== 'number' || at > now; });
    }),
  },
  'sweeper-asleep': { what: 'nothing happens because time passes', sign: /^(I7|STUCK|IDLE)/, apply: () => patch(Sweeper.prototype, 'start', () => () => {}) },
  'follower-skips': {
    what: 'a reader of the log is moved on by one too many', sign: /^HOLE/,
    apply: () => {
      let count = 0;
      return patch(OneFollower.prototype, 'next', (old) => async function hasty(this: OneFollower) {
        const batch = await old.call(this);
        if (batch.count > 0 && (count += 1) % EVERY === 0) this.position += 1;
        return batch;
      });
    },
  },
  'retry-ignores-ttl': {
    what: 'a job that backs off lives for ever', sign: /^I7/,
    apply: () => patchUpdates((update) => (update.job.status === 'retry' ? { ...update, job: { ...update.job, expiresAt: null } } : update)),
  },
  'interruption-burns-a-retry': {
    what: 'a kill costs an attempt of the budget', sign: /^I8/,
    apply: () => patchUpdates((update) => (update.job.interruptions > update.before.job.interruptions ? { ...update, job: { ...update.job, failures: update.job.failures + 1 } } : update)),
  },
  'child-not-let-in': {
    what: 'now and then a waiting child is not let in', sign: /^(I5|STUCK|DEFECT: .*child_waiting)/,
    apply: () => {
      let count = 0;
      return patch(Sets.prototype, 'admit', (old) => function forgetful(this: Sets, parent: number, n: number, now: number) { if ((count += 1) % EVERY !== 0) old.call(this, parent, n, now); });
    },
  },
  'key-forgotten': {
    what: 'no Idempotency-Key is known again', sign: /^I1/,
    apply: () => {
      const undo = [patch(LogTables.prototype, 'known', () => () => null), patch(LogTables.prototype, 'remember', () => () => {})];
      return () => { for (const one of undo) one(); };
    },
  },
  'backoff-too-short': { what: 'it is tried again too soon', sign: /^B5/, random: () => -0.5 },
};
