// A dispatcher and a sweeper over a real store in memory, on a clock that stands still, with handlers that end when told.
import type { Answer, Claim, Command } from '../../src/domain/commands.ts';
import type { Clock } from '../../src/domain/clock.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { DEFAULT_POLICY } from '../../src/domain/policy.ts';
import type { HandlerContext, Registry } from '../../src/handlers/handler.ts';
import { Jobs } from '../../src/orchestrator/jobs.ts';
import { Dispatcher } from '../../src/runtime/dispatcher.ts';
import type { Report } from '../../src/runtime/service.ts';
import { Sweeper } from '../../src/runtime/sweeper.ts';
import { openStore } from '../../src/store/sqlite/index.ts';
import type { Store } from '../../src/store/store.ts';
import { FakeClock } from '../support/clock.ts';
import { Bench } from '../support/store.ts';

/** A handler at work: what it was given, and the way to end it. */
export interface Call {
  readonly claim: Claim;
  readonly context: HandlerContext;
  end(outcome?: Outcome): void;
  break(error: unknown): void;
}

const DONE: Outcome = { kind: 'done', result: null };
/** Turns of the event loop that a chain of commits and answers takes at most. A bound, not a wait: everything here is in memory. */
const TURNS = 60;

export interface Rig extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly bench: Bench;
  readonly dispatcher: Dispatcher;
  readonly sweeper: Sweeper;
  readonly calls: Call[];
  /** Commands that reached the store, by kind. */
  readonly sent: Command[];
  readonly errors: string[];
  /** Stands between the verbs and the store, for faults. */
  execute: (command: Command, next: (command: Command) => Promise<Answer>) => Promise<Answer>;
  /** Lets everything that can happen now happen. */
  rest(): Promise<void>;
  /** Moves the clock and lets things happen. */
  pass(ms: number): Promise<void>;
}

export async function rig(options: { concurrency?: number; grab?: boolean; /** The clock that the parts get; default: the one that tests move. */ time?: (clock: FakeClock) => Clock } = {}): Promise<Rig> {
  const clock = new FakeClock();
  const time = options.time?.(clock) ?? clock;
  const calls: Call[] = [];
  const sent: Command[] = [];
  const errors: string[] = [];
  const run = (claim: Claim, context: HandlerContext): Promise<Outcome> => new Promise((resolve, reject) => {
    calls.push({ claim, context, end: (outcome = DONE) => resolve(outcome), break: reject });
  });
  const row = { policy: { ...DEFAULT_POLICY, maxAttempts: 2 }, concurrency: options.concurrency ?? 3, run };
  const registry: Registry = {
    noop: row, once: row, batch: { ...row, concurrency: 100 }, timed: { ...row, policy: { ...row.policy, timeout: 5_000 } },
    throws: { ...row, run: () => { throw new Error('at once'); } },
  };
  const policies = Object.fromEntries(Object.entries(registry).map(([type, { policy }]) => [type, policy]));
  const real = await openStore({ path: ':memory:', clock: time, policies, writer: 'inline' });
  const report: Report = { warn: (_, message) => errors.push(message), error: (facts, message) => errors.push(`${message}: ${String(facts.err)}`) };
  const made = {
    execute: (command: Command, next: (command: Command) => Promise<Answer>): Promise<Answer> => next(command),
  };
  const store: Store = { ...real, execute: (command) => { sent.push(command); return made.execute(command, (one) => real.execute(one)); } };
  const jobs = new Jobs(store);
  const dispatcher = new Dispatcher({ store, jobs, registry, clock: time, report, finalBody: () => Promise.resolve(null) });
  jobs.attach(dispatcher);
  const sweeper = new Sweeper(store, jobs, time, report, () => dispatcher.unheard());
  const rest = async (): Promise<void> => {
    for (let i = 0; i < TURNS; i++) await new Promise(setImmediate);
  };
  return Object.assign(made, {
    clock, store, jobs, bench: new Bench(real, clock), dispatcher, sweeper, calls, sent, errors, rest,
    pass: async (ms: number) => { clock.advance(ms); await rest(); },
    [Symbol.asyncDispose]: async () => {
      for (const call of calls) call.end();
      await sweeper.stop();
      await dispatcher.stop();
      await real.close();
    },
  });
}
