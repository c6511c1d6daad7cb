// One database with everything around it for a scripted run: ledger, participant, a reader of everything, a driver that acts
// only when told. A campaign is the same under random load.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVER } from './campaign.ts';
import { checkDatabase, openReadOnly, readPicture } from './check.ts';
import { checkOutside, checkRest, explainsHole, type Outside } from './check-ledger.ts';
import { Driver } from './driver.ts';
import { Ledger } from './ledger.ts';
import { Participant } from './participant.ts';
import { noCounts, Reader } from './readers.ts';
import { createRng, type Rng } from './rng.ts';
import { type Launch, ServerProcess } from './server.ts';
import { settle } from './settle.ts';
import { Workload } from './workload.ts';

/** ms for a scripted run to come to rest; its longest job sleeps 200 ms. Only what is stuck meets it. */
const REST_MAX = 15_000;

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'muster-stage-'));
  readonly home = join(this.folder, 'home');
  readonly db = join(this.home, 'muster.db');
  readonly ledger = new Ledger(join(this.folder, 'ledger.ndjson'));
  readonly participant = new Participant();
  readonly violations: string[] = [];
  readonly rng: Rng;
  readonly firehose: Reader;
  readonly driver: Driver;
  readonly workload: Workload;
  readonly #entry: readonly string[];
  readonly #downtime: { from: number; to: number }[] = [];
  readonly #place;
  #waiting: (() => void)[] = [];
  #url: string | null = null;
  #isOver = false;
  server: ServerProcess | null = null;

  constructor(seed: string, entry: readonly string[] = SERVER) {
    this.#entry = entry;
    mkdirSync(this.home);
    this.rng = createRng(seed);
    this.#place = {
      url: () => this.#url,
      up: () => (this.#url !== null || this.#isOver ? Promise.resolve() : new Promise<void>((resolve) => { this.#waiting.push(resolve); })),
    };
    this.firehose = new Reader('/api/stream?after=0', { counts: noCounts(), rng: this.rng.fork('firehose'), cutAfter: null });
    this.workload = new Workload(this.rng.fork('workload'), this.participant);
    this.driver = new Driver({ rng: this.rng.fork('driver'), ledger: this.ledger, place: this.#place, firehose: this.firehose, workload: this.workload, watch: () => {} });
  }

  async open(): Promise<void> {
    await this.participant.start();
    this.firehose.start(this.#place);
  }

  /** @returns whether it listens; false: it ended before that */
  async start(launch?: Launch): Promise<boolean> {
    this.server = new ServerProcess(this.#entry, this.db, launch);
    this.participant.generation += 1;
    const ready = await this.server.ready.catch(() => null);
    if (ready === null) {
      if (!this.server.hasExited) await this.server.kill(); // hangs: whoever asked finds no exit code
      return false;
    }
    const last = this.#downtime.at(-1);
    if (last !== undefined) last.to = Math.min(last.to, Date.now());
    this.driver.reconnect();
    this.#url = ready.url;
    this.#free();
    return true;
  }

  get isUp(): boolean { return this.#url !== null && this.server?.hasExited === false; }
  get url(): string { return this.#url ?? ''; }

  /** Waits for the end of the server, which was asked for or is its own. */
  async gone(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    const exit = await this.server?.exited ?? { code: null, signal: null };
    if (this.#url !== null) this.#downtime.push({ from: Date.now(), to: Infinity });
    this.#url = null;
    return exit;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    void this.server?.kill(signal);
    return this.gone();
  }

  /** The server lived, but could not write. */
  excuse(from: number, to: number): void { this.#downtime.push({ from, to }); }

  /** Everything is let go and waited for. */
  async rest(): Promise<void> {
    this.participant.calm = true;
    await settle({ driver: this.driver, ledger: this.ledger, db: this.db, firehose: this.firehose, readers: [], rng: this.rng.fork('settle'), max: REST_MAX });
  }

  /** At rest the server is stopped cleanly, and the file says what is left. */
  async finish(): Promise<void> {
    await this.rest();
    const { code } = await this.stop();
    if (code !== 0) this.violations.push(`the last stop ended with code ${code}\n${this.server?.log()}`);
    this.hear();
    this.check(true);
  }

  /** Lines of the server's log that nothing here explains. */
  hear(isExplained: (line: string) => boolean = () => false): void {
    const complaints = this.server?.complaints().filter((line) => !isExplained(line)) ?? [];
    this.violations.push(...this.driver.violations.splice(0), ...this.participant.violations.splice(0), ...complaints.map((line) => `the server complained: ${line}`));
  }

  /** The file as it is now, held against everything that is known of it. */
  check(atRest: boolean): void {
    const outside: Outside = { ledger: this.ledger, participant: this.participant, firehose: this.firehose, readers: [], downtime: this.#downtime };
    const file = openReadOnly(this.db);
    try {
      const picture = readPicture(file);
      this.violations.push(...checkDatabase(file, picture, explainsHole(outside)), ...checkOutside(file, picture, outside), ...(atRest ? checkRest(picture, outside) : []));
    } finally {
      file.close();
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#free();
    await this.firehose.stop();
    await this.server?.kill();
    this.driver.reconnect();
    await this.participant.stop();
    if (this.violations.length === 0) rmSync(this.folder, { recursive: true, force: true });
  }

  #free(): void { for (const resolve of this.#waiting.splice(0)) resolve(); }
}
