// Ways to damage a database, each drawn from the seed. What an image must come to is not said here but for the few whose
// harm SQLite cannot see; the judge asks an oracle of its own.
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Rng } from '../rng.ts';
import type { Base, Bases } from './bases.ts';

const PAGE = 4_096;
const SECTOR = 512;
const WAL_HEADER = 32;
const FRAME = PAGE + 24;

export interface Image {
  readonly base: Base;
  /** What was done, for the failure message. */
  readonly what: string;
}

interface Files { db: Buffer; wal: Buffer | null; shm: Buffer | null }
type Harm = (files: Files, rng: Rng, bases: Bases) => string;

const at = (rng: Rng, size: number, unit = 1): number => rng.int(0, Math.max(0, Math.ceil(size / unit) - 1)) * unit;
function flip(bytes: Buffer, offset: number, rng: Rng): string {
  const bit = rng.int(0, 7);
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
  return `bit ${bit} of byte ${offset}`;
}
const garbage = (rng: Rng, length: number): Buffer => Buffer.from(Array.from({ length }, () => rng.int(0, 255)));
const cut = (bytes: Buffer, rng: Rng, unit: number): Buffer => bytes.subarray(0, at(rng, bytes.length, unit));

/** A text that stands in the file in one piece, and where. */
function payload(files: Files, base: Base, rng: Rng): { offset: number; length: number; what: string } {
  for (let i = 0; i < 1_000; i++) {
    const table = rng.pick(['input', 'event']);
    const { columns, rows } = base.tables.get(table)!;
    const row = rng.pick([...rows.values()]);
    const text = row[columns.indexOf(table === 'input' ? 'body' : 'data')];
    if (typeof text !== 'string' || text.length < 24) continue;
    const length = Buffer.byteLength(text);
    const offset = files.db.indexOf(text);
    if (offset >= 0) return { offset, length, what: `${table} ${row[0]}` };
  }
  throw new Error('no payload found in the file');
}

/** On the killed base the file is still to take its log; on the clean one it is all there is. */
const eitherBase = (rng: Rng, bases: Bases): Base => rng.pick([bases.killed, bases.clean]);
const killed = (_rng: Rng, bases: Bases): Base => bases.killed;
const clean = (_rng: Rng, bases: Bases): Base => bases.clean;

/** A number of the file's header, big endian. */
function header(name: string, offset: number, value: number): Harm {
  return ({ db }) => {
    db.writeUInt32BE(value, offset);
    return `${name} ${value}`;
  };
}

export const HARMS: Readonly<Record<string, { readonly base: (rng: Rng, bases: Bases) => Base; readonly harm: Harm | 'directory' }>> = {
  'zeroed page': { base: eitherBase, harm: ({ db }, rng) => { const from = at(rng, db.length, PAGE); db.fill(0, from, from + PAGE); return `page at ${from}`; } },
  'garbage sector': { base: eitherBase, harm: ({ db }, rng) => { const from = at(rng, db.length, SECTOR); garbage(rng, SECTOR).copy(db, from); return `sector at ${from}`; } },
  'cut at a page': { base: eitherBase, harm: (files, rng) => { files.db = cut(files.db, rng, PAGE); return `${files.db.length} bytes left`; } },
  'cut anywhere': { base: eitherBase, harm: (files, rng) => { files.db = cut(files.db, rng, 1); return `${files.db.length} bytes left`; } },
  'header bytes': { base: eitherBase, harm: ({ db }, rng) => { const from = at(rng, 100); const bytes = garbage(rng, rng.int(1, 4)); bytes.copy(db, from); return `${bytes.toString('hex')} at ${from}`; } },
  'flip in the file': { base: eitherBase, harm: ({ db }, rng) => flip(db, at(rng, db.length), rng) },
  'flip in a page header': { base: clean, harm: ({ db }, rng) => flip(db, at(rng, db.length, PAGE) + rng.int(0, 40), rng) },
  'flip in a payload': { base: clean, harm: (files, rng, bases) => { const { offset, length, what } = payload(files, bases.clean, rng); return `${what}, ${flip(files.db, offset + rng.int(0, length - 1), rng)}`; } },
  'flip in the log': { base: killed, harm: ({ wal }, rng) => flip(wal!, at(rng, wal!.length), rng) },
  'log cut': { base: killed, harm: (files, rng) => { files.wal = cut(files.wal!, rng, 1); return `${files.wal.length} bytes left`; } },
  'garbage after the log': { base: killed, harm: (files, rng) => { files.wal = Buffer.concat([files.wal!, garbage(rng, rng.pick([100, FRAME, 3 * FRAME]))]); return 'garbage after its end'; } },
  'frames of another life after the log': { base: killed, harm: (files, _rng, bases) => { files.wal = Buffer.concat([files.wal!, bases.staleWal.subarray(WAL_HEADER)]); return 'frames with an old salt'; } },
  'log of an earlier life': { base: eitherBase, harm: (files, _rng, bases) => { files.wal = bases.staleWal; files.shm = null; return 'stale log'; } },
  'log of another database': { base: eitherBase, harm: (files, _rng, bases) => { files.wal = bases.foreign.wal; files.shm = null; return 'foreign log'; } },
  'no log': { base: killed, harm: (files, rng) => { files.wal = null; if (rng.chance(0.5)) files.shm = null; return 'the log is gone'; } },
  'another shm': { base: killed, harm: (files, rng, bases) => { files.shm = rng.chance(0.5) ? bases.foreign.shm : garbage(rng, 32_768); return 'shm'; } },
  'wrong application_id': { base: clean, harm: header('application_id', 68, 1_234) },
  'newer schema': { base: clean, harm: header('user_version', 60, 999) },
  'empty file': { base: clean, harm: (files) => { files.db = Buffer.alloc(0); return 'empty'; } },
  'empty file beside its log': { base: killed, harm: (files) => { files.db = Buffer.alloc(0); return 'empty, with a log'; } },
  'text file': { base: clean, harm: (files, rng) => { files.db = Buffer.from('Dear diary, '.repeat(rng.int(1, 5_000))); return 'text'; } },
  directory: { base: clean, harm: 'directory' },
};
export const HARM_NAMES = Object.keys(HARMS);

/** Writes the damaged files. */
export function makeImage(name: string, rng: Rng, bases: Bases, path: string): Image {
  const { base: baseOf, harm } = HARMS[name]!;
  const base = baseOf(rng, bases);
  if (harm === 'directory') {
    mkdirSync(path);
    return { base, what: 'a directory' };
  }
  const files: Files = { db: Buffer.from(base.db), wal: base.wal === null ? null : Buffer.from(base.wal), shm: base.shm };
  const what = harm(files, rng, bases);
  writeFileSync(path, files.db);
  if (files.wal !== null) writeFileSync(`${path}-wal`, files.wal);
  if (files.shm !== null) writeFileSync(`${path}-shm`, files.shm);
  return { base, what: `${name} of the ${base.name} database: ${what}` };
}
