// Ten times what a server can take. It is made slow to take by its disk: each sync is held for 0.7 s (strace), so
// that 512 commands a sync are some 600 a second and ten times that can be sent, and refused, on the same two cores. The plateau is
// measured first, by clients that wait for their answers; then requests come at ten times its rate, whoever waits.
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReadOnly } from '../check.ts';
import { Participant } from '../participant.ts';
import { createRng } from '../rng.ts';
import { ServerProcess } from '../server.ts';
import { type Drawn, draw, isWrite } from './mix.ts';
import { type Answer, Pipes } from './pipes.ts';
import { type Seen, Watch } from './watch.ts';

const SYNC_MS = 700;
/** Requests under way at once in the closed loop: nearly two commits, so that one is always full and hardly any is refused. */
const PLATEAU_CLIENTS = 900;
const SOCKETS = 2_000;
const TIMES = 10;
const RSS_MAX = 512 * 1_048_576;
/** Of the default of 10,000: at this pace far fewer are let in, and this is only met by a server that refuses nobody. */
const QUEUE_MAX = 12_000;
const HEALTH_MAX = 2_000;
/** Longest slice of the load sent at once, ms: what this process itself was late for is not made up for. */
const SLICE_MAX = 50;
/** ms for the last answers, and for all jobs to end. Only a hang meets it. */
const REST_MAX = 120_000;
const STREAMS = 20;
const TOLD_MAX = 15;

export interface OverloadOptions {
  readonly seconds: number;
  readonly plateauSeconds: number;
  readonly seed: string;
  /** Commands that may wait; what the server is told by MUSTER_WRITE_QUEUE, and as much again of cancellations and its own. */
  readonly queueMax?: number;
  /** ms that /health may take. A server has 2 s when the machine is its own; tests share theirs and mean a hang. */
  readonly healthMax?: number;
  readonly entry?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface OverloadResult {
  readonly violations: readonly string[];
  /** Changes carried out a second (jobs added, cancellations): alone, and while ten times as much was sent. */
  readonly plateau: number;
  readonly goodput: number;
  /** Of those, what added jobs. */
  readonly writes: number;
  readonly offered: number;
  readonly aimed: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly took: { readonly accepted: number; readonly refused: number; readonly reads: number; readonly worst: number };
  readonly seen: Seen;
  readonly acked: number;
  readonly rest: number;
  readonly streamed: number;
}

export async function runOverload({ seconds, plateauSeconds, seed, queueMax = QUEUE_MAX, healthMax = HEALTH_MAX, entry = ['src/start.mjs'], env = {} }: OverloadOptions): Promise<OverloadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-overload-'));
  const db = join(folder, 'muster.db');
  const rng = createRng(seed);
  const participant = new Participant();
  await participant.start();
  const server = new ServerProcess(entry, db, {
    env, wrap: ['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fsync,fdatasync', '-e', `inject=fsync,fdatasync:delay_exit=${SYNC_MS * 1_000}`],
  });
  const found = new Set<string>();
  const say = (text: string): void => { if (found.size < TOLD_MAX) found.add(text); };
  const ids: string[] = [];
  const statuses: Record<string, number> = {};
  const took = { accepted: [] as number[], refused: [] as number[], reads: [] as number[] };
  let acceptedWrites = 0;
  let pipes: Pipes | null = null;
  let second: ServerProcess | null = null;
  let watch: Watch | null = null;
  const streams: Streams[] = [];
  const changes = (): number => acceptedWrites + (statuses['cancel 200'] ?? 0);

  const take = ({ what, expected }: Drawn, answer: Answer): void => {
    statuses[`${what} ${answer.status}`] = (statuses[`${what} ${answer.status}`] ?? 0) + 1;
    if (expected.includes(answer.status)) {
      if (!isWrite(what)) { took.reads.push(answer.took); return; }
      acceptedWrites += 1;
      took.accepted.push(answer.took);
      const body = JSON.parse(answer.body) as { id?: string; ids?: string[] };
      for (const id of body.ids ?? [body.id as string]) ids.push(id);
    } else if (answer.status === 503 || answer.status === 429) {
      took.refused.push(answer.took);
      if (!/\r\nretry-after: [1-9]\d*(\r\n|$)/i.test(answer.head)) say(`${what} was refused without a Retry-After: ${answer.head.slice(0, 300)}`);
    } else say(`${what} was answered ${answer.status}: ${answer.body.slice(0, 300)}`);
  };

  try {
    const { url } = await server.ready;
    const port = Number(new URL(url).port);
    for (let i = 0; i < STREAMS; i++) streams.push(new Streams(url, say));

    // What it can take: every client waits for its answer.
    pipes = new Pipes(port);
    await pipes.open(PLATEAU_CLIENTS);
    const plateauRng = rng.fork('plateau');
    let isClosed = true;
    const again = (): void => {
      if (!isClosed) return;
      const drawn = draw(plateauRng, ids, participant);
      pipes?.send(drawn.ask, (answer) => {
        take(drawn, answer);
        if (answer.status === 503) setTimeout(again, 1_000); // as Retry-After says
        else again();
      });
    };
    for (let i = 0; i < PLATEAU_CLIENTS; i++) again();
    await pause(2_000); // the first commits are not full
    const at = { changes: changes(), answers: sum(statuses), time: performance.now() };
    await pause(plateauSeconds * 1_000);
    const span = (performance.now() - at.time) / 1_000;
    const plateau = (changes() - at.changes) / span;
    const rate = ((sum(statuses) - at.answers) / span) * TIMES;
    isClosed = false;
    await settled(pipes, say);
    pipes.end();
    if (plateau < 50) throw new Error(`a plateau of ${plateau.toFixed(1)} writes a second is none`);

    // Ten times that, whoever waits.
    pipes = new Pipes(port);
    await pipes.open(SOCKETS);
    for (const list of Object.values(took)) list.length = 0;
    for (const name of Object.keys(statuses)) delete statuses[name];
    acceptedWrites = 0;
    const load = rng.fork('load');
    watch = new Watch(url, server.pid, healthMax);
    const began = performance.now();
    let sent = 0;
    for (let owed = 0, last = began; performance.now() - began < seconds * 1_000; ) {
      const now = performance.now();
      owed += (Math.min(now - last, SLICE_MAX) / 1_000) * rate;
      last = now;
      const due = Math.floor(owed);
      owed -= due;
      for (let i = 0; i < due; i++) {
        const drawn = draw(load, ids, participant);
        if (!pipes.send(drawn.ask, (answer) => take(drawn, answer))) break;
        sent += 1;
      }
      await pause(5);
    }
    const elapsed = (performance.now() - began) / 1_000;
    const goodput = changes() / elapsed;
    const writes = acceptedWrites / elapsed;
    await settled(pipes, say);
    const seen = await watch.end();
    for (const complaint of seen.complaints) say(complaint);
    if (seen.rss.peak > RSS_MAX) say(`MEMORY: ${mib(seen.rss.peak)} MiB at the peak, at most ${mib(RSS_MAX)} are allowed`);
    if (seen.queuePeak > queueMax) say(`QUEUE: ${seen.queuePeak} commands waited, at most ${queueMax} may`);
    if (!Object.keys(statuses).some((name) => /^(submit|bulk) (503|429)$/.test(name))) say('nothing was refused: it was no overload');
    for (const why of pipes.broken.slice(0, 3)) say(`a connection broke: ${why}`);
    pipes.end();
    for (const stream of streams) stream.end();

    // Let go of the disk: everything that was accepted ends.
    participant.calm = true;
    const { code } = await server.kill('SIGTERM');
    if (code !== 0) say(`the stop ended with ${code}`);
    const restFrom = Date.now();
    second = new ServerProcess(['src/start.mjs'], db);
    await second.ready;
    await allFinal(db, say);
    const rest = Date.now() - restFrom;
    await second.kill('SIGTERM');
    checkFile(db, ids, say);
    for (const one of [server, second]) for (const line of one.complaints()) say(`the server complained: ${line.slice(0, 300)}`);
    return {
      violations: [...found], plateau, goodput, writes, offered: sent / elapsed, aimed: rate, statuses, seen, acked: ids.length, rest,
      took: { accepted: p99(took.accepted), refused: p99(took.refused), reads: p99(took.reads), worst: took.accepted.reduce((a, b) => Math.max(a, b), 0) },
      streamed: Math.min(...streams.map(({ bytes }) => bytes)),
    };
  } finally {
    await watch?.end();
    for (const stream of streams) stream.end();
    pipes?.end();
    await Promise.all([server.kill(), second?.kill()]);
    await participant.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A reader of ends, which must not break while the server refuses others. */
class Streams {
  bytes = 0;
  #isOver = false;
  readonly #outgoing;

  constructor(url: string, say: (text: string) => void) {
    this.#outgoing = request(`${url}/api/stream?type=job:complete,job:error`, { agent: false }, (answer) => {
      if (answer.statusCode !== 200) say(`a stream was answered ${answer.statusCode}`);
      answer.on('data', (part: Buffer) => { this.bytes += part.length; });
      answer.on('error', () => {});
      answer.on('close', () => { if (!this.#isOver) say(`a stream broke off after ${this.bytes} bytes`); });
    });
    this.#outgoing.on('error', () => {});
    this.#outgoing.end();
  }

  end(): void {
    this.#isOver = true;
    this.#outgoing.destroy();
  }
}

async function settled(pipes: Pipes, say: (text: string) => void): Promise<void> {
  for (const until = Date.now() + REST_MAX; pipes.outstanding > 0; await pause(20)) {
    if (Date.now() < until && pipes.broken.length === 0) continue;
    say(`${pipes.outstanding} requests were never answered`);
    return;
  }
}

async function allFinal(db: string, say: (text: string) => void): Promise<void> {
  const file = openReadOnly(db);
  const open = file.prepare("SELECT coalesce(sum(n), 0) FROM job_count WHERE status NOT IN ('completed', 'failed', 'cancelled')").pluck();
  for (const until = Date.now() + REST_MAX; Number(open.get()) > 0; await pause(100)) {
    if (Date.now() < until) continue;
    say(`STUCK: ${String(open.get())} jobs did not end`);
    break;
  }
  file.close();
}

/** What was acknowledged is there, and nothing else: a refusal writes nothing. */
function checkFile(db: string, ids: readonly string[], say: (text: string) => void): void {
  const file = openReadOnly(db);
  const kept = new Set(file.prepare('SELECT id FROM job').pluck().all() as string[]);
  file.close();
  const lost = ids.filter((id) => !kept.has(id));
  if (lost.length > 0) say(`LOST: ${lost.length} acknowledged jobs are not there, such as ${lost[0]}`);
  if (kept.size !== ids.length - lost.length) say(`${kept.size} jobs are there, ${ids.length} were acknowledged: a refusal was written, or an id given twice`);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);
const p99 = (values: number[]): number => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * 0.99))] ?? 0;
const mib = (bytes: number): string => (bytes / 1_048_576).toFixed(0);

export const overloadText = (r: OverloadResult): string => [
  `each sync held for ${SYNC_MS} ms; plateau ${r.plateau.toFixed(0)} changes/s; then ${r.offered.toFixed(0)} requests/s offered (${TIMES} times what was answered before is ${r.aimed.toFixed(0)})`,
  `goodput ${r.goodput.toFixed(0)} changes/s, ${((100 * r.goodput) / r.plateau).toFixed(0)} % of the plateau; ${r.writes.toFixed(0)} of them added jobs`,
  `answers: ${Object.entries(r.statuses).sort().map(([name, count]) => `${name}: ${count}`).join(', ')}`,
  `ms at p99: accepted writes ${r.took.accepted.toFixed(0)} (worst ${r.took.worst.toFixed(0)}), refusals ${r.took.refused.toFixed(0)}, reads and cancellations ${r.took.reads.toFixed(0)}`,
  `/health asked ${r.seen.health.asked} times, at most ${r.seen.health.worst.toFixed(0)} ms; loop delay p99 ${r.seen.loopP99.toFixed(0)} ms; write queue at most ${r.seen.queuePeak}`,
  `RSS ${mib(r.seen.rss.first)} MiB before, ${mib(r.seen.rss.middle)} halfway, ${mib(r.seen.rss.end)} at the end, ${mib(r.seen.rss.peak)} at the peak (bound ${mib(RSS_MAX)})`,
  `${r.acked} jobs acknowledged, all there and ended ${(r.rest / 1_000).toFixed(1)} s after the load; each stream got ${mib(r.streamed)} MiB`,
].join('\n');
