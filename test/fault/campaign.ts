// A campaign: a fresh database, load on it, a nemesis again and again, the file checked after each harm, and at the end
// everything let go and brought to rest. Several of them make up a run of `npm run crash`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkDatabase, openReadOnly, readPicture } from './check.ts';
import { checkOutside, checkRest, explainsHole, type Outside } from './check-ledger.ts';
import { Driver } from './driver.ts';
import { Ledger } from './ledger.ts';
import type { Field, Nemesis } from './nemesis/nemesis.ts';
import { Participant } from './participant.ts';
import { noCounts, Reader, type ReaderCounts } from './readers.ts';
import { createRng } from './rng.ts';
import { ServerProcess } from './server.ts';
import { settle } from './settle.ts';
import { Workload } from './workload.ts';

/** Streams of single jobs at once; each is cut and comes back all the time. */
const WATCHERS_MAX = 40;

export interface CampaignOptions {
  readonly seed: string;
  /** Harms. */
  readonly runs: number;
  readonly nemesis: Nemesis;
  /** Script and arguments; default the real server. */
  readonly entry?: readonly string[];
  /** ms for everything to end once it is let go. */
  readonly restMax?: number;
  /** What SQLite must say of itself; 2 = FULL. A control in which it is less shows that I14 is not all that catches it. */
  readonly synchronous?: number;
}

export interface CampaignResult {
  /** Empty: everything held. */
  readonly violations: readonly string[];
  /** The failure in full, or null. */
  readonly report: string | null;
  readonly counts: {
    readonly harms: number; readonly jobs: number; readonly events: number; readonly acks: number; readonly requests: number; readonly lostAnswers: number;
    readonly refusedBusy: number; readonly deleted: number; readonly calls: number; readonly interrupted: number; readonly streams: ReaderCounts; readonly watched: number;
    /** From spawn to listening, ms. */
    readonly starts: readonly number[];
    /** From the last act until all was final, ms. */
    readonly rest: number;
  };
}

export const SERVER: readonly string[] = ['src/start.mjs'];

export async function runCampaign({ seed, runs, nemesis, entry = SERVER, restMax, synchronous = 2 }: CampaignOptions): Promise<CampaignResult> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-fault-'));
  const home = join(folder, 'home');
  const db = join(home, 'muster.db');
  mkdirSync(home);
  const rng = createRng(seed);
  const ledger = new Ledger(join(folder, 'ledger.ndjson'));
  const participant = new Participant();
  await participant.start();
  const history: string[] = [];
  const violations: string[] = [];
  const starts: number[] = [];
  const downtime: { from: number; to: number }[] = [];
  const streams = noCounts();
  /** As the server's rows have it. */
  const wall = (): number => nemesis.now?.() ?? Date.now();
  let harms = 0;
  let server!: ServerProcess; // none yet, where a setup failed
  let isOver = false;
  let url: string | null = null;
  const waiting: (() => void)[] = [];
  const place = {
    url: () => url,
    up: () => (url !== null || isOver ? Promise.resolve() : new Promise<void>((resolve) => { waiting.push(resolve); })),
  };
  const free = (): void => { for (const resolve of waiting.splice(0)) resolve(); };

  const spawnServer = (): ServerProcess => {
    server = new ServerProcess(entry, db, nemesis.launch?.());
    participant.generation += 1;
    return server;
  };
  const startServer = async (): Promise<ServerProcess> => {
    const ready = await spawnServer().ready;
    starts.push(ready.took);
    if (ready.storage?.synchronous !== synchronous || ready.storage.journal !== 'wal') violations.push(`I14: the server's storage is ${JSON.stringify(ready.storage)}, not synchronous ${synchronous} and journal wal`);
    const left = inFile(db, (file) => file.prepare('SELECT id FROM job WHERE lease_until IS NOT NULL AND claimed_at < ?').pluck().all(server.startedAt + wall() - Date.now()) as string[]);
    for (const id of left) violations.push(`I6: job ${id} is leased to a process that is dead`);
    const last = downtime.at(-1);
    if (last !== undefined && last.to === Infinity) last.to = wall();
    driver.reconnect();
    url = ready.url;
    free();
    return server;
  };
  const firehose = new Reader('/api/stream?after=0', { counts: streams, rng: rng.fork('firehose'), cutAfter: null });
  const readers: Reader[] = [];
  const driver = new Driver({
    rng: rng.fork('driver'), ledger, place, firehose, workload: new Workload(rng.fork('workload'), participant),
    watch: (jobId) => {
      if (readers.filter((reader) => !reader.isOver).length >= WATCHERS_MAX) return;
      const reader = new Reader(`/api/jobs/${jobId}/stream`, { counts: streams, rng: rng.fork(jobId), cutAfter: 600 });
      readers.push(reader);
      reader.start(place);
    },
  });
  const outside: Outside = { ledger, participant, firehose, readers, downtime };
  const field: Field = {
    rng: rng.fork('nemesis'), driver, streams, firehose, folder, home, acks: () => ledger.acks, server: () => server, spawnServer, startServer,
    excuse: (from, to) => { downtime.push({ from, to }); },
    log: (what) => { history.push(`${new Date().toISOString()} ${what}`); ledger.note(what); }, violation: (what) => { violations.push(what); },
  };
  const hearComplaints = (): void => {
    const complaints = server.complaints().filter((line) => nemesis.excuses?.(line) !== true);
    violations.push(...driver.violations.splice(0), ...participant.violations.splice(0), ...complaints.map((line) => `the server complained: ${line}`));
  };
  /** The file as it is now, and everything that is known of it. */
  const look = (atRest: boolean): void => {
    hearComplaints();
    violations.push(...inFile(db, (file) => {
      // Synced by nobody, even the tables are gone after a power cut.
      if (file.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'job'").get() === undefined) return ledger.acks === 0 ? [] : [`I1: LOST: the file has no table of jobs, and ${ledger.acks} changes were acknowledged`];
      const picture = readPicture(file);
      return [...checkDatabase(file, picture, explainsHole(outside)), ...checkOutside(file, picture, outside), ...(atRest ? checkRest(picture, outside) : [])];
    }));
  };

  let rest = 0;
  let inside = { jobs: 0, interrupted: 0 };
  const end = async (): Promise<void> => {
    isOver = true;
    free();
    await Promise.all([firehose, ...readers].map((reader) => reader.stop()));
    await driver.stop();
    await (server as ServerProcess | undefined)?.kill();
    driver.reconnect();
    await participant.stop();
  };
  const stopped = (error: unknown): void => { violations.push(`the harness stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`); };
  try {
    await nemesis.setup(field);
    await startServer();
    firehose.start(place);
    driver.start();
    while (harms < runs && violations.length === 0) {
      await nemesis.inject(field);
      harms += 1;
      if (server.hasExited) {
        url = null;
        downtime.push({ from: wall(), to: Infinity });
        look(false);
      } else hearComplaints();
      if (violations.length === 0) await nemesis.heal(field);
    }
    if (violations.length === 0) {
      await driver.stop();
      const settled = Date.now();
      participant.calm = true;
      await settle({ driver, ledger, db, firehose, readers, rng: rng.fork('settle'), ...(restMax === undefined ? {} : { max: restMax }) });
      rest = Date.now() - settled;
      const { code } = await server.kill('SIGTERM');
      if (code !== 0) violations.push(`the last stop ended with code ${code}\n${server.log()}`);
      look(true);
      // Now: what is mounted on its folder goes with the nemesis.
      inside = inFile(db, (file) => ({
        jobs: file.prepare('SELECT count(*) FROM job').pluck().get() as number,
        interrupted: file.prepare("SELECT count(*) FROM attempt WHERE outcome = 'interrupted'").pluck().get() as number,
      }));
    }
  } catch (error) {
    stopped(error);
  }
  await end().catch(stopped);
  await nemesis.teardown(field).catch(stopped); // whatever happened: it may hold mounts

  const counts = {
    harms, ...inside, events: firehose.heard.size, acks: ledger.acks, requests: driver.counts.requests, lostAnswers: driver.counts.lost, refusedBusy: driver.counts.overloaded,
    deleted: ledger.deeds.filter(({ verb, status }) => verb === 'delete' && status === 204).length, calls: [...participant.seen.values()].reduce((sum, { calls }) => sum + calls, 0),
    streams, watched: readers.length, starts, rest,
  };
  if (violations.length === 0) {
    rmSync(folder, { recursive: true, force: true });
    return { violations, report: null, counts };
  }
  const unique = [...new Set(violations)];
  const report = [
    `${unique.length} violations. Seed ${seed}, commit ${commit()}, nemesis ${nemesis.name}, after ${harms} harms. The database and the ledger are kept in ${folder}`,
    ...unique.slice(0, 20).map((line) => `  ${line}`), ...(unique.length > 20 ? [`  … and ${unique.length - 20} more`] : []),
    'What was done to it:', ...history.slice(-10).map((line) => `  ${line}`), 'The last words of the server:', (server as ServerProcess | undefined)?.log() ?? 'none: it was never started',
  ].join('\n');
  return { violations: unique, report, counts };
}

function inFile<T>(path: string, work: (file: ReturnType<typeof openReadOnly>) => T): T {
  const file = openReadOnly(path);
  try {
    return work(file);
  } finally {
    file.close();
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
