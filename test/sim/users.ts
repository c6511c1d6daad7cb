// The clients: they submit, control, delete, wait and read, write down what they ask before they ask it, and repeat what got
// no answer under its key. The ledger is the fault harness's, and so is what it is held against.
import { DomainError } from '../../src/domain/errors.ts';
import { isFinal } from '../../src/domain/job.ts';
import type { Ledger, Submission, Verb } from '../fault/ledger.ts';
import type { Rng } from '../fault/rng.ts';
import type { Kernel } from './kernel.ts';
import type { Laws } from './laws.ts';
import type { Life } from './life.ts';
import { drawChild, drawLoad, type Load, toJobs } from './load.ts';

/** Jobs acted on: the most recent. */
const RECENT = 60;

type Answer<T> = { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'refused'; readonly code: string } | { readonly kind: 'lost' };

export interface UsersDeps {
  readonly kernel: Kernel;
  readonly rng: Rng;
  readonly ledger: Ledger;
  readonly laws: Laws;
  readonly life: () => Life;
  readonly lostAnswers: number;
  readonly watch: (jobId: string) => void;
}

/** As HTTP would have it. */
const STATUS: Readonly<Record<string, number>> = { not_found: 404, conflict: 409, sealed: 409, lease_lost: 409, idempotency_mismatch: 422, invalid: 422, too_large: 422 };

export class Users {
  readonly #d: UsersDeps;
  readonly #open = new Set<string>();
  readonly #roots: string[] = [];
  readonly #recent: string[] = [];
  readonly #doomed = new Set<string>();
  readonly #busy = new Map<string, number>();
  readonly #loads = new Map<string, Load>();
  #unanswered: Submission[] = [];

  constructor(deps: UsersDeps) {
    this.#d = deps;
    deps.laws.onJob = (id) => {
      this.#recent.push(id);
      if (this.#recent.length > RECENT) this.#recent.shift();
    };
  }

  get unanswered(): number { return this.#unanswered.length; }

  /** One thing that a client does. Never rejects. */
  async act(): Promise<void> {
    const { rng, ledger } = this.#d;
    if (!this.#d.life().isReady) return;
    if (this.#unanswered.length > 0 && rng.chance(0.7)) return this.again();
    switch (rng.weighted({ submit: 30, child: 8, verb: 34, remove: 6, wait: 6, repeat: 4 })) {
      case 'submit': return this.#submit(drawLoad(rng, ledger.nextToken()));
      case 'child': {
        const parents = [...this.#open].slice(-5);
        return parents.length === 0 ? undefined : this.#submit(drawChild(rng, ledger.nextToken(), rng.pick(parents)));
      }
      case 'verb': return this.#verb();
      case 'remove': return this.#remove();
      case 'wait': return this.#wait();
      case 'repeat': {
        const known = [...ledger.submissions.values()].slice(-20).filter(({ key, ids }) => key !== null && ids !== null);
        return known.length === 0 ? undefined : this.#send(rng.pick(known));
      }
    }
  }

  /** What got no answer is asked again. */
  async again(): Promise<void> {
    const submission = this.#unanswered.shift();
    if (submission !== undefined) await this.#send(submission);
  }

  #submit(load: Load): Promise<void> {
    const { rng } = this.#d;
    const token = /"tags":\["(t\d+)"/.exec(JSON.stringify(load.jobs))?.[1] ?? '';
    this.#loads.set(token, load);
    return this.#send({ token, size: load.size, key: rng.chance(0.6) ? `key-${token}` : null, call: { path: '/api/jobs', body: load.jobs }, tries: 0, ids: null, refused: false });
  }

  async #send(submission: Submission): Promise<void> {
    const { ledger, laws, kernel, rng } = this.#d;
    const load = this.#loads.get(submission.token);
    if (load === undefined) return;
    ledger.submit(submission);
    const { key } = submission;
    const answer = await this.#ask((life) => life.jobs.submit(toJobs(load, kernel.wall), {
      ...(load.parentId === undefined ? {} : { parentId: load.parentId }),
      ...(key === null ? {} : { idempotency: { scope: 'users', key, bodyHash: submission.token } }),
    }));
    if (answer.kind === 'lost' || (answer.kind === 'refused' && STATUS[answer.code] === undefined)) {
      if (key !== null && submission.ids === null) this.#unanswered.push(submission);
      return;
    }
    if (answer.kind === 'refused') {
      // A key whose first try went through without an answer is answered from then on; what is refused was never there.
      if (submission.ids !== null || (answer.code !== 'conflict' && answer.code !== 'sealed' && answer.code !== 'not_found')) laws.say(`I1: ${submission.token} was refused with ${answer.code}`);
      else if (submission.tries === 1) ledger.refused(submission, 409);
      return;
    }
    const { jobs, replayed } = answer.value;
    const ids = replayed ?? jobs.map(({ id }) => id);
    if (replayed !== null && submission.tries === 1) laws.say(`I1: the first use of ${key} was answered as a repetition`);
    if (submission.ids !== null && submission.ids.join() !== ids.join()) laws.say(`I1: ${key} stood for ${submission.ids.join()}, then for ${ids.join()}`);
    const isNew = submission.ids === null;
    ledger.submitted(submission, ids);
    if (!isNew) return;
    const [id = ''] = ids;
    if (load.isOpen) this.#open.add(id);
    if (load.parentId === undefined && ids.length === 1) this.#roots.push(id); // of several only all would leave nothing half there
    if (rng.chance(0.15)) this.#d.watch(id);
  }

  async #verb(): Promise<void> {
    const { rng } = this.#d;
    if (this.#recent.length === 0) return;
    const verb = rng.weighted({ cancel: 3, pause: 3, resume: 4, retry: 4, start: 3, edit: 3 });
    const fits: Record<typeof verb, readonly string[]> = {
      cancel: ['queued', 'running', 'retry', 'paused'], pause: ['queued', 'running', 'retry'], resume: ['paused'], retry: ['failed', 'cancelled', 'retry'], start: ['queued', 'retry'],
      edit: ['queued', 'running', 'retry', 'paused'],
    };
    // Mostly one that it may do something to.
    const list = this.#recent.filter((id) => rng.chance(0.1) || fits[verb].includes(this.#d.laws.status.get(id) ?? ''));
    if (list.length > 0) await this.deed(verb, rng.pick(list));
  }

  /** @param isLast also on what was to be removed and, as nobody heard, was not */
  async deed(verb: Exclude<Verb, 'delete'>, jobId: string, isLast = false): Promise<void> {
    const { ledger, rng } = this.#d;
    if (this.#doomed.has(jobId) && !isLast) return;
    const mark = verb === 'cancel' ? `cancel ${ledger.deeds.length}` : '';
    const deed = ledger.deed(verb, jobId, { mark });
    this.#busy.set(jobId, (this.#busy.get(jobId) ?? 0) + 1);
    const answer = await this.#ask((life) => {
      if (verb === 'cancel') return life.jobs.cancel(jobId, mark);
      if (verb !== 'edit') return life.jobs.verb(verb, jobId);
      return life.jobs.edit(jobId, rng.pick<() => object>([
        () => ({ priority: rng.int(1, 10) }), () => ({ deadline: rng.chance(0.3) ? null : this.#age(jobId) + rng.int(100, 60_000) }), () => ({ timeout: rng.int(500, 9_000) }),
        () => ({ ttl: rng.chance(0.3) ? null : Math.max(1, this.#age(jobId) + rng.int(-5_000, 60_000)) }),
      ])());
    });
    this.#busy.set(jobId, (this.#busy.get(jobId) ?? 1) - 1);
    ledger.done(deed, this.#statusOf(answer, 200));
  }

  /** Gives an open batch its end. */
  async seal(jobId: string): Promise<void> {
    const deed = this.#d.ledger.deed('edit', jobId);
    this.#d.ledger.done(deed, this.#statusOf(await this.#ask((life) => life.jobs.edit(jobId, { sealed: true })), 200));
  }

  async #remove(): Promise<void> {
    const { rng, ledger, laws } = this.#d;
    const ended = this.#roots.slice(-RECENT).filter((id) => !this.#doomed.has(id) && ['completed', 'failed', 'cancelled'].includes(laws.status.get(id) ?? ''));
    if (ended.length === 0) return;
    const jobId = rng.pick(ended);
    const members = [...(laws.members.get(jobId) ?? [jobId])];
    if (members.some((id) => (this.#busy.get(id) ?? 0) > 0)) return;
    for (const id of members) this.#doomed.add(id); // nobody acts on it any more, so that what becomes of it is plain
    const deed = ledger.deed('delete', jobId, { members });
    ledger.done(deed, this.#statusOf(await this.#ask((life) => life.jobs.remove(jobId)), 204));
    if (deed.status === 409) for (const id of members) this.#doomed.delete(id);
  }

  async #wait(): Promise<void> {
    const { rng, laws, kernel } = this.#d;
    if (this.#recent.length === 0) return;
    const id = rng.pick(this.#recent);
    const ms = rng.int(1, 20_000);
    const since = kernel.mono;
    const answer = await this.#ask((life) => life.waiters.wait(id, ms));
    if (answer.kind !== 'ok' || answer.value === null || isFinal(answer.value.job.status)) return;
    if (kernel.mono - since < ms && this.#d.life().isReady) laws.say(`WAIT: a wait of ${ms} ms for ${id} came back after ${kernel.mono - since} ms, and it is ${answer.value.job.status}`);
  }

  /** These clocks count from creation. */
  #age(jobId: string): number {
    const { laws, kernel } = this.#d;
    return Math.max(0, kernel.wall - Number(laws.db.prepare('SELECT created_at FROM job WHERE id = ?').pluck().get(jobId) ?? kernel.wall));
  }

  #statusOf(answer: Answer<unknown>, done: number): number {
    return answer.kind === 'ok' ? done : answer.kind === 'lost' ? 503 : (STATUS[answer.code] ?? 503); // 503: it may have happened or not
  }

  /** Asks the server that is there now; a dead one never answers. */
  #ask<T>(what: (life: Life) => Promise<T>): Promise<Answer<T>> {
    const { rng, lostAnswers } = this.#d;
    const life = this.#d.life();
    if (!life.isReady) return Promise.resolve({ kind: 'lost' });
    const isLost = rng.chance(lostAnswers);
    return new Promise((resolve) => {
      life.onEnd(() => resolve({ kind: 'lost' }));
      what(life).then(
        (value) => resolve(isLost ? { kind: 'lost' } : { kind: 'ok', value }),
        (error: unknown) => {
          if (!(error instanceof DomainError)) this.#d.laws.say(`DEFECT: ${String(error)}`);
          resolve({ kind: 'refused', code: error instanceof DomainError ? error.code : 'defect' });
        },
      );
    });
  }
}
