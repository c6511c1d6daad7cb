// Many readers of every kind of stream, cut off at random while the server is killed now and then; at the end each must
// have exactly the events of its scope, byte for byte.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReadOnly } from '../check.ts';
import { createAgent, exchange } from '../client.ts';
import { createRng } from '../rng.ts';
import { ServerProcess } from '../server.ts';
import { Feeder } from './feeder.ts';
import { checkReaders, type Log, type LogRow } from './oracle.ts';
import { CUTS, type Cut, type Place, Roamer } from './roamer.ts';

/** Readers of everything, half of them of the ends only; they stay to the end. */
const ALL_READERS = 12;
/** Readers of one job or tree at once; they come and go with the jobs. */
const JOB_READERS = 28;
/** ms for everything to come to rest and be read. Only a hang meets it. */
const REST_MAX = 60_000;
/** ms without a single disconnect: something hangs. */
const STILL_MAX = 60_000;
const KINDS = ['/api/stream?after=0', '/api/stream?after=0&type=job:complete,job:error'] as const;

export interface DisconnectOptions {
  readonly disconnects: number;
  readonly kills: number;
  readonly seed: string;
  readonly entry?: readonly string[];
}

export interface DisconnectResult {
  readonly violations: readonly string[];
  readonly cuts: Readonly<Record<Cut | 'broken', number>>;
  readonly disconnects: number;
  readonly kills: number;
  readonly readers: number;
  readonly connections: number;
  readonly events: number;
  readonly delivered: number;
  /** Where the database is kept after a failure. */
  readonly kept: string | null;
}

export async function runDisconnects({ disconnects, kills, seed, entry = ['src/start.mjs'] }: DisconnectOptions): Promise<DisconnectResult> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-sse-'));
  const db = join(folder, 'muster.db');
  const rng = createRng(seed);
  const cuts = Object.fromEntries([...CUTS, 'broken'].map((name) => [name, 0])) as Record<Cut | 'broken', number>;
  const count = (): number => CUTS.reduce((sum, name) => sum + cuts[name], 0);
  const violations: string[] = [];
  let url: string | null = null;
  let server = new ServerProcess(entry, db);
  const waiting: (() => void)[] = [];
  const place: Place = { url: () => url, up: () => (url !== null ? Promise.resolve() : new Promise((resolve) => { waiting.push(resolve); })) };
  const up = (at: string | null): void => {
    url = at;
    for (const go of waiting.splice(0)) go();
  };

  const readers: Roamer[] = [];
  const watchers: Roamer[] = [];
  const read = (path: string): Roamer => {
    const reader = new Roamer(path, rng.fork(`reader ${readers.length}`), cuts);
    readers.push(reader);
    reader.start(place);
    return reader;
  };
  const part = rng.fork('parts');
  const feeder = new Feeder(rng.fork('feeder'), place, ({ id, isTree }) => {
    if (watchers.filter((reader) => !reader.isOver).length >= JOB_READERS) return;
    watchers.push(read(`/api/jobs/${id}/stream`));
    if (isTree && part.chance(0.5)) void watchPart(id);
  });
  /** A batch within a tree has a stream of its own. */
  const watchPart = async (id: string): Promise<void> => {
    const at = url;
    if (at === null) return;
    const agent = createAgent();
    const got = await exchange(at, { method: 'GET', path: `/api/jobs?parentId=${id}&limit=10` }, agent);
    agent.destroy();
    if (got.kind !== 'answer' || got.status !== 200) return;
    const nested = (got.body as { jobs: { id: string; type: string }[] }).jobs.find(({ type }) => type === 'batch');
    if (nested !== undefined) watchers.push(read(`/api/jobs/${nested.id}/stream`));
  };

  let killed = 0;
  let log: Log = { rows: [], parents: new Map() };
  try {
    up((await server.ready).url);
    for (let i = 0; i < ALL_READERS; i++) read(KINDS[i % KINDS.length] as string);
    feeder.start();
    const chance = rng.fork('kills');
    let last = 0;
    let lastAt = Date.now();
    while (count() < disconnects || killed < kills) {
      await new Promise((resolve) => { setTimeout(resolve, 5); });
      if (count() > last) { last = count(); lastAt = Date.now(); }
      if (Date.now() - lastAt > STILL_MAX) throw new Error(`no disconnect for ${STILL_MAX} ms, after ${last}`);
      if (killed >= kills || count() < ((killed + 1) * disconnects) / (kills + 1)) continue;
      await new Promise((resolve) => { setTimeout(resolve, chance.int(0, 100)); });
      url = null;
      await server.kill();
      killed += 1;
      complain(server, violations);
      server = new ServerProcess(entry, db);
      const ready = await server.ready;
      feeder.reconnect();
      up(ready.url);
      lastAt = Date.now();
    }
    await feeder.stop();
    await atRest(place);
    log = readLog(db);
    for (const reader of readers) reader.calm();
    await caughtUp(readers, log);
    const reference = await readAll(place, log);
    violations.push(...checkReaders(readers, log, reference));
  } catch (error) {
    violations.push(`the harness stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    up(url);
    await Promise.all([feeder.stop(), ...readers.map((reader) => reader.stop())]);
    const { code } = await server.kill('SIGTERM');
    if (code !== 0) violations.push(`the last stop ended with code ${code}`);
    complain(server, violations);
  }
  if (violations.length === 0) rmSync(folder, { recursive: true, force: true });
  return {
    violations, cuts, disconnects: count(), kills: killed, readers: readers.length, kept: violations.length === 0 ? null : folder,
    connections: readers.reduce((sum, { connections }) => sum + connections.length, 0), events: log.rows.length,
    delivered: readers.reduce((sum, { connections }) => sum + connections.reduce((n, { ids }) => n + ids.length, 0), 0),
  };
}

function complain(server: ServerProcess, violations: string[]): void {
  for (const line of server.complaints()) violations.push(`the server complained: ${line.slice(0, 500)}`);
}

/** Until no job is left that is not final. */
async function atRest(place: Place): Promise<void> {
  const agent = createAgent();
  for (const until = Date.now() + REST_MAX; ; ) {
    let open = 0;
    for (const status of ['queued', 'assigned', 'running', 'retry', 'paused']) {
      const got = await exchange(place.url() ?? '', { method: 'GET', path: `/api/jobs?status=${status}&limit=200` }, agent);
      if (got.kind !== 'answer' || got.status !== 200) throw new Error(`the list of ${status} jobs: ${JSON.stringify(got).slice(0, 200)}`);
      const { jobs } = got.body as { jobs: { id: string }[] };
      open += jobs.length;
      // Paused when the kill took the answer, so that nobody resumed it.
      if (status === 'paused') for (const { id } of jobs) await exchange(place.url() ?? '', { method: 'POST', path: `/api/jobs/${id}/resume` }, agent);
    }
    if (open === 0) break;
    if (Date.now() > until) throw new Error(`${open} jobs did not end`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  agent.destroy();
}

function readLog(db: string): Log {
  const file = openReadOnly(db);
  try {
    const rows = file.prepare('SELECT e.seq, j.id AS jobId, e.type, e.at, e.data FROM event e JOIN job j ON j.key = e.job_key ORDER BY e.seq').all() as LogRow[];
    const jobs = file.prepare('SELECT j.id, p.id AS parent FROM job j LEFT JOIN job p ON p.key = j.parent_key').all() as { id: string; parent: string | null }[];
    return { rows, parents: new Map(jobs.map(({ id, parent }) => [id, parent])) };
  } finally {
    file.close();
  }
}

/** Readers of jobs are told that there is no more; those of everything read until the last event. */
async function caughtUp(readers: readonly Roamer[], { rows }: Log): Promise<void> {
  const last = rows.at(-1)?.seq ?? 0;
  const isThere = (reader: Roamer): boolean => reader.isOver || (reader.path === KINDS[0] && reader.position >= last)
    || (reader.path === KINDS[1] && reader.position >= (rows.findLast(({ type }) => type === 'job:complete' || type === 'job:error')?.seq ?? 0));
  for (const until = Date.now() + REST_MAX; readers.some((reader) => !isThere(reader)) && Date.now() < until; ) await new Promise((resolve) => { setTimeout(resolve, 20); });
}

async function readAll(place: Place, { rows }: Log): Promise<Map<number, string>> {
  const whole = new Roamer(KINDS[0], createRng('reference'), { destroy: 0, reset: 0, 'half-close': 0, pause: 0, 'before-headers': 0, older: 0, twice: 0, broken: 0 });
  whole.calm();
  whole.start(place);
  await caughtUp([whole], { rows, parents: new Map() });
  await whole.stop();
  if (whole.connections.length !== 1) throw new Error(`the stream that nobody cut took ${whole.connections.length} connections`);
  return whole.heard;
}
