// A store of its own for a test, and the few calls that most tests of the port make.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, Claim, Command, NewJob } from '../../src/domain/commands.ts';
import type { DomainError, ErrorCode } from '../../src/domain/errors.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { Job, JobStatus } from '../../src/domain/job.ts';
import type { JobRecord, Store, StoredEvent } from '../../src/store/store.ts';
import type { FakeClock } from './clock.ts';
import { WORKER } from './make.ts';

/** A folder that `remove` takes away again. */
export function tempFolder(): { readonly path: string; file(name: string): string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'muster-test-'));
  return { path, file: (name) => join(path, name), remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The port with the verbs of a test. Thin: each is one command or one read. */
export class Bench {
  readonly store: Store;
  readonly clock: FakeClock;

  constructor(store: Store, clock: FakeClock) {
    this.store = store;
    this.clock = clock;
  }

  run(command: Command): Promise<Answer> { return this.store.execute(command); }

  async submit(...jobs: NewJob[]): Promise<Job> {
    const [first] = (await this.run({ kind: 'submit', jobs })).jobs;
    return first!;
  }

  async claim(type = 'noop', limit = 100): Promise<Claim[]> {
    return (await this.run({ kind: 'claim', worker: WORKER, type, limit })).claimed;
  }

  /** Opens the batches that are ready; they have no run of their own. */
  async open(): Promise<void> {
    for (let seen = 1; seen > 0; ) seen = (await this.run({ kind: 'claim', worker: WORKER, type: 'batch', limit: 100 })).seen;
  }

  end(claim: Pick<Claim, 'id' | 'epoch'>, outcome: Outcome): Promise<Answer> {
    return this.run({ kind: 'finish', ended: [{ jobId: claim.id, epoch: claim.epoch, outcome }] });
  }

  done(claim: Pick<Claim, 'id' | 'epoch'>, result: string | null = null): Promise<Answer> { return this.end(claim, { kind: 'done', result }); }

  fail(claim: Pick<Claim, 'id' | 'epoch'>, retryable = false): Promise<Answer> {
    return this.end(claim, { kind: 'fail', error: { code: 'handler_error', message: 'It broke.', retryable } });
  }

  /** Moves the clock and does what is due. Returns the leases taken back. */
  async pass(ms: number, spareLeases = false): Promise<Answer['revoked']> {
    this.clock.advance(ms);
    const revoked: Answer['revoked'] = [];
    for (let seen = 1; seen > 0; ) {
      const answer = await this.run({ kind: 'tick', limit: 100, spareLeases });
      seen = answer.seen;
      revoked.push(...answer.revoked);
    }
    return revoked;
  }

  async record(id: string): Promise<JobRecord> {
    const record = await this.store.job(id);
    if (record === null) throw new Error(`no job ${id}`);
    return record;
  }

  async job(id: string): Promise<Job> { return (await this.record(id)).job; }
  async status(id: string): Promise<JobStatus> { return (await this.job(id)).status; }

  /** Children by ordinal. */
  async children(id: string): Promise<Job[]> {
    return (await this.store.children(id, null, null, 10_000)).items.map((item) => item.job);
  }

  async statuses(id: string): Promise<JobStatus[]> { return (await this.children(id)).map((child) => child.status); }
  events(id: string): Promise<readonly StoredEvent[]> { return this.store.events({ jobId: id }, 0, 100_000); }
}

/** The refusal of a command that must be refused. */
export async function refusal(promise: Promise<unknown>): Promise<DomainError> {
  try {
    await promise;
  } catch (error) {
    return error as DomainError;
  }
  throw new Error('The command was not refused.');
}

export const codeOf = async (promise: Promise<unknown>): Promise<ErrorCode> => (await refusal(promise)).code;
