// The invariants of RELIABILITY 6.3 about what stands beside jobs: what containers printed and what was dropped of it (I11),
// what schedules made (I10), and every checksum there is (I13). Read off the file alone, as check.ts does.
import type Database from 'better-sqlite3';
import { isFinal, type JobRow } from './history.ts';

/** FEATURES: 10 MB of a job's output are kept. */
const OUTPUT_MAX = 10_000_000;

/** Tables with a checksum: what it is of. */
const SUMS: readonly (readonly [table: string, of: string])[] = [
  ['event', 'data'], ['input', 'body'], ['output', 'bytes'], ['secret', 'body'], ['schedule_template', 'body'], ['document', 'body'], ['document_part', 'body'], ['access_grant', 'parameters || template'],
];

export function checkSums(db: Database.Database): string[] {
  return SUMS.flatMap(([table, of]) => {
    const bad = db.prepare(`SELECT count(*) FROM ${table} WHERE sum <> crc32(${of})`).pluck().get() as number;
    return bad > 0 ? [`I13: ${bad} rows of ${table} do not match their checksum`] : [];
  });
}

interface KeptRow { readonly key: number; readonly bytes: number; readonly dropped: number; readonly lines: number; readonly stored: number; readonly told: number }

/** I11: what is stored is what was printed less what was dropped; it stands at its events, within the cap; a gap says exactly what is not there. */
export function checkOutput(db: Database.Database, jobs: ReadonlyMap<number, JobRow>): string[] {
  const wrong: string[] = [];
  for (const table of ['output', 'kept', 'secret']) {
    const left = db.prepare(`SELECT count(*) FROM ${table} WHERE job_key NOT IN (SELECT key FROM job)`).pluck().get() as number;
    if (left > 0) wrong.push(`I11: ${left} rows of ${table} belong to no job`);
  }
  const stray = db.prepare(`SELECT o.seq, e.type, e.data FROM output o LEFT JOIN event e ON e.seq = o.seq AND e.job_key = o.job_key
    WHERE e.seq IS NULL OR e.type <> 'job:log' OR coalesce(e.data ->> '$.bytes', -1) <> length(o.bytes) LIMIT 5`).all() as { seq: number; type: string | null; data: string | null }[];
  for (const { seq, type, data } of stray) wrong.push(`I11: output ${seq} stands at ${type === null ? 'no event of its job' : `${type} ${data}`}`);
  const kept = db.prepare(`SELECT k.job_key AS key, k.bytes, k.dropped_bytes AS dropped, k.dropped_lines AS lines,
      (SELECT coalesce(sum(length(bytes)), 0) FROM output o WHERE o.job_key = k.job_key) AS stored,
      (SELECT coalesce(sum(data ->> '$.bytes'), 0) FROM event e WHERE e.job_key = k.job_key AND e.type = 'job:log' AND e.data LIKE '{"stream":%') AS told
    FROM kept k WHERE k.attempt = (SELECT max(attempt) FROM kept n WHERE n.job_key = k.job_key)`).all() as KeptRow[];
  for (const { key, bytes, dropped, lines, stored, told } of kept) {
    const job = jobs.get(key);
    if (job === undefined) continue;
    const say = (what: string): void => { wrong.push(`I11: job ${job.id}: ${what}`); };
    if (stored !== bytes - dropped) say(`${bytes} bytes were printed and ${dropped} dropped, and ${stored} are there`);
    if (stored > OUTPUT_MAX) say(`${stored} bytes are kept`);
    if (told < stored || told > bytes) say(`its events tell of ${told} bytes, of ${bytes} printed and ${stored} there`);
    const gaps = (db.prepare("SELECT data FROM event WHERE job_key = ? AND type = 'job:gap' AND data ->> '$.reason' = 'output_cap' ORDER BY seq").pluck().all(key) as string[]).map((data) => JSON.parse(data) as { bytes: number; lineCount: number });
    const last = gaps.at(-1);
    if (last !== undefined && (last.bytes > dropped || last.lineCount > lines)) say(`a gap tells of ${last.bytes} bytes and ${last.lineCount} lines dropped, and ${dropped} and ${lines} were`);
    if (job.status === 'completed' && dropped > 0 && (last?.bytes !== dropped || last.lineCount !== lines)) say(`it completed with ${dropped} bytes and ${lines} lines dropped, and its last gap says ${JSON.stringify(last ?? null)}`);
  }
  const unkept = db.prepare('SELECT count(DISTINCT job_key) FROM output WHERE job_key NOT IN (SELECT job_key FROM kept)').pluck().get() as number;
  if (unkept > 0) wrong.push(`I11: ${unkept} jobs have output and nothing that says how far it was read`);
  return wrong;
}

interface ScheduleRow {
  readonly key: number; readonly id: string; readonly status: string; readonly fired: number; readonly open: number; readonly buffered: number;
  readonly completed: number; readonly failed: number; readonly cancelled: number;
}
interface RunRow { readonly nominal_at: number; readonly status: string; readonly job_id: string | null }

/** I10: at most one job for each instant of a schedule, each with its run and each run with its job; counters as a recount has them. */
export function checkSchedules(db: Database.Database, byId: ReadonlyMap<string, JobRow>): string[] {
  const wrong: string[] = [];
  const made = new Map<string, string>();
  const ofSchedule = new Map<string, { readonly id: string; readonly at: number }>();
  for (const job of byId.values()) {
    const { schedule } = job.spec === null ? {} as { schedule?: undefined } : JSON.parse(job.spec) as { schedule?: { id: string; at: number } };
    if (schedule === undefined) continue;
    ofSchedule.set(job.id, schedule);
    const instant = `${schedule.id} ${schedule.at}`;
    const other = made.get(instant);
    if (other !== undefined) wrong.push(`I10: TWICE: schedule ${schedule.id} made ${other} and ${job.id} for ${new Date(schedule.at).toISOString()}`);
    made.set(instant, job.id);
  }
  const named = new Set<string>();
  const schedules = db.prepare('SELECT * FROM schedule').all() as ScheduleRow[];
  for (const schedule of schedules) {
    const say = (what: string): void => { wrong.push(`I10: schedule ${schedule.id}: ${what}`); };
    const runs = db.prepare('SELECT nominal_at, status, job_id FROM schedule_run WHERE schedule_key = ?').all(schedule.key) as RunRow[];
    for (const { nominal_at, status, job_id } of runs) {
      const job = job_id === null ? undefined : byId.get(job_id);
      if (job === undefined) continue; // none was made, or it was deleted since
      named.add(job.id);
      const of = ofSchedule.get(job.id);
      if (of?.id !== schedule.id || of.at !== nominal_at) say(`its run of ${nominal_at} names job ${job.id}, which says it is of ${JSON.stringify(of ?? null)}`);
      if (status !== (isFinal(job.status) ? job.status : 'running')) say(`its run of ${nominal_at} is ${status}, and job ${job.id} is ${job.status}`);
    }
    const count = (...statuses: string[]): number => runs.filter(({ status }) => statuses.includes(status)).length;
    const recount = { fired: count('running', 'completed', 'failed', 'cancelled'), open: count('running'), buffered: count('buffered'), completed: count('completed'), failed: count('failed'), cancelled: count('cancelled') };
    const { fired, open, buffered, completed, failed, cancelled } = schedule;
    const kept = { fired, open, buffered, completed, failed, cancelled };
    if (JSON.stringify(kept) !== JSON.stringify(recount)) say(`its counters are ${JSON.stringify(kept)}, a recount gives ${JSON.stringify(recount)}`);
    if (db.prepare('SELECT 1 FROM schedule_template WHERE schedule_key = ?').get(schedule.key) === undefined) say('nothing says what it makes');
  }
  const there = new Set(schedules.map(({ id }) => id));
  for (const [job, { id, at }] of ofSchedule) if (there.has(id) && !named.has(job)) wrong.push(`I10: schedule ${id}: no run names job ${job}, made for ${at}`);
  for (const status of ['active', 'paused', 'completed']) {
    const kept = (db.prepare('SELECT n FROM schedule_count WHERE name = ?').pluck().get(`schedules_${status}`) as number | undefined) ?? 0;
    const counted = schedules.filter((schedule) => schedule.status === status).length;
    if (kept !== counted) wrong.push(`I10: schedule_count says ${kept} are ${status}, a recount ${counted}`);
  }
  return wrong;
}
