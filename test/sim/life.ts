// One life of the server: the real parts in the order of app.ts, on simulated ports. It ends by a kill at any moment, by
// its disk, or because it was asked to; what it still wants to do after a kill never happens.
import { LOCAL_WORKER } from '../../src/domain/job.ts';
import type { Policies } from '../../src/domain/policy.ts';
import type { Registry } from '../../src/handlers/handler.ts';
import { Streams } from '../../src/http/stream.ts';
import { finalBody } from '../../src/orchestrator/final.ts';
import { Jobs } from '../../src/orchestrator/jobs.ts';
import { Waiters } from '../../src/orchestrator/wait.ts';
import { Dispatcher } from '../../src/runtime/dispatcher.ts';
import { Feed } from '../../src/runtime/feed.ts';
import { recover, Sweeper } from '../../src/runtime/sweeper.ts';
import { openStore, type SqliteStore } from '../../src/store/sqlite/index.ts';
import type { Report as Message, Sent, Task } from '../../src/store/sqlite/writer.ts';
import type { Store } from '../../src/store/store.ts';
import type { Rng } from '../fault/rng.ts';
import type { Disk } from './disk.ts';
import type { Kernel } from './kernel.ts';
import type { Knobs } from './knobs.ts';
import type { Laws } from './laws.ts';
import type { Net } from './net.ts';
import { createTypes } from './registry.ts';
import type { Trace } from './trace.ts';

/** Runs get this long to end when the server is asked to stop; that of app.ts. */
const STOP_GRACE = 2_000;

export type Commands = Extract<Task, { kind: 'commands' }> & { list: Sent[] };

export interface Ports {
  readonly kernel: Kernel;
  readonly disk: Disk;
  readonly net: Net;
  readonly trace: Trace;
  readonly laws: Laws;
  readonly knobs: Knobs;
  readonly rng: Rng;
  readonly newId: () => string;
  /** In place of the seed's: negative controls. */
  readonly random: (() => number) | undefined;
  /** Changes a message that reaches the writer: negative controls. */
  readonly tamper: ((task: Commands) => void) | undefined;
}

export class Life {
  /** False from the instant of its death. */
  isAlive = true;
  isReady = false;
  /** Messages between the two sides of the store. */
  inFlight = 0;
  policies: Policies = {};
  jobs!: Jobs;
  store!: Store;
  streams!: Streams;
  waiters!: Waiters;
  dispatcher!: Dispatcher;
  readonly #p: Ports;
  readonly #ends: (() => void)[] = [];
  #real: SqliteStore | null = null;
  #feed!: Feed;
  #sweeper!: Sweeper;
  #writerFree = 0;
  #reportFree = 0;
  #carried: Message | null = null;
  #closing: (() => void) | null = null;

  constructor(ports: Ports) {
    this.#p = ports;
  }

  /** ms until the writer has done what was sent to it. */
  get queueTime(): number { return this.isAlive ? Math.max(0, this.#writerFree - this.#p.kernel.mono) : 0; }

  /** Called once, when it has ended however it ended. */
  onEnd(listener: () => void): void {
    if (this.isAlive) this.#ends.push(listener);
    else listener();
  }

  async start(): Promise<void> {
    const { kernel, disk, net, trace, laws, knobs, rng, newId, random } = this.#p;
    const clock = kernel.clockFor(() => this.isAlive, () => (rng.chance(0.1) ? rng.int(1, 15) : 0));
    const registry: Registry = createTypes(net, clock, () => this.isAlive, knobs, rng.fork('handlers'));
    this.policies = Object.fromEntries(Object.entries(registry).map(([type, row]) => [type, row.policy]));
    this.#real = await openStore({
      path: disk.path, clock, policies: this.policies, writer: 'inline', synchronous: 'OFF', chance: { random: random ?? rng.next, newId },
      ...(knobs.queueMax === null ? {} : { queueMax: knobs.queueMax }), carry: (message, deliver) => this.#carry(message, deliver),
    });
    const real = this.#real;
    real.onFailure((error) => { trace.add(`the store failed: ${error.message}`); this.kill(); });
    const limit = knobs.tickLimit;
    this.store = limit === null ? real : {
      ...real, execute: (command) => real.execute(command.kind === 'tick' || command.kind === 'recover' ? { ...command, limit: Math.min(command.limit, limit) } : command),
    };
    const { store } = this;
    const report = {
      warn: (_: unknown, message: string) => { trace.add(`warn: ${message}`); },
      error: (facts: Record<string, unknown>, message: string) => { if (this.isAlive) laws.say(`REPORT: ${message}: ${String(facts['err'])}`); },
    };
    this.jobs = new Jobs(store);
    const orphans = await recover(this.jobs, LOCAL_WORKER);
    trace.add(`recovered ${orphans}`);
    laws.afterRecovery();
    this.waiters = new Waiters(store, clock);
    this.#feed = new Feed({ store, clock, report, ...(knobs.ringEvents === null ? {} : { ringEvents: knobs.ringEvents }) });
    this.dispatcher = new Dispatcher({ store, jobs: this.jobs, registry, clock, report, finalBody: (id) => finalBody(store, id) });
    this.jobs.attach(this.dispatcher);
    this.#sweeper = new Sweeper(store, this.jobs, clock, report);
    this.streams = new Streams({ store, feed: this.#feed, clock });
    this.#feed.start();
    this.dispatcher.start();
    this.#sweeper.start();
    this.isReady = true;
  }

  /** As app.ts stops, and then the process ends. */
  async stop(): Promise<void> {
    this.isReady = false;
    this.dispatcher.pauseClaims();
    await this.#sweeper.stop();
    await Promise.all([this.dispatcher.stop(STOP_GRACE), this.streams.closeAll()]);
    this.waiters.close();
    await this.#feed.stop();
    await this.#real?.close();
    this.#p.trace.add('stopped');
    this.#end();
  }

  /** Dead at once: what was on its way is lost, what was committed stands. */
  kill(): void {
    if (!this.isAlive) return;
    this.#p.trace.add('dies');
    this.isAlive = false;
    void this.#real?.close(); // only lets go of the file: nothing of a dead process is carried any more
    this.#closing?.(); // it died while it was stopping
    this.#end();
  }

  #end(): void {
    this.isAlive = false;
    this.isReady = false;
    this.#p.disk.letGo();
    for (const listener of this.#ends.splice(0)) listener();
  }

  /** In order, each way; the writer does one thing at a time, and a sync takes as long as the disk says. */
  #carry(message: Task | Message, deliver: () => void): void {
    const { kernel, disk, trace, laws, rng, tamper } = this.#p;
    if (!this.isAlive) {
      if (message.kind === 'close' || message.kind === 'closed') deliver();
      return;
    }
    const isReport = message.kind === 'done' || message.kind === 'count' || message.kind === 'closed' || message.kind === 'failed';
    if (isReport) this.#carried = message;
    const now = kernel.mono;
    const at = isReport ? Math.max(this.#reportFree, now + (rng.chance(0.8) ? 0 : rng.int(1, 5)))
      : Math.max(this.#writerFree, now) + (message.kind === 'commands' ? disk.syncTime() : 0);
    if (isReport) this.#reportFree = at;
    else this.#writerFree = at;
    this.inFlight += 1;
    const task = message.kind === 'commands' ? message as Commands : null;
    if (message.kind === 'close' || message.kind === 'closed') this.#closing = deliver;
    kernel.after(at - now, () => {
      if (!this.isAlive) return;
      this.inFlight -= 1;
      if (this.#closing === deliver) this.#closing = null;
      if (task === null) { deliver(); return; }
      trace.add(`commit ${task.list.map(({ command }) => command.kind).join()}`);
      const asked = { ...task, list: [...task.list] };
      tamper?.(task);
      deliver();
      if (this.#carried !== null) laws.committed(asked, this.#carried);
      this.#carried = null;
    });
  }
}
