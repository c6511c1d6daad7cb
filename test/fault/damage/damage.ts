// The kind "damage": images one after the other, most of them opened in one child through the server's own code, one in
// twenty and one of each kind by the real server. Nothing may crash, hang, serve what is not true, or touch what it refuses.
import Database from 'better-sqlite3';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { crc32 } from 'node:zlib';
import type { Kind, RunOptions, RunResult } from '../kinds.ts';
import { createRng } from '../rng.ts';
import { ROOT } from '../server.ts';
import { type Base, type Bases, makeBases } from './bases.ts';
import { HARM_NAMES, makeImage } from './harm.ts';
import { askOracle, judge, type Verdict } from './judge.ts';
import { tryWhole } from './whole.ts';
import type { Ask, Told } from './tryout.ts';

/** Only a hang meets it; one takes 50 ms. */
const IMAGE_MAX = 20_000;
const WHOLE_EVERY = 20;
const ENDS = ['', '-wal'] as const;

const hashOf = (path: string): string => (existsSync(path) && statSync(path).isFile() && statSync(path).size > 0 ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'none');

/** A child that opens images; another one after it crashed or hung. */
class Opener {
  #child: ChildProcess | null = null;
  #lines: AsyncIterator<string> | null = null;
  #errors = '';

  async ask(ask: Ask): Promise<Told | string> {
    if (this.#child === null) {
      this.#child = spawn(process.execPath, ['test/fault/damage/tryout.ts'], { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] });
      this.#errors = '';
      this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#errors += text; });
      this.#child.stdin?.on('error', () => {});
      this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    }
    this.#child.stdin?.write(`${JSON.stringify(ask)}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => { timer = setTimeout(resolve, IMAGE_MAX, null); });
    const line = await Promise.race([this.#lines!.next(), late]);
    clearTimeout(timer);
    if (line !== null && line.done !== true) return JSON.parse(line.value) as Told;
    await this.stop();
    return line === null ? `HANG: nothing in ${IMAGE_MAX} ms` : `CRASH: ${this.#errors.slice(-500)}`;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => { child.once('exit', resolve); child.kill('SIGKILL'); });
  }
}

function askOf(base: Base, path: string): Ask {
  const column = (table: string, name: string): (string | number | null)[] => {
    const { columns, rows } = base.tables.get(table)!;
    return [...rows.values()].map((row) => row[columns.indexOf(name)] ?? null);
  };
  const total = column('job', 'child_total');
  const ids = column('job', 'id') as string[];
  return { path, ids, parents: ids.filter((_, i) => Number(total[i]) > 0), seqs: column('event', 'seq') as number[] };
}

function writeBase(base: Base, path: string): void {
  writeFileSync(path, base.db);
  if (base.wal !== null) writeFileSync(`${path}-wal`, base.wal);
}

/** As if nobody had ever kept a checksum: damage and sums agree. */
function forgeSums(path: string): void {
  const db = new Database(path);
  db.function('crc32', (text: unknown) => (text === null ? 0 : crc32(Buffer.from(String(text)))));
  db.exec('UPDATE event SET sum = crc32(data); UPDATE input SET sum = crc32(body)');
  db.close();
}

async function run({ cycles, seed, say }: RunOptions, { kinds = HARM_NAMES, forged = false } = {}): Promise<RunResult> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-damage-'));
  const opener = new Opener();
  const violations: string[] = [];
  const verdicts = new Map<string, Map<Verdict, number>>();
  const unguarded = new Map<string, number>();
  let wholes = 0;
  try {
    const bases = await makeBases(seed, folder);
    const references = new Map<Base, Told>();
    for (const base of [bases.killed, bases.clean]) references.set(base, await reference(base, opener, folder));
    const rng = createRng(`${seed}/damage`);
    for (let i = 0; i < cycles; i++) {
      // Each kind in turn, and the flips that only a checksum or an index check finds more often.
      const name = i < kinds.length ? kinds[i]! : rng.chance(0.4) ? rng.pick(kinds.filter((kind) => kind.startsWith('flip'))) : rng.pick(kinds);
      const home = join(folder, `image-${i}`);
      const path = join(home, 'm.db');
      mkdirSync(home);
      const { base, what } = makeImage(name, rng.fork(`image ${i}`), bases, path);
      if (forged) forgeSums(path);
      const copy = join(folder, `oracle-${i}`);
      mkdirSync(copy);
      for (const end of ENDS) if (existsSync(path + end) && statSync(path + end).isFile()) copyFileSync(path + end, join(copy, `m.db${end}`));
      const oracle = askOracle(join(copy, 'm.db'), base);
      const before = ENDS.map((end) => hashOf(path + end));
      const found: string[] = [];
      if (!forged && (i < kinds.length || i % WHOLE_EVERY === 0)) {
        wholes += 1;
        found.push(...await tryWhole(path, name, oracle, join(copy, 'm.db')));
      }
      const told = await opener.ask(askOf(base, path));
      let verdict: Verdict = 'VIOLATION';
      if (typeof told === 'string') found.push(`${told}: ${what}`);
      else {
        const filesChanged = ENDS.filter((end, k) => hashOf(path + end) !== before[k]).map((end) => `m.db${end}`);
        const judged = judge({ name, what, oracle, told, reference: references.get(base)!, filesChanged });
        found.push(...judged.why);
        verdict = judged.verdict;
      }
      if (verdict === 'unguarded column') for (const cell of oracle.changed) unguarded.set(cell, (unguarded.get(cell) ?? 0) + 1);
      const row = verdicts.get(name) ?? new Map<Verdict, number>();
      verdicts.set(name, row.set(verdict, (row.get(verdict) ?? 0) + 1));
      violations.push(...found.map((line) => `image ${i} of seed ${seed}: ${line}`));
      for (const end of [home, copy]) if (found.length === 0 || forged) rmSync(end, { recursive: true, force: true });
      if ((i + 1) % 100 === 0) say(`damage ${i + 1}/${cycles}: ${violations.length} violations`);
    }
  } finally {
    await opener.stop();
    if (violations.length === 0 || forged) rmSync(folder, { recursive: true, force: true });
    else say(`the images are kept in ${folder}`);
  }
  const sum = (verdict: Verdict): number => [...verdicts.values()].reduce((total, row) => total + (row.get(verdict) ?? 0), 0);
  return {
    violations,
    facts: [
      `${cycles} images, ${wholes} of them by the whole server too`,
      ...[...verdicts].map(([name, row]) => `${name.padEnd(38)} ${[...row].map(([verdict, count]) => `${count} ${verdict}`).join(', ')}`),
      `no checksum covers it   ${sum('unguarded column')} flips were served: ${[...unguarded].map(([cell, count]) => `${cell} ${count}`).join(', ')}`,
      `nobody can tell         ${sum('an earlier moment')} logs cut short or put back were served as the earlier, consistent state they are, ${sum('another database')} logs of another database as that database; an empty file is a new database (${sum('a new database')})`,
    ],
  };
}

async function reference(base: Base, opener: Opener, folder: string): Promise<Told> {
  const path = join(folder, `reference-${base.name}.db`);
  writeBase(base, path);
  const told = await opener.ask(askOf(base, path));
  if (typeof told === 'string' || told.answers === undefined || Object.values(told.answers).some((answer) => answer.startsWith('! '))) throw new Error(`the undamaged database is not served: ${JSON.stringify(told).slice(0, 500)}`);
  return told;
}

export const damage: Pick<Kind, 'what' | 'feasible' | 'run' | 'control'> = {
  what: 'damaged databases: refused with 65 and left alone, or served and never silently wrong; cycles are images',
  feasible: () => Promise.resolve(null),
  run: (options) => run(options),
  control: { what: 'no checksums are kept', cycles: 12, sign: /SILENT/, run: (options) => run(options, { kinds: ['flip in a payload'], forged: true }) },
};
export type { Bases };
