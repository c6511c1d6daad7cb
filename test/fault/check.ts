// The invariants of RELIABILITY 6.3 that can be read off the file alone: I2 to I5, I7 to I9 and I14 here, I8 also in history.ts,
// I10, I11 and I13 in check-kept.ts. Opened
// read-only, after the server died and after it came to rest. Nothing of src/ is used: this is the other opinion.
import Database from 'better-sqlite3';
import { crc32 } from 'node:zlib';
import { checkOutput, checkSchedules, checkSums } from './check-kept.ts';
import { checkHistory, type EventRow, isFinal, type JobRow } from './history.ts';

export interface Picture {
  readonly jobs: ReadonlyMap<number, JobRow>;
  readonly byId: ReadonlyMap<string, JobRow>;
  readonly children: ReadonlyMap<number, readonly JobRow[]>;
  /** In order of seq. */
  readonly events: readonly (EventRow & { readonly job_key: number; readonly root_key: number })[];
  /** Rows of ended attempts, by job. */
  readonly attempts: ReadonlyMap<number, number>;
  /** The newest cursor given out. */
  readonly lastSeq: number;
}

interface Spec {
  readonly width?: number;
  readonly completion?: 'all' | 'any' | { readonly count?: number; readonly percent?: number };
  readonly onParentCancel?: string;
  readonly sealed?: boolean;
  readonly finalCall?: boolean;
  readonly callback?: string;
  readonly timeout?: number;
}
export const specOf = (job: JobRow): Spec => (job.spec === null ? {} : JSON.parse(job.spec));

export function openReadOnly(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  db.function('crc32', { deterministic: true }, (value: unknown) => (value === null ? 0 : crc32(Buffer.isBuffer(value) ? value : String(value))));
  return db;
}

export function groupBy<T>(list: Iterable<T>, keyOf: (item: T) => number | null): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of list) {
    const key = keyOf(item);
    if (key === null) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

export function readPicture(db: Database.Database): Picture {
  return db.transaction((): Picture => {
    const jobs = db.prepare('SELECT * FROM job').all() as JobRow[];
    const events = db.prepare('SELECT seq, job_key, root_key, at, type, data FROM event ORDER BY seq').all() as Picture['events'];
    const attempts = db.prepare('SELECT job_key, count(*) FROM attempt GROUP BY job_key').raw(true).all() as [number, number][];
    const kept = Number(db.prepare("SELECT value FROM meta WHERE name = 'last_seq'").pluck().get() ?? 0);
    return {
      jobs: new Map(jobs.map((job) => [job.key, job])), byId: new Map(jobs.map((job) => [job.id, job])),
      children: groupBy(jobs, (job) => job.parent_key), events, attempts: new Map(attempts), lastSeq: Math.max(kept, events.at(-1)?.seq ?? 0),
    };
  })();
}

/**
 * @param isExplained a seq that is not there because its job was deleted on request
 * @returns what is wrong, each beginning with its invariant
 */
export function checkDatabase(db: Database.Database, picture: Picture, isExplained: (seq: number) => boolean = () => false): string[] {
  const events = groupBy(picture.events, (event) => event.job_key);
  return [
    ...checkFile(db), ...checkLog(picture, isExplained), ...checkTallies(db, picture), ...checkOutput(db, picture.jobs), ...checkSchedules(db, picture.byId),
    ...[...picture.jobs.values()].flatMap((job) => [
      ...checkHistory(job, events.get(job.key) ?? [], picture.attempts.get(job.key) ?? 0),
      ...checkParent(job, picture), ...checkOwner(job, picture),
    ]),
  ];
}

/** I13, I14. */
function checkFile(db: Database.Database): string[] {
  const wrong: string[] = [];
  for (const { integrity_check: found } of db.pragma('integrity_check(5)') as { integrity_check: string }[]) if (found !== 'ok') wrong.push(`I14: integrity_check: ${found}`);
  for (const row of db.pragma('foreign_key_check') as object[]) wrong.push(`I14: foreign_key_check: ${JSON.stringify(row)}`);
  const journal = db.pragma('journal_mode', { simple: true });
  if (journal !== 'wal') wrong.push(`I14: journal_mode is ${String(journal)}`);
  wrong.push(...checkSums(db));
  const bare = db.prepare('SELECT count(*) FROM job WHERE key NOT IN (SELECT job_key FROM input)').pluck().get() as number;
  if (bare > 0) wrong.push(`I13: ${bare} jobs have no input`);
  return wrong;
}

/** I2: no hole but those that deletions explain. */
function checkLog(picture: Picture, isExplained: (seq: number) => boolean): string[] {
  const wrong: string[] = [];
  let expected = 1;
  const missUntil = (seq: number): void => {
    for (; expected < seq; expected++) if (!isExplained(expected)) wrong.push(`I2: event ${expected} is not there, and nothing that was deleted explains it`);
  };
  for (const event of picture.events) {
    missUntil(event.seq);
    expected = event.seq + 1;
    const job = picture.jobs.get(event.job_key);
    if (job === undefined) wrong.push(`I2: event ${event.seq} belongs to no job`);
    else if (job.root_key !== event.root_key) wrong.push(`I2: event ${event.seq} names another root than its job ${job.id}`);
  }
  missUntil(picture.lastSeq + 1);
  return wrong;
}

function checkTallies(db: Database.Database, picture: Picture): string[] {
  const counted = new Map<string, number>();
  for (const { type, status } of picture.jobs.values()) counted.set(`${type} ${status}`, (counted.get(`${type} ${status}`) ?? 0) + 1);
  const kept = new Map(db.prepare("SELECT type || ' ' || status, n FROM job_count WHERE n <> 0").raw(true).all() as [string, number][]);
  return [...new Set([...counted.keys(), ...kept.keys()])].filter((name) => counted.get(name) !== kept.get(name))
    .map((name) => `I5: job_count says ${kept.get(name) ?? 0} ${name}, a recount ${counted.get(name) ?? 0}`);
}

/** I5: counters as a recount has them, nobody let in beyond the width, and an end that the batch's rules allow. */
function checkParent(job: JobRow, picture: Picture): string[] {
  const wrong: string[] = [];
  const say = (what: string): void => { wrong.push(`I5: job ${job.id} (${job.type}, ${job.status}): ${what}`); };
  const children = picture.children.get(job.key) ?? [];
  const count = (holds: (child: JobRow) => boolean): number => children.filter(holds).length;
  const recount = {
    total: children.length, open: count(({ status }) => !isFinal(status)), waiting: count(({ gate, status }) => gate === 'parent' && !isFinal(status)),
    completed: count(({ status }) => status === 'completed'), failed: count(({ status }) => status === 'failed'), cancelled: count(({ status }) => status === 'cancelled'),
  };
  const kept = { total: job.child_total, open: job.child_open, waiting: job.child_waiting, completed: job.child_completed, failed: job.child_failed, cancelled: job.child_cancelled };
  if (JSON.stringify(kept) !== JSON.stringify(recount)) say(`its counters are ${JSON.stringify(kept)}, a recount gives ${JSON.stringify(recount)}`);
  for (const child of children) if (child.root_key !== job.root_key || child.depth !== job.depth + 1) say(`its child ${child.id} stands in another tree or level`);

  const spec = specOf(job);
  const isSealed = spec.sealed ?? true;
  const { completed, total, open, waiting } = recount;
  const rule = spec.completion ?? 'all';
  const needed = rule === 'any' ? 1 : typeof rule === 'object' && rule.count !== undefined ? rule.count
    : !isSealed ? Infinity : typeof rule === 'object' ? Math.ceil((total * (rule.percent ?? 100)) / 100) : total;
  const code = job.error === null ? '' : (JSON.parse(job.error) as { code: string }).code;
  if (isFinal(job.status) && open > 0 && (job.status === 'completed' || spec.onParentCancel !== 'abandon')) say(`it ended before ${open} of its children`);
  if (job.status === 'completed' && spec.finalCall !== true && total > 0 && completed < needed) say(`${completed} of ${total} children completed, its rule needs ${needed}`);
  if (job.status === 'failed' && code === 'child_failed' && completed >= needed) say(`it failed for its children, of which ${completed} completed and ${needed} were needed`);
  if (isFinal(job.status)) return wrong;
  if (job.status === 'running' && job.lease_until === null) {
    if (open === 0 && isSealed) say('nothing of it is open, and it has not ended');
    if (waiting > 0 && open - waiting < (spec.width ?? Infinity)) say(`${waiting} children wait, ${open - waiting} are let in of ${spec.width ?? 'any number'}: nobody lets the next one in`);
  }
  if (open - waiting > (spec.width ?? Infinity)) say(`${open - waiting} children are let in, its width is ${spec.width}`);
  return wrong;
}

/** I7: whatever waits, something will wake it. */
function checkOwner(job: JobRow, picture: Picture): string[] {
  const wrong: string[] = [];
  const say = (what: string): void => { wrong.push(`I7: job ${job.id} (${job.type}, ${job.status}): ${what}`); };
  if (isFinal(job.status)) return wrong;
  const wakesBy = (at: number): boolean => job.alarm_at !== null && job.alarm_at <= at;
  if (job.deadline_at !== null && !wakesBy(job.deadline_at)) say(`its deadline is ${job.deadline_at}, its alarm ${job.alarm_at}`);
  // What the server runs itself it takes back at its next start (I6); while it lives, the simulation asks whether it knows each such run.
  if (job.lease_until !== null && job.worker !== 'local' && !wakesBy(job.lease_until)) say(`its lease ends ${job.lease_until}, its alarm is ${job.alarm_at}`);
  const { timeout } = specOf(job);
  if (timeout !== undefined && job.lease_until !== null && job.ending === null && job.claimed_at !== null && !wakesBy(job.claimed_at + timeout)) say(`its attempt began ${job.claimed_at} with a timeout of ${timeout}, its alarm is ${job.alarm_at}`);
  if (job.status !== 'queued' && job.status !== 'retry') return wrong;
  if (job.gate === 'open' && job.due_at !== null && job.ready === 0 && !wakesBy(job.due_at)) say(`it is due at ${job.due_at}, not ready, and its alarm is ${job.alarm_at}`);
  const parent = job.parent_key === null ? undefined : picture.jobs.get(job.parent_key);
  if (job.gate === 'parent' && (parent === undefined || isFinal(parent.status))) say('it waits for a parent that has ended');
  if (job.gate === 'ancestor') {
    let above = parent;
    while (above !== undefined && !isFinal(above.status) && above.status !== 'paused') above = above.parent_key === null ? undefined : picture.jobs.get(above.parent_key);
    if (above?.status !== 'paused') say('it was put aside for a paused ancestor, and there is none');
  }
  return wrong;
}
