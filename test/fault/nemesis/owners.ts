// Two servers on one file: rivals that start while the owner works, by every path that leads to the file, and a crowd
// that starts at once after the owner was killed. One serves; the others end with 73 and say why.
import { existsSync, linkSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { ROOT, ServerProcess } from '../server.ts';
import type { Field, Nemesis } from './nemesis.ts';

/** At once. More would only wait for a core: a start is 300 ms of it. */
const RIVALS = 4;
const CROWD = 8;
/** Only a hang meets it; what it takes is in the facts. */
const END_MAX = 20_000;
const OWNED = 73;
const CLEAR = /Another process has .* open|has another name/;

/** Other names of the file, made in the campaign's folder. A hard link is not resolved by any path: the file has two names then. */
const WAYS = ['itself', 'relative', 'symlink', 'folder symlink', 'hard link'] as const;
type Way = (typeof WAYS)[number];

function pathBy(way: Way, db: string, folder: string): string {
  const at = join(folder, `by-${way.replaceAll(' ', '-')}`);
  if (way === 'itself') return db;
  if (way === 'relative') return relative(ROOT, db);
  if (way === 'hard link') linkSync(db, at);
  else if (!existsSync(at)) symlinkSync(way === 'symlink' ? db : dirname(db), at);
  return way === 'folder symlink' ? join(at, basename(db)) : at;
}

export const createOwners = (entry: readonly string[]): Nemesis & { readonly starts: () => number } => {
  const took: number[] = [];
  let starts = 0;
  const rivals = new Set<ServerProcess>();
  const rival = (path: string): ServerProcess => {
    const process = new ServerProcess(entry, path);
    starts += 1;
    rivals.add(process);
    void process.exited.then(() => rivals.delete(process));
    return process;
  };
  /** null = it serves; otherwise it has ended, as it should. */
  const ends = async (process: ServerProcess, what: string, { violation }: Field): Promise<boolean> => {
    const late = new Promise<'late'>((resolve) => { setTimeout(resolve, END_MAX, 'late').unref(); });
    const first = await Promise.race([process.exited, process.ready.then(() => 'serves' as const, () => process.exited), late]);
    if (first === 'serves') return false;
    if (first === 'late') {
      violation(`H5: ${what} neither served nor ended in ${END_MAX} ms`);
      await process.kill();
      return true;
    }
    took.push(Date.now() - process.startedAt);
    if (first.code !== OWNED) violation(`H5: ${what} ended with code ${first.code}, signal ${first.signal}, not ${OWNED}\n${process.log()}`);
    else if (!CLEAR.test(process.log())) violation(`H5: ${what} did not say why it ended: ${process.log()}`);
    return true;
  };
  return {
    name: 'owners',
    starts: () => starts,
    feasible: () => Promise.resolve(null),
    async setup() {},
    async inject(field) {
      const { rng, home, folder, server, log, violation } = field;
      const db = join(home, 'muster.db');
      await new Promise((resolve) => { setTimeout(resolve, rng.int(50, 400)); });
      const ways = Array.from({ length: RIVALS }, () => rng.pick(WAYS.slice(0, -1)));
      // Last and alone: while the file has two names nobody may start on it, by whichever.
      for (const batch of [ways, ['hard link'] as const]) {
        const ended = await Promise.all(batch.map((way) => rival(pathBy(way, db, folder))).map((process, i) => ends(process, `a rival by ${batch[i]}`, field)));
        rmSync(join(folder, 'by-hard-link'), { force: true });
        for (const [i, hasEnded] of ended.entries()) if (!hasEnded) violation(`H5: TWO OWNERS: a rival by ${batch[i]} serves beside the owner`);
      }
      if (server().hasExited) violation(`H5: the owner ended\n${server().log()}`);
      log(`rivals by ${ways.join(', ')} and hard link`);
      await server().kill();
    },
    async heal(field) {
      const { rng, home, folder, log, violation, startServer } = field;
      const ways = Array.from({ length: CROWD }, () => rng.pick(WAYS.slice(0, -1)));
      const crowd = ways.map((way) => rival(pathBy(way, join(home, 'muster.db'), folder)));
      const ended = await Promise.all(crowd.map((process, i) => ends(process, `one of a crowd, by ${ways[i]}`, field)));
      const winners = crowd.filter((_, i) => ended[i] === false);
      if (winners.length !== 1) violation(`H5: ${winners.length === 0 ? 'NO OWNER' : 'TWO OWNERS'}: of ${CROWD} that started at once after a kill ${winners.length} serve`);
      log(`a crowd of ${CROWD}; ${winners.length} serves`);
      for (const winner of winners) await winner.kill(); // and leaves its lock behind once more
      await startServer();
    },
    async teardown() { for (const process of rivals) await process.kill(); },
    facts: () => `${starts} starts beside the owner or at once; ms to end p50 ${at(took, 0.5)}, max ${at(took, 1)}`,
  };
};

const at = (values: readonly number[], p: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? 0;
