// The typed poller: claims what is ready, per type and within its limit, runs it and reports what came of it.
// Woken by commits; never polls. Claims and ends of one turn travel together and share one commit.
import type { Claim, Ended, LeaseRef } from '../domain/commands.ts';
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import { LOCAL_WORKER } from '../domain/job.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { FinalBody, Registry } from '../handlers/handler.ts';
import type { Capacity, TypeCapacity } from '../orchestrator/capacity.ts';
import type { Jobs, Runner } from '../orchestrator/jobs.ts';
import type { Store } from '../store/store.ts';
import { Running } from './running.ts';
import type { Report, Service } from './service.ts';
import { type Slot, Slots } from './slots.ts';

/** One claim: large enough to share a commit well (a tenth less of the writer than 250), small enough that running its answer takes 2 ms. */
const CLAIM_MAX = 500;
/** Claims of one type under way: one being written while the answer of the other is being run. */
const CLAIMS_IN_FLIGHT = 2;
/** A third of the shortest lease in use (30 s): two renewals may be lost before a lease is. */
const RENEW_EVERY = 10_000;
/** A claim answered later than this begins its attempts anew: what the disk took is not taken off their time. */
const LATE = 250;
/** On a full disk ends that could not be written are tried again. */
const RETRY_AFTER = 1_000;

/** No clock takes our own leases back, so we do: as for a worker that went silent, the attempt is lost and another may follow. */
const UNWRITTEN: Outcome = { kind: 'interrupted', reason: 'The end of this attempt could not be written.', lost: true };
const STOPPED: Outcome = { kind: 'interrupted', reason: 'The server stopped while this ran.' };

export interface DispatcherOptions {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly report: Report;
  readonly finalBody: (id: string) => Promise<FinalBody | null>;
  /** Limits that differ from the registry's. */
  readonly concurrency?: Readonly<Record<string, number>>;
  /** Told of every run that ended and counted, for metrics. */
  readonly onEnded?: (type: string, outcome: Outcome['kind'], ms: number) => void;
}

export class Dispatcher implements Service, Runner, Capacity {
  readonly #o: DispatcherOptions;
  readonly #slots = new Slots();
  #ended: Ended[] = [];
  #flushing = false;
  /** Runs whose end was refused for good: nothing of them is here any more, and their leases still stand. */
  #unwritten: Ended[] = [];
  /** Ends sent and not yet on disk. */
  #ending = 0;
  /** When each claim under way was sent, oldest first. */
  readonly #sent = new Set<{ readonly at: number }>();
  #active = false;
  #cutOff = false;
  #stopCommit: (() => void) | null = null;
  #stopRenew: (() => void) | null = null;
  #idle: (() => void)[] = [];

  constructor(options: DispatcherOptions) {
    this.#o = options;
    for (const [type, row] of Object.entries(options.registry)) {
      this.#slots.set(type, { limit: options.concurrency?.[type] ?? row.concurrency, asked: 0, claims: 0, again: false, running: new Map() });
    }
  }

  start(): void {
    if (this.#active) return;
    this.#active = true;
    this.#cutOff = false;
    this.#stopCommit = this.#o.store.onCommit(() => this.#look(this.#slots.keys()));
    this.#renewLater();
    this.nudge(this.#slots.keys());
  }

  /** Stops claiming, gives what runs `grace` ms to end by itself, then interrupts it (which burns no retry). */
  async stop(grace = 0): Promise<void> {
    this.pauseClaims();
    this.#stopRenew?.();
    const patience = grace > 0 ? this.#o.clock.after(grace, () => this.#interruptAll()) : null;
    if (patience === null) this.#interruptAll();
    await this.#whenIdle();
    patience?.();
  }

  /** Takes no more work; what runs goes on. */
  pauseClaims(): void {
    this.#active = false;
    this.#stopCommit?.();
    this.#stopCommit = null;
  }

  // Runner
  nudge(types: Iterable<string>): void {
    for (const type of types) this.#claim(type);
  }

  revoke(leases: readonly LeaseRef[]): void { this.#slots.revoke(leases); }
  ask(leases: readonly LeaseRef[]): void { this.#slots.ask(leases); }

  /** When the oldest claim was sent whose answer has not come; its attempts have not begun. */
  unheard(): number | null {
    for (const { at } of this.#sent) return at;
    return null;
  }

  // Capacity
  list(): TypeCapacity[] {
    return [...this.#slots].map(([type, { limit, running }]) => ({ type, limit, running: running.size }));
  }

  set(type: string, limit: number): void {
    const slot = this.#slots.get(type);
    if (slot === undefined) throw new DomainError('not_found', `There is no job type ${type}.`, { types: [...this.#slots.keys()] });
    slot.limit = limit;
    this.#claim(type);
  }

  /** After every commit, so one read for all of them: for five types 4 µs, one by one 15. */
  #look(types: Iterable<string>): void {
    const roomy: string[] = [];
    for (const type of types) {
      const slot = this.#slots.get(type);
      if (slot === undefined) continue;
      if (slot.claims > 0) slot.again = true;
      else if (slot.running.size < slot.limit) roomy.push(type); // else whoever ends looks again
    }
    if (roomy.length === 0) return;
    this.#o.store.readyTypes(roomy).then((ready) => this.nudge(ready), () => {}); // a failed read stops the process elsewhere
  }

  #claim(type: string): void {
    const slot = this.#slots.get(type);
    if (!this.#active || slot === undefined || slot.claims >= CLAIMS_IN_FLIGHT) return;
    const limit = Math.min(CLAIM_MAX, slot.limit - slot.running.size - slot.asked);
    if (limit <= 0) return;
    slot.asked += limit;
    slot.claims += 1;
    const sent = { at: this.#o.clock.now() };
    this.#sent.add(sent);
    this.#o.jobs.execute({ kind: 'claim', worker: LOCAL_WORKER, type, limit }).then((answer) => {
      slot.asked -= limit;
      slot.claims -= 1;
      this.#sent.delete(sent);
      if (answer.claimed.length > 0 && this.#o.clock.now() - sent.at > LATE) {
        this.#renew(answer.claimed.map(({ id, epoch }) => ({ jobId: id, epoch })), true);
      }
      for (const claim of answer.claimed) if (!this.#slots.isGone(claim)) this.#run(slot, claim);
      this.#slots.answered();
      if (answer.seen === limit) this.#claim(type); // a full page: there may be more
      else if (slot.again && slot.claims === 0) {
        slot.again = false;
        this.#look([type]);
      }
      this.#checkIdle();
    }, (error: unknown) => {
      slot.asked -= limit;
      slot.claims -= 1;
      this.#sent.delete(sent);
      this.#failed(error, 'claim');
    });
  }

  #run(slot: Slot, claim: Claim): void {
    const { clock, jobs, registry } = this.#o;
    const isOutside = registry[claim.type]?.policy.onOrphan === 'adopt'; // what runs outside stays as a dead process would leave it
    if (this.#cutOff) return isOutside ? undefined : this.#finish({ jobId: claim.id, epoch: claim.epoch, outcome: STOPPED }); // claimed while stopping
    const run: Running = new Running(claim, clock, (note) => {
      jobs.execute({ kind: 'note', jobId: claim.id, epoch: claim.epoch, events: note.events, ...(note.progress === undefined ? {} : { progress: note.progress }) })
        .catch((error: unknown) => this.#failed(error, 'note'));
    }, { finalBody: this.#o.finalBody, keep: async (keep) => { await jobs.execute({ kind: 'keep', jobId: claim.id, epoch: claim.epoch, keep }); } });
    slot.running.set(claim.id, run);
    if (this.#slots.wasAsked(claim)) run.ask();
    const end = (outcome: Outcome): void => {
      run.end();
      if (slot.running.get(claim.id) === run) slot.running.delete(claim.id);
      if (!run.revoked) {
        this.#o.onEnded?.(claim.type, outcome.kind, clock.monotonic() - run.since);
        this.#finish({ jobId: claim.id, epoch: claim.epoch, outcome });
      } else {
        this.#claim(claim.type);
        this.#checkIdle();
      }
    };
    const broken = (error: unknown): void => end({ kind: 'fail', error: { code: 'handler_error', message: error instanceof Error ? error.message : String(error), retryable: true } });
    try {
      registry[claim.type]?.run(claim, run.context).then(end, broken);
    } catch (error) {
      broken(error);
    }
  }

  #finish(ended: Ended): void {
    this.#ended.push(ended);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#o.clock.turn(() => this.#flush());
  }

  /** Ends of this turn and the claims that fill their places, in one message. */
  #flush(): void {
    this.#flushing = false;
    const list = this.#ended;
    this.#ended = [];
    if (list.length === 0) return;
    this.#send(list);
    for (const type of this.#slots.keys()) this.#claim(type);
  }

  #send(list: readonly Ended[]): void {
    this.#ending += 1;
    this.#o.jobs.execute({ kind: 'finish', ended: list }).then(() => {
      this.#ending -= 1;
      this.#checkIdle();
    }, (error: unknown) => {
      this.#ending -= 1;
      // While stopping, ends for which there is no room are left to the next start, which takes the jobs up as after a kill.
      if (error instanceof DomainError && (error.code === 'overloaded' || (error.code === 'storage_full' && !this.#cutOff))) {
        this.#ended.push(...list);
        this.#flushing = true;
        this.#o.clock.after(RETRY_AFTER, () => this.#flush());
      } else if (error instanceof DomainError && (error.code === 'unavailable' || error.code === 'damaged') && list.length > 1 && ['ok', 'stalled'].includes(this.#o.store.health())) {
        for (const ended of list) this.#send([ended]); // one of them cannot be written: its neighbours can
      } else {
        if (!(error instanceof DomainError && error.code === 'damaged')) this.#unwritten.push(...list.map(({ jobId, epoch }) => ({ jobId, epoch, outcome: UNWRITTEN })));
        this.#failed(error, 'finish');
      }
    });
  }

  /** Until it is written, or the store says that the lease is over. (A row that cannot be read is no run's any more.) */
  #giveBack(): void {
    const list = this.#unwritten;
    this.#unwritten = [];
    if (list.length > 0) this.#send(list);
  }

  #renewLater(): void {
    this.#stopRenew = this.#o.clock.after(RENEW_EVERY, () => {
      const before = this.#o.clock.monotonic() - RENEW_EVERY / 2;
      const leases = [...this.#slots.values()].flatMap((slot) => [...slot.running.values()])
        .filter((run) => !run.revoked && run.since <= before)
        .map(({ claim }) => ({ jobId: claim.id, epoch: claim.epoch }));
      if (leases.length > 0) this.#renew(leases, false);
      this.#giveBack();
      this.#renewLater();
    });
  }

  #renew(leases: readonly LeaseRef[], begin: boolean): void {
    this.#o.jobs.execute({ kind: 'renew', leases, begin }).catch((error: unknown) => this.#failed(error, 'renew'));
  }

  #interruptAll(): void {
    const { registry } = this.#o;
    this.#cutOff = true;
    for (const slot of this.#slots.values()) {
      for (const run of slot.running.values()) {
        slot.running.delete(run.claim.id); // also one that does not hear that its lease is gone: nobody waits for it
        if (run.revoked) continue;
        run.end();
        run.revoked = true; // what the handler still answers no longer counts
        run.abort('The server is stopping.');
        if (registry[run.claim.type]?.policy.onOrphan === 'adopt') continue; // its work goes on; the next start takes it up again
        this.#finish({ jobId: run.claim.id, epoch: run.claim.epoch, outcome: STOPPED });
      }
    }
    this.#checkIdle();
  }

  #whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#checkIdle();
    });
  }

  #checkIdle(): void {
    if (this.#active || this.#ended.length > 0 || this.#ending > 0 || [...this.#slots.values()].some((slot) => slot.running.size > 0 || slot.claims > 0)) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #failed(error: unknown, what: string): void {
    this.#checkIdle();
    if (error instanceof DomainError && ['lease_lost', 'unavailable', 'storage_full', 'not_found'].includes(error.code)) return;
    this.#o.report.error({ err: error, what }, `The dispatcher's ${what} failed`);
  }
}
