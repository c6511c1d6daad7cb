// What an image had to come to, by an oracle of its own: SQLite's integrity_check through a plain connection on a copy, and
// every row of every table held against the undamaged database.
import { existsSync, statSync } from 'node:fs';
import { checkDatabase, openReadOnly, readPicture } from '../check.ts';
import { type Base, readTables } from './bases.ts';
import type { Told } from './tryout.ts';

export interface Oracle {
  /** What integrity_check (or opening it) says, or null if it is sound. */
  readonly damage: string | null;
  /** Cells that are not what they were, as table.column; "table missing" and "table more" for rows. */
  readonly changed: readonly string[];
  /** The rows are those of some moment before: every event up to one is as it was, and none after it is there. */
  readonly isEarlier: boolean;
  /** Broken invariants of check.ts. */
  readonly broken: readonly string[];
}

export type Verdict =
  | 'refused' | 'as it was' | 'row refused' | 'an earlier moment' | 'another database' | 'a new database' | 'unguarded column' | 'VIOLATION';

/** Texts with a checksum of their own: a change of one may be refused, never served. */
const GUARDED = /^(event\.data|event\.sum|input\.body|input\.sum)$/;
/** One of these in a log means the schema or the file is not ours; the oracle calls such a file sound. */
const OTHERWISE_REFUSED = ['wrong application_id', 'newer schema', 'directory', 'header bytes'];

export function askOracle(copy: string, base: Base): Oracle {
  // Nothing is what a new database is made of; with a log beside it, it was one.
  if (existsSync(copy) && statSync(copy).size === 0) {
    return { damage: existsSync(`${copy}-wal`) && statSync(`${copy}-wal`).size > 0 ? 'it is empty, and has a log' : null, changed: [...base.tables.keys()].map((table) => `${table} missing`), isEarlier: false, broken: [] };
  }
  try {
    const db = openReadOnly(copy);
    let damage: string;
    let broken: string[] = [];
    try {
      damage = String(db.pragma('integrity_check(1)', { simple: true }));
      if (damage === 'ok') broken = invariants(db);
    } finally {
      db.close();
    }
    if (damage !== 'ok') return { damage, changed: [], isEarlier: false, broken };
    return { damage: null, ...compare(readTables(copy), base.tables), broken };
  } catch (error) {
    return { damage: String(error), changed: [], isEarlier: false, broken: [] };
  }
}

function invariants(db: ReturnType<typeof openReadOnly>): string[] {
  try {
    return checkDatabase(db, readPicture(db), () => true);
  } catch (error) {
    return [String(error)]; // a text that is no JSON any more
  }
}

function compare(now: Base['tables'], before: Base['tables']): Pick<Oracle, 'changed' | 'isEarlier'> {
  const changed = new Set<string>();
  for (const [name, { columns, rows }] of before) {
    const others = now.get(name)?.rows ?? new Map<string, never>();
    for (const [key, row] of rows) {
      const other = others.get(key);
      if (other === undefined) changed.add(`${name} missing`);
      else row.forEach((cell, i) => { if (cell !== other[i]) changed.add(`${name}.${columns[i]}`); });
    }
    for (const key of others.keys()) if (!rows.has(key)) changed.add(`${name} more`);
  }
  const events = now.get('event')?.rows ?? new Map();
  const old = before.get('event')!.rows;
  const last = Math.max(0, ...[...events.keys()].map(Number));
  const isPrefix = [...events].every(([key, row]) => JSON.stringify(row) === JSON.stringify(old.get(key))) && [...old.keys()].every((key) => Number(key) > last || events.has(key));
  return { changed: [...changed], isEarlier: isPrefix && changed.has('event missing') };
}

/** The exit code that main.ts gives a refusal; test/e2e and the sample of whole processes see the real one. */
export function exitOf({ code, message }: NonNullable<Told['refused']>): number {
  if (code === 'MUSTER_DAMAGED' || code === 'MUSTER_SCHEMA' || /^SQLITE_(NOTADB|CORRUPT)/.test(code)) return 65;
  return code === 'EISDIR' || (code === 'SQLITE_CANTOPEN' && message.includes('open')) ? 78 : 74;
}

/** A list that was, but for jobs that it names as damaged. */
function leavesOut(answer: string, was: string): boolean {
  if (!answer.startsWith('[') || !was.startsWith('[')) return false;
  const list = JSON.parse(answer) as unknown[];
  const out = new Set(list.flatMap((one) => (typeof one === 'string' && one.startsWith('! ') ? [one.slice(2)] : [])));
  const kept = list.filter((one) => typeof one !== 'string' || !one.startsWith('! '));
  const all = JSON.parse(was) as unknown[];
  return out.size > 0 && kept.length + out.size === all.length && JSON.stringify(kept) === JSON.stringify(all.filter((one) => !out.has(one as string)));
}

export interface Case { readonly name: string; readonly what: string; readonly oracle: Oracle; readonly told: Told; readonly reference: Told; readonly filesChanged: readonly string[] }

export function judge({ name, what, oracle, told, reference, filesChanged }: Case): { verdict: Verdict; why: string[] } {
  const why: string[] = [];
  const say = (text: string): void => { why.push(`${text}: ${what}`); };
  const end = (verdict: Verdict) => ({ verdict: why.length > 0 ? 'VIOLATION' as const : verdict, why });
  if (told.refused !== undefined) {
    const code = exitOf(told.refused);
    if (code !== 65 && !(name === 'directory' && code === 78)) say(`REFUSED WITH ${code}, not 65 (${told.refused.code} ${told.refused.message})`);
    for (const file of filesChanged) say(`CHANGED: ${file} is not what it was before the refusal (${told.refused.message})`);
    // SQLite reads on with a schema whose text was changed; who compiles statements for it is told.
    const isOurs = !oracle.changed.some((cell) => cell.startsWith('sqlite_schema'));
    if (oracle.damage === null && isOurs && !OTHERWISE_REFUSED.includes(name)) say(`REFUSED WHAT IS SOUND (${told.refused.message})`);
    return end('refused');
  }
  if (oracle.damage !== null) say(`SERVES A DAMAGED FILE (${oracle.damage})`);
  const answers = told.answers ?? {};
  const different = Object.entries(reference.answers ?? {}).filter(([ask, answer]) => answers[ask] !== answer);
  const refused = different.filter(([ask, was]) => answers[ask] === '! damaged' || leavesOut(answers[ask] ?? '', was));
  const thrown = different.filter(([ask]) => answers[ask]?.startsWith('! ') === true && answers[ask] !== '! damaged');
  for (const [ask] of thrown.slice(0, 3)) say(`UNDECLARED ERROR at "${ask}": ${answers[ask]}`);
  if (told.health !== 'ok') say(`THE STORE is ${told.health}`);
  for (const failure of told.failures ?? []) if (!/: damaged: /.test(failure)) say(`WORK STOPPED: ${failure}`);
  if (Object.keys(answers).length === 0 || oracle.changed.length === 0) {
    if (different.length > 0) say(`SILENT: the rows are as they were, and "${different[0]?.[0]}" is answered ${answers[different[0]?.[0] ?? '']?.slice(0, 200)}`);
    return end('as it was');
  }
  const isNew = oracle.changed.every((cell) => cell.endsWith(' missing') || cell.startsWith('job_count')) && answers['newest'] === '0';
  if (isNew) return end('a new database');
  for (const invariant of oracle.isEarlier || name.startsWith('log of') ? oracle.broken.slice(0, 2) : []) say(`INCONSISTENT: ${invariant}`);
  if (oracle.isEarlier) return end('an earlier moment');
  if (name === 'log of another database' && oracle.broken.length === 0) return end('another database'); // whole and sound: that log held all of it
  const served = different.filter((one) => !answers[one[0]]?.startsWith('! ') && !refused.includes(one));
  if (oracle.changed.every((cell) => GUARDED.test(cell))) {
    for (const [ask, was] of served.slice(0, 3)) say(`SILENT: "${ask}" is ${answers[ask]?.slice(0, 200)}, it was ${was.slice(0, 200)}`);
    if (refused.length === 0) say('SILENT: a text is not what was stored, and nothing was refused');
    return end('row refused');
  }
  const guarded = oracle.changed.filter((cell) => GUARDED.test(cell) || / (missing|more)$/.test(cell));
  if (guarded.length > 0) say(`SILENT: ${oracle.changed.join()}; served differently: ${served.slice(0, 3).map(([ask]) => ask).join()}`);
  return end(served.length > 0 ? 'unguarded column' : 'row refused');
}
