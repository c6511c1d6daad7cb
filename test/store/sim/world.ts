// A whole server's worth of decisions without a server: the writing core on a database in memory, and a clock that a run moves.
// A random step names jobs by number; what it means is worked out against what is there, so that shrinking keeps it meaningful.
import type { Command, NewJob } from '../../../src/domain/commands.ts';
import { DomainError } from '../../../src/domain/errors.ts';
import type { Job } from '../../../src/domain/job.ts';
import type { Outcome } from '../../../src/domain/outcome.ts';
import { DEFAULT_POLICY, type Policies } from '../../../src/domain/policy.ts';
import { type Core, openCore } from '../../../src/store/sqlite/core.ts';
import type { Reply } from '../../../src/store/sqlite/committer.ts';
import { JOB_COLUMNS, type JobRow, toJob } from '../../../src/store/sqlite/job-table.ts';
import { START } from '../../support/clock.ts';

const backoff = { kind: 'fixed', base: 10, cap: 10, jitter: false } as const;
export const SIM_POLICIES: Policies = {
  batch: { ...DEFAULT_POLICY, maxAttempts: 2, backoff, lease: 60 },
  noop: { ...DEFAULT_POLICY, maxAttempts: 2, backoff, lease: 60 },
  timed: { ...DEFAULT_POLICY, maxAttempts: 2, backoff, lease: 60, timeout: 20, ttl: 100, maxInterruptions: 2 },
  orphanPaused: { ...DEFAULT_POLICY, backoff, lease: 60, onOrphan: 'pause' },
  orphanFailed: { ...DEFAULT_POLICY, backoff, lease: 60, onOrphan: 'fail' },
  request: { ...DEFAULT_POLICY, backoff, lease: 60 }, // callbacks
};
export const TYPES = Object.keys(SIM_POLICIES);

export interface Row {
  readonly key: number;
  readonly ready: boolean;
  readonly alarmAt: number | null;
  readonly finalSeq: number | null;
  readonly job: Job;
}

export interface Ev { readonly seq: number; readonly jobId: string; readonly type: string; readonly data: { status?: string; reason?: string } }

/** One core serves many runs: opening costs more than a run. Emptied between them. */
export class World {
  readonly core: Core;
  now = START;
  readonly log: string[] = [];
  #ids = 0;
  readonly #rows;
  readonly #events;

  constructor() {
    this.core = openCore(':memory:', SIM_POLICIES, 'FULL', { random: () => 0.5, newId: () => `job_${++this.#ids}` });
    this.#rows = this.core.db.prepare(`SELECT ${JOB_COLUMNS} FROM job ORDER BY key`).raw(true);
    this.#events = this.core.db.prepare('SELECT e.seq, j.id AS jobId, e.type, e.data FROM event e JOIN job j ON j.key = e.job_key WHERE e.seq > ? ORDER BY e.seq');
  }

  commit(...commands: Command[]): Reply[] {
    this.log.push(...commands.map((command) => `${this.now - START}: ${JSON.stringify(command)}`));
    const replies = this.core.committer.commit(commands.map((command) => ({ command, now: this.now })));
    for (const reply of replies) if ('refusal' in reply) this.log.push(`   refused: ${reply.refusal.code} ${reply.refusal.message}`);
    return replies;
  }

  rows(): Row[] {
    const ids = new Map<number, string>();
    return (this.#rows.all() as JobRow[]).map((row) => {
      ids.set(row[0] as number, row[1] as string);
      return {
        key: row[0] as number, ready: row[11] === 1, alarmAt: row[12] as number | null, finalSeq: row[38] as number | null,
        job: toJob(row, row[3] === null ? null : (ids.get(row[3] as number) ?? '?'), ids.get(row[4] as number) ?? '?'),
      };
    });
  }

  /** After the cursor. */
  events(after: number): Ev[] {
    return (this.#events.all(after) as { seq: number; jobId: string; type: string; data: string }[])
      .map((event) => ({ ...event, data: JSON.parse(event.data ?? '{}') }));
  }

  counts(): { type: string; status: string; n: number }[] {
    return this.core.db.prepare('SELECT type, status, n FROM job_count WHERE n <> 0').all() as { type: string; status: string; n: number }[];
  }

  /** Everything a refused command must leave as it was. */
  fingerprint(): string {
    return JSON.stringify([this.#rows.all(), this.core.db.prepare('SELECT max(seq), count(*) FROM event').raw(true).get(), this.counts()]);
  }

  close(): void { this.core.close(); }
}

/** A step of a run. `at` picks a job by number among those that the step can be about. */
export type Step =
  | { readonly do: 'claim'; readonly type: number; readonly limit: number }
  | { readonly do: 'claimAll' }
  | { readonly do: 'finish'; readonly at: readonly number[]; readonly outcome: Outcome; readonly stale: boolean }
  | { readonly do: 'renew' | 'note'; readonly at: number }
  | { readonly do: 'start' | 'pause' | 'resume' | 'retry' | 'cancel' | 'remove'; readonly at: number }
  | { readonly do: 'edit'; readonly at: number; readonly patch: { ttl?: number | null; deadline?: number | null; timeout?: number | null; sealed?: true; priority?: number } }
  | { readonly do: 'add'; readonly at: number; readonly jobs: readonly NewJob[] }
  | { readonly do: 'tick'; readonly ms: number; readonly spare: boolean }
  | { readonly do: 'recover' };

const pickOne = <T>(list: readonly T[], at: number): T | undefined => (list.length === 0 ? undefined : list[at % list.length]);

/** What a step means now; nothing if there is nothing it could be about. */
export function commandsOf(step: Step, world: World): Command[] {
  const rows = world.rows().map((row) => row.job);
  const leased = rows.filter((job) => job.leaseUntil !== null);
  switch (step.do) {
    case 'claim': return [{ kind: 'claim', worker: 'local', type: TYPES[step.type % TYPES.length] ?? 'noop', limit: step.limit }];
    case 'claimAll': return TYPES.map((type) => ({ kind: 'claim', worker: 'elsewhere', type, limit: 100 }));
    case 'finish': {
      const ended = step.at.flatMap((at) => {
        const job = pickOne(leased, at);
        return job === undefined ? [] : [{ jobId: job.id, epoch: job.leaseEpoch - (step.stale ? 1 : 0), outcome: step.outcome }];
      });
      return ended.length === 0 ? [] : [{ kind: 'finish', ended }];
    }
    case 'renew': {
      const job = pickOne(leased, step.at);
      return job === undefined ? [] : [{ kind: 'renew', leases: [{ jobId: job.id, epoch: job.leaseEpoch }] }];
    }
    case 'note': {
      const job = pickOne(leased, step.at);
      return job === undefined ? [] : [{ kind: 'note', jobId: job.id, epoch: job.leaseEpoch, progress: 0.5, events: [{ type: 'job:log', data: '{"lines":["x"]}' }] }];
    }
    case 'tick': {
      world.now += step.ms;
      return [{ kind: 'tick', limit: 3, spareLeases: step.spare }, { kind: 'tick', limit: 100, spareLeases: step.spare }];
    }
    case 'recover': return [{ kind: 'recover', worker: 'local', limit: 100 }];
    case 'remove': {
      const job = pickOne(rows.filter((one) => one.parentId === null), step.at);
      return job === undefined ? [] : [{ kind: 'remove', jobId: job.id }];
    }
    default: {
      const job = pickOne(rows, step.at);
      if (job === undefined) return [];
      if (step.do === 'edit') return [{ kind: 'edit', jobId: job.id, patch: step.patch }];
      if (step.do === 'add') return [{ kind: 'submit', jobs: step.jobs, parentId: job.id }];
      return [{ kind: step.do, jobId: job.id }];
    }
  }
}

/** A refusal that means a defect: the store could not carry out what the rules decided. */
export const isDefect = (reply: Reply): boolean => 'refusal' in reply && (!(reply.refusal instanceof DomainError) || reply.refusal.code === 'unavailable');
