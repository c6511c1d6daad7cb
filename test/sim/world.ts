// One seed: a server in one life after the other, its users, participants, watchers and disk, for so many simulated
// minutes; then everything is let go, and nothing may be left over.
import { writeFileSync } from 'node:fs';
import { DomainError } from '../../src/domain/errors.ts';
import { openCore } from '../../src/store/sqlite/core.ts';
import { checkDatabase, readPicture } from '../fault/check.ts';
import { checkOutside, checkRest } from '../fault/check-ledger.ts';
import { Ledger } from '../fault/ledger.ts';
import { createRng, type Rng } from '../fault/rng.ts';
import { Disk } from './disk.ts';
import { Kernel, Livelock } from './kernel.ts';
import { drawKnobs, type Knobs } from './knobs.ts';
import { Laws } from './laws.ts';
import { Life, type Commands } from './life.ts';
import { Net } from './net.ts';
import { Trace } from './trace.ts';
import { Users } from './users.ts';
import { Watcher } from './watchers.ts';

/** Acts of all users together: about 120 jobs in ten minutes, so that 2,000 seeds take about a quarter of an hour. */
const MEAN_BETWEEN_ACTS = 6_000;
/** What is disturbed may take this long to be as it was: the sweeper's longest nap (60 s), and some. */
const RECOVERS_IN = 70_000;
const REST_EVERY = 2_000;
/** Rounds of half a minute in which everything must come to its end. The longest job takes two minutes, ten times interrupted. */
const SETTLE_ROUNDS = 60;
const SETTLE_ROUND = 30_000;
/** A supervisor kills after ten seconds; a stop that takes this long hangs. */
const STOP_MAX = 60_000;

export interface Options {
  readonly seed: string;
  readonly minutes: number;
  readonly say?: ((line: string) => void) | undefined;
  readonly tamper?: ((task: Commands, laws: Laws) => void) | undefined;
  readonly random?: (() => number) | undefined;
  /** In place of what the seed draws. */
  readonly knobs?: Partial<Knobs> | undefined;
}

export interface Outcome {
  readonly violations: readonly string[];
  readonly digest: string;
  readonly last: readonly string[];
  readonly figures: { jobs: number; events: number; deaths: number; stops: number; harms: number; calls: number; steps: number; virtualMs: number };
}

export class World {
  readonly kernel = new Kernel();
  readonly trace: Trace;
  readonly knobs: Knobs;
  readonly laws: Laws;
  readonly net: Net;
  readonly disk = new Disk();
  readonly ledger = new Ledger('/dev/null');
  readonly #rng: Rng;
  readonly #options: Options;
  readonly #users: Users;
  readonly #firehose: Watcher;
  readonly #watchers: Watcher[] = [];
  readonly #downtime: { from: number; to: number }[] = [];
  readonly #figures = { deaths: 0, stops: 0, harms: 0 };
  #life!: Life;
  #lives = 0;
  #jobs = 0;
  #disturbed = 0;
  #restAt = 0;
  #isSettling = false;
  /** Windows of a slow disk that are open. */
  #slow = 0;
  #usualSync = (): number => 2;

  constructor(options: Options) {
    this.#options = options;
    this.#rng = createRng(`sim ${options.seed}`);
    const rng = this.#rng;
    this.trace = new Trace(this.kernel, options.say ?? null);
    this.knobs = { ...drawKnobs(rng.fork('knobs')), ...options.knobs };
    this.trace.add(JSON.stringify(this.knobs));
    this.net = new Net(this.kernel, rng.fork('net'), this.trace, this.knobs.badCalls);
    writeFileSync(this.disk.path, '');
    openCore(this.disk.path, {}, 'OFF').close(); // those who only read need a file
    this.laws = new Laws(this.disk.path, { kernel: this.kernel, trace: this.trace, net: this.net, policies: () => this.#life.policies });
    this.#firehose = this.#watcher(null);
    this.#users = new Users({
      kernel: this.kernel, rng: rng.fork('users'), ledger: this.ledger, laws: this.laws, life: () => this.#life, lostAnswers: this.knobs.lostAnswers,
      watch: (jobId) => { this.#watchers.push(this.#watcher(jobId)); },
    });
  }

  async run(): Promise<Outcome> {
    const end = this.#options.minutes * 60_000;
    try {
      this.kernel.onQuiet = () => this.#look();
      this.#boot();
      this.#harms();
      this.#act(this.#rng.fork('acts'));
      this.#reconnect(this.#rng.fork('reconnect'));
      await this.#until(end);
      await this.#settle();
    } catch (error) {
      if (!(error instanceof Livelock)) throw error;
      this.laws.say(`LIVELOCK: ${error.message}`);
    } finally {
      this.#life.kill();
      await this.kernel.run(this.kernel.mono);
      this.laws.close();
      this.disk.remove();
    }
    return {
      violations: this.laws.violations, digest: this.trace.digest(), last: this.trace.last,
      figures: { ...this.#figures, jobs: this.laws.status.size, events: this.laws.events, calls: this.net.calls, steps: this.kernel.steps, virtualMs: this.kernel.mono },
    };
  }

  #until(mono: number, holds: () => boolean = () => false): Promise<void> {
    return this.kernel.run(mono, () => this.laws.violations.length > 0 || holds());
  }

  #boot(): void {
    const life = new Life({
      kernel: this.kernel, disk: this.disk, net: this.net, trace: this.trace, laws: this.laws, knobs: this.knobs, rng: this.#rng.fork(`life ${++this.#lives}`),
      newId: () => `job_${String(++this.#jobs).padStart(26, '0')}`,
      random: this.#options.random,
      tamper: this.#options.tamper === undefined ? undefined : (task) => this.#options.tamper?.(task, this.laws),
    });
    this.#life = life;
    this.#disturb();
    const rng = this.#rng.fork(`boot ${this.#lives}`);
    const diedAt = this.kernel.wall;
    this.#usualSync = () => (rng.chance(0.97) ? rng.int(1, 4) : rng.int(5, 200));
    if (this.#slow === 0) this.disk.syncTime = this.#usualSync;
    life.onEnd(() => {
      this.#figures.deaths += 1;
      if (this.disk.state !== 'full') this.disk.state = 'sound';
      this.#check(false);
      const from = this.kernel.wall;
      this.kernel.after(this.#isSettling ? 100 : rng.chance(0.7) ? rng.int(5, 2_000) : rng.int(2_000, 60_000), () => {
        if (this.laws.violations.length > 0) return;
        this.#excuse(from, this.kernel.wall);
        this.#boot();
      });
    });
    life.start().then(() => { this.#excuse(diedAt, this.kernel.wall); }, (error: unknown) => {
      if (!(error instanceof DomainError)) this.laws.say(`BOOT: the server does not start: ${String(error)}`);
      life.kill(); // as main.ts does
    });
  }

  /** Harms of each kind that this run has, at random distances. */
  #harms(): void {
    const { knobs, kernel, disk } = this;
    const every = (name: string, mean: number | null, harm: (rng: Rng) => void): void => {
      if (mean === null) return;
      const rng = this.#rng.fork(name);
      const next = (): void => {
        kernel.after(-Math.log(1 - rng.next()) * mean, () => {
          if (this.#isSettling) return;
          this.trace.add(name);
          this.#figures.harms += 1;
          this.#disturb();
          harm(rng);
          next();
        });
      };
      next();
    };
    const forAWhile = (ms: number, end: () => void): void => {
      this.#excuse(kernel.wall, kernel.wall + ms);
      kernel.after(ms, () => { this.#disturb(); end(); });
    };
    every('kill', knobs.kill, (rng) => {
      this.#life.kill();
      if (rng.chance(0.2)) kernel.after(rng.int(5, 2_100), () => this.#life.kill()); // often before it is up again
    });
    every('stop', knobs.stop, () => { void this.#stop(); });
    every('ioError', knobs.ioError, (rng) => { disk.state = rng.chance(0.5) ? 'failing' : 'failing_late'; });
    every('fullDisk', knobs.fullDisk, (rng) => {
      disk.state = 'full';
      forAWhile(rng.int(200, 30_000), () => { disk.state = 'sound'; });
    });
    every('slowDisk', knobs.slowDisk, (rng) => {
      const [least, most] = rng.pick([[50, 400], [300, 300], [1_000, 6_000]] as const);
      disk.syncTime = () => rng.int(least, most);
      this.#slow += 1;
      forAWhile(rng.int(2_000, 30_000), () => {
        if (--this.#slow > 0) return; // windows may overlap
        disk.syncTime = this.#usualSync;
        const late = this.#life.queueTime; // what waits for the writer still waits
        this.#excuse(kernel.wall, kernel.wall + late + 10_000);
        this.#disturbed = kernel.mono + late;
      });
    });
    every('jump', knobs.jump, (rng) => {
      const ms = rng.int(1, rng.pick([3_000, 90_000, 3_600_000])) * (rng.chance(0.5) ? 1 : -1);
      const from = kernel.wall;
      kernel.jump(ms);
      this.#excuse(Math.min(from, kernel.wall), Math.max(from, kernel.wall) + RECOVERS_IN); // noticed within the longest nap
    });
    every('freeze', knobs.freeze, (rng) => {
      const from = kernel.wall;
      kernel.freeze(rng.int(100, rng.pick([3_000, 40_000, 200_000])));
      this.#disturbed = kernel.mono; // nobody can stop while the machine stands still
      this.#excuse(from, kernel.wall + RECOVERS_IN);
    });
  }

  async #stop(): Promise<void> {
    const life = this.#life;
    if (!life.isReady) return;
    this.#figures.stops += 1;
    const { kernel } = this;
    const from = kernel.wall;
    kernel.after(STOP_MAX, () => {
      if (!life.isAlive) return;
      if (this.disk.state === 'sound' && kernel.mono - this.#disturbed >= STOP_MAX) this.laws.say(`STOP: the server was asked to stop ${STOP_MAX} ms ago and has not`);
      else life.kill(); // the supervisor's patience
    });
    await life.stop();
    this.#excuse(from, kernel.wall);
  }

  #act(rng: Rng): void {
    this.kernel.after(-Math.log(1 - rng.next()) * MEAN_BETWEEN_ACTS, () => {
      if (this.#isSettling) return;
      for (let n = rng.chance(0.1) ? rng.int(2, 6) : 1; n > 0; n--) void this.#users.act(); // a few come at once
      this.#act(rng);
    });
  }

  #watcher(jobId: string | null): Watcher {
    return new Watcher(jobId, { kernel: this.kernel, rng: this.#rng.fork(`watch ${jobId ?? 'all'}`), trace: this.trace, room: this.knobs.socket });
  }

  #reconnect(rng: Rng): void {
    for (const watcher of [this.#firehose, ...this.#watchers]) if (!watcher.isConnected && (this.#isSettling || rng.chance(0.6))) watcher.connect(this.#life);
    this.kernel.after(rng.int(200, 2_000), () => this.#reconnect(rng));
  }

  #disturb(): void { this.#disturbed = this.kernel.mono; }
  #excuse(from: number, to: number): void { this.#downtime.push({ from: from - 1, to: to + 1_000 }); }

  /** Between two instants. */
  #look(): void {
    const { kernel } = this;
    if (kernel.mono < this.#restAt) return;
    const life = this.#life;
    if (!life.isReady || life.inFlight > 0 || this.disk.state !== 'sound' || kernel.mono - this.#disturbed < RECOVERS_IN) return;
    this.#restAt = kernel.mono + REST_EVERY;
    this.laws.atRest(this.laws.readyTypes(), life.dispatcher.list());
  }

  #check(isEnd: boolean): void {
    if (this.laws.violations.length > 0) return;
    const { db } = this.laws;
    const picture = readPicture(db);
    const outside = { ledger: this.ledger, participant: this.net, firehose: this.#firehose.reader, readers: this.#watchers.map(({ reader }) => reader), downtime: this.#downtime };
    const deleted = new Set(this.ledger.deeds.filter(({ verb, status }) => verb === 'delete' && status !== 409).flatMap(({ members }) => members ?? []));
    const wrong = [
      ...checkDatabase(db, picture, (seq) => deleted.has(this.laws.jobOf.get(seq) ?? '')), ...checkOutside(db, picture, outside),
      ...(isEnd ? checkRest(picture, outside) : []),
    ];
    for (const line of wrong.slice(0, 10)) this.laws.say(line);
    this.trace.add(`checked ${picture.jobs.size} jobs`);
  }

  /** Everything that was held, paused or left open on purpose is let go; then all must end. */
  async #settle(): Promise<void> {
    this.trace.add('settling');
    this.#isSettling = true;
    this.net.calm = true;
    this.disk.state = 'sound';
    for (const watcher of [this.#firehose, ...this.#watchers]) watcher.cutAfter = null;
    const { db } = this.laws;
    const waits = db.prepare(`SELECT id, status, due_at AS dueAt, spec ->> '$.sealed' AS sealed FROM job WHERE ended_at IS NULL AND (status = 'paused'
      OR (status IN ('queued','retry') AND (due_at IS NULL OR due_at > ?)) OR spec ->> '$.sealed' = 0)`);
    const open = db.prepare('SELECT count(*) FROM job WHERE ended_at IS NULL').pluck();
    const isQuiet = (): boolean => open.get() === 0 && this.#users.unanswered === 0 && this.#firehose.reader.position >= this.laws.lastSeq && this.#watchers.every(({ reader }) => reader.isOver);
    for (let round = 0; round < SETTLE_ROUNDS && this.laws.violations.length === 0; round++) {
      for (let n = this.#users.unanswered; n > 0; n--) void this.#users.again();
      for (const { id, status, dueAt, sealed } of waits.all(this.kernel.wall + 4 * SETTLE_ROUND) as { id: string; status: string; dueAt: number | null; sealed: number | null }[]) {
        if (status === 'paused') void this.#users.deed('resume', id, true);
        else if ((status === 'queued' || status === 'retry') && (dueAt === null || dueAt > this.kernel.wall)) void this.#users.deed('start', id, true);
        else if (sealed === 0) void this.#users.seal(id);
      }
      await this.#until(this.kernel.mono + SETTLE_ROUND);
      if (isQuiet()) break;
    }
    this.#check(true);
  }
}

export async function runSeed(options: Options): Promise<Outcome> {
  return await new World(options).run();
}
