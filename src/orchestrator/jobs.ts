// The verbs everyone shares: every dialect and the runtime change jobs through here, and only here.
import type { Answer, Command, IdempotencyClaim, JobPatch, LeaseRef, NewJob } from '../domain/commands.ts';
import { DomainError } from '../domain/errors.ts';
import type { Grant, GrantUse, NewGrant } from '../domain/grant.ts';
import type { Job } from '../domain/job.ts';
import type { JobRecord, Store } from '../store/store.ts';

export interface Submitted {
  /** The roots of what was sent, as committed. Empty when replayed. */
  readonly jobs: readonly Job[];
  /** The idempotency key was known: ids of the jobs it stands for; nothing was added. */
  readonly replayed: readonly string[] | null;
}

export type Verb = 'start' | 'pause' | 'resume' | 'retry';

/** What a running process adds to the verbs; the dispatcher. */
export interface Runner {
  /** Work of these types was just added or freed: claim in the same turn, so that it shares the commit. */
  nudge(types: Iterable<string>): void;
  /** These leases are gone: stop working on them. */
  revoke(leases: readonly LeaseRef[]): void;
  /** These were asked to end: stop them; what they then answer still counts. */
  ask(leases: readonly LeaseRef[]): void;
}
const NO_RUNNER: Runner = { nudge() {}, revoke() {}, ask() {} };

export class Jobs {
  readonly #store: Store;
  #runner: Runner = NO_RUNNER;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Tied once by the composition root. */
  attach(runner: Runner): void {
    this.#runner = runner;
  }

  /** @throws DomainError when refused; nothing has changed then. */
  async execute(command: Command): Promise<Answer> {
    const answer = await this.#store.execute(command);
    if (answer.revoked.length > 0) this.#runner.revoke(answer.revoked);
    if (answer.stopping.length > 0) this.#runner.ask(answer.stopping);
    return answer;
  }

  /** Adds jobs or trees, all or nothing; resolves when they are on disk. */
  async submit(jobs: readonly NewJob[], options: { parentId?: string; idempotency?: IdempotencyClaim; under?: GrantUse } = {}): Promise<Submitted> {
    const done = this.execute({ kind: 'submit', jobs, parentId: options.parentId, idempotency: options.idempotency, under: options.under });
    this.#runner.nudge(new Set(jobs.map((job) => job.type)));
    const answer = await done;
    return { jobs: answer.jobs, replayed: answer.replayed };
  }

  async verb(verb: Verb, jobId: string): Promise<void> {
    await this.execute({ kind: verb, jobId });
  }

  async cancel(jobId: string, reason?: string): Promise<void> {
    await this.execute({ kind: 'cancel', jobId, reason });
  }

  async edit(jobId: string, patch: JobPatch): Promise<void> {
    await this.execute({ kind: 'edit', jobId, patch });
  }

  async remove(jobId: string): Promise<void> {
    await this.execute({ kind: 'remove', jobId });
  }

  /** @throws DomainError conflict */
  async grant(grant: NewGrant): Promise<Grant> {
    return granted(await this.execute({ kind: 'grant', grant }));
  }

  /** @throws DomainError not_found */
  async revoke(grantId: number): Promise<Grant> {
    return granted(await this.execute({ kind: 'revoke', grantId }));
  }

  /** @throws DomainError not_found */
  async get(jobId: string): Promise<JobRecord> {
    const record = await this.#store.job(jobId);
    if (record === null) throw new DomainError('not_found', `There is no job ${jobId}.`, { hint: 'Check the id; a deleted job is gone for good.' });
    return record;
  }
}

function granted({ grant }: Answer): Grant {
  if (grant === null) throw new Error('a grant answered none');
  return grant;
}
