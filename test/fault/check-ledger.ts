// What was asked and answered, heard on streams and seen by participants, held against the file: I1, I6, I7, I9, and that
// streams have no hole, no repeat and nothing that was never committed.
import type Database from 'better-sqlite3';
import { groupBy, type Picture, specOf } from './check.ts';
import { isFinal, type JobRow } from './history.ts';
import type { Deed, Ledger } from './ledger.ts';
import type { Participant } from './participant.ts';
import type { Reader } from './readers.ts';

export interface Outside {
  readonly ledger: Ledger;
  readonly participant: Pick<Participant, 'seen' | 'callbacks'>;
  /** Followed everything from the first event. */
  readonly firehose: Reader;
  /** Followed one job's own stream from its first event. */
  readonly readers: readonly Reader[];
  /** When nobody was there to keep a deadline, epoch ms. */
  readonly downtime: readonly { readonly from: number; readonly to: number }[];
}

/** A sweep and its commit; RELIABILITY I7. */
const DEADLINE_SLACK = 5_000;

/** Members of trees whose deletion was asked for, with what became of the asking. */
function deletions(ledger: Ledger): Map<string, Deed> {
  return new Map(ledger.deeds.filter((deed) => deed.verb === 'delete' && deed.status !== 409).flatMap((deed) => (deed.members ?? []).map((id) => [id, deed] as const)));
}

/** Was this event heard, of a job that was then deleted? */
export function explainsHole({ ledger, firehose }: Outside): (seq: number) => boolean {
  const deleted = deletions(ledger);
  return (seq) => deleted.has(firehose.heard.get(seq)?.jobId ?? '');
}

export function checkOutside(db: Database.Database, picture: Picture, outside: Outside): string[] {
  const deleted = deletions(outside.ledger);
  return [
    ...checkSubmissions(db, picture, outside.ledger, deleted), ...checkDeeds(picture, outside.ledger, deleted),
    ...checkStreams(picture, outside, deleted), ...checkWork(db, picture, outside), ...checkDeadlines(picture, outside),
  ];
}

/** I1: what was acknowledged is there once and whole; what was not is there whole or not at all, and never twice. */
function checkSubmissions(db: Database.Database, picture: Picture, ledger: Ledger, deleted: ReadonlyMap<string, Deed>): string[] {
  const wrong: string[] = [];
  const tagged = db.prepare("SELECT tag, job.id FROM job_tag JOIN job ON job.key = job_key").raw(true).all() as [string, string][];
  const byToken = new Map<string, Set<string>>();
  for (const [tag, id] of tagged) byToken.set(tag, (byToken.get(tag) ?? new Set<string>()).add(id));
  for (const { token, size, key, ids, refused, tries } of ledger.submissions.values()) {
    const found = byToken.get(token) ?? new Set<string>();
    const name = `${token}${key === null ? '' : ` (${key}, ${tries} tries)`}`;
    const isDeleted = ids?.some((id) => deleted.has(id)) ?? false;
    if (found.size > size) wrong.push(`I1: ${name} is there ${found.size / size} times: ${[...found].slice(0, 5).join()}`);
    else if (found.size !== 0 && found.size !== size) wrong.push(`I1: of ${name} ${found.size} of ${size} jobs are there; a submission is all or nothing`);
    else if (ids !== null && !isDeleted && found.size === 0) wrong.push(`I1: LOST: ${name} was acknowledged as ${ids.join()} and is not there`);
    if (refused && found.size > 0) wrong.push(`I1: ${name} was refused and is there`);
    for (const id of ids ?? []) if (found.size > 0 && !found.has(id)) wrong.push(`I1: ${name} was acknowledged as ${id}, which is not what is there`);
  }
  for (const id of ledger.acked) if (!deleted.has(id) && !picture.byId.has(id)) wrong.push(`I1: LOST: job ${id} was acknowledged and is not there`);
  for (const [id, { status, jobId }] of deleted) {
    if (status === 204 && picture.byId.has(id)) wrong.push(`I1: ${id} is there after the deletion of ${jobId} was acknowledged`);
    if (picture.byId.has(id) !== picture.byId.has(jobId)) wrong.push(`I1: the tree of ${jobId} is half deleted at ${id}`);
  }
  return wrong;
}

/** I1 for verbs: each acknowledged one stands in the log, and none more often than it was asked. */
function checkDeeds(picture: Picture, ledger: Ledger, deleted: ReadonlyMap<string, Deed>): string[] {
  const wrong: string[] = [];
  const events = groupBy(picture.events, (event) => event.job_key);
  const byJob = new Map<string, Deed[]>();
  for (const deed of ledger.deeds) if (deed.verb !== 'delete') byJob.set(deed.jobId, [...(byJob.get(deed.jobId) ?? []), deed]);
  for (const [id, deeds] of byJob) {
    if (deleted.has(id)) continue;
    const job = picture.byId.get(id);
    if (job === undefined) { wrong.push(`I1: LOST: job ${id} was acted on and is not there`); continue; }
    const told = (events.get(job.key) ?? []).filter(({ type }) => type === 'job:status' || type === 'job:error')
      .map((event) => JSON.parse(event.data ?? '{}') as { status: string; reason?: string; error?: { message: string } });
    const expect = (name: string, verbs: readonly string[], count: number, atMost: boolean): void => {
      const asked = deeds.filter(({ verb }) => verbs.includes(verb));
      const acked = asked.filter(({ status }) => status === 200).length;
      const maybe = acked + asked.filter(({ status }) => status === null || status === 503).length;
      if (count < acked) wrong.push(`I1: LOST: ${acked} times ${name} of ${id} was acknowledged, its events tell of ${count}`);
      if (atMost && count > maybe) wrong.push(`I1: ${name} of ${id} was asked ${maybe} times, its events tell of ${count}`);
    };
    const reason = (word: string): number => told.filter((each) => each.reason === word).length;
    expect('edit', ['edit'], reason('edit'), true);
    expect('resume', ['resume'], reason('resume'), true);
    expect('pause', ['pause'], told.filter(({ status, reason: why }) => status === 'paused' && why === undefined).length, true);
    // A retry of a job that backs off is a start; a retry of a parent takes its failed children with it.
    expect('start or retry', ['start', 'retry'], reason('start') + reason('retry'), job.parent_key === null);
    for (const { verb, mark, status } of deeds) {
      if (verb !== 'cancel') continue;
      const count = told.filter(({ error }) => error?.message === mark).length;
      if (count > 1 || (status === 200 && count === 0) || (status === 409 && count > 0)) wrong.push(`I1: ${status === 200 ? 'LOST: ' : ''}cancel "${mark}" of ${id} was answered ${status}, its events tell of ${count}`);
    }
  }
  return wrong;
}

/** No hole, no repeat (the readers watch that themselves), nothing out of thin air. */
export function checkStreams(picture: Picture, { firehose, readers }: Pick<Outside, 'firehose' | 'readers'>, deleted: ReadonlyMap<string, Deed> = new Map()): string[] {
  const wrong = [firehose, ...readers].flatMap(({ violations }) => violations);
  const stored = new Map(picture.events.map((event) => [event.seq, event]));
  const hole = (reader: Reader, seq: number): void => { wrong.push(`HOLE: stream ${reader.path} is at ${reader.position} and never gave ${seq}`); };
  for (const { seq } of picture.events) if (seq <= firehose.position && !firehose.heard.has(seq)) hole(firehose, seq);
  for (const reader of [firehose, ...readers]) {
    for (const [seq, { jobId, type, status }] of reader.heard) {
      const event = stored.get(seq);
      if (event === undefined) {
        if (!deleted.has(jobId)) wrong.push(`stream ${reader.path} gave ${seq} of ${jobId}, which was never committed or was lost`);
        continue;
      }
      const id = picture.jobs.get(event.job_key)?.id;
      const isStatus = event.type !== 'job:log' && event.type !== 'job:progress' && event.type !== 'job:gap' && event.type !== 'job:trajectory';
      if (id !== jobId || event.type !== type) wrong.push(`stream ${reader.path} gave ${seq} as ${type} of ${jobId}; it is ${event.type} of ${id}`);
      else if (isStatus && type === 'job:status' && (JSON.parse(event.data ?? '{}') as { status: string }).status !== status) wrong.push(`stream ${reader.path} gave ${seq} with status ${status}; it says ${event.data}`);
    }
  }
  const above = new Map<number, Set<number>>();
  const lineOf = (key: number): Set<number> => {
    let line = above.get(key);
    if (line === undefined) {
      const parent = picture.jobs.get(key)?.parent_key ?? null;
      above.set(key, (line = new Set([key, ...(parent === null ? [] : lineOf(parent))])));
    }
    return line;
  };
  const byRoot = groupBy(picture.events, (event) => event.root_key);
  for (const reader of readers) {
    const job = picture.byId.get(/job_[0-9a-z]+/.exec(reader.path)?.[0] ?? '');
    if (job === undefined) continue; // deleted
    for (const { seq, job_key: key } of byRoot.get(job.root_key) ?? []) {
      if (seq <= reader.position && lineOf(key).has(job.key) && !reader.heard.has(seq)) hole(reader, seq);
    }
  }
  return wrong;
}

/** I9 and I8 from the other side: results are what a participant said to the last attempt; nobody paid for a kill. */
function checkWork(db: Database.Database, picture: Picture, { participant }: Outside): string[] {
  const wrong: string[] = [];
  const finals = new Map(picture.events.filter(({ type }) => type !== 'job:status').map((event) => [event.seq, event]));
  const endings = new Map<number, number>();
  for (const { type, job_key: key } of picture.events) if (type === 'job:complete' || type === 'job:error') endings.set(key, (endings.get(key) ?? 0) + 1);
  const calls = db.prepare("SELECT job_key, body ->> '$.url', body ->> '$.about' FROM input WHERE body ->> '$.url' IS NOT NULL").raw(true).all() as [number, string, string | null][];
  const reports = new Map<string, JobRow[]>();
  for (const [key, url, about] of calls) {
    const job = picture.jobs.get(key);
    if (job === undefined) continue;
    if (about !== null) reports.set(about, [...(reports.get(about) ?? []), job]);
    const code = job.error === null ? '' : (JSON.parse(job.error) as { code: string }).code;
    if (job.status === 'failed' && url.includes('/p/') && ['attempts_exhausted', 'http_status', 'network', 'timeout', 'invalid_answer'].includes(code)) {
      wrong.push(`I8: job ${job.id} failed with ${code}, though it had an attempt for each failure its participant makes: ${job.error}`);
    }
    if (job.status !== 'completed') continue;
    const result = (JSON.parse(finals.get(job.final_seq ?? 0)?.data ?? '{}') as { result?: { job?: string; attempt?: number } }).result;
    if (result?.job !== job.id || result.attempt !== job.attempt) wrong.push(`I9: job ${job.id} ended attempt ${job.attempt} with the answer to another: ${JSON.stringify(result)}`);
    else if (participant.seen.get(job.id)?.completed.has(job.attempt) !== true) wrong.push(`I9: job ${job.id} completed with an answer that no participant gave`);
  }
  for (const job of picture.jobs.values()) {
    if (specOf(job).callback === undefined) continue;
    const list = reports.get(job.id) ?? [];
    if (list.length !== (endings.get(job.key) ?? 0)) wrong.push(`I4: job ${job.id} ended ${endings.get(job.key) ?? 0} times and has ${list.length} callbacks`);
    if (list.some(({ status }) => status === 'completed') && !participant.callbacks.has(job.id)) wrong.push(`I9: the callback of ${job.id} completed and was never received`);
  }
  return wrong;
}

/** I7: nothing outlives its deadline by more than a sweep, but for the time nobody was there. */
function checkDeadlines(picture: Picture, { downtime }: Outside): string[] {
  return [...picture.jobs.values()].flatMap((job) => {
    if (job.deadline_at === null || job.ended_at === null) return [];
    const { deadline_at: due, ended_at: ended } = job;
    const excused = downtime.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(to, ended) - Math.max(from, due)), 0);
    return ended - due > DEADLINE_SLACK + excused ? [`I7: job ${job.id} ended ${ended - due} ms after its deadline, ${excused} ms of them without a server`] : [];
  });
}

/** After everything was let go and given time: nothing is left that is not final, and every stream has ended. */
export function checkRest(picture: Picture, { firehose, readers }: Pick<Outside, 'firehose' | 'readers'>): string[] {
  const stuck = [...picture.jobs.values()].filter(({ status }) => !isFinal(status));
  return [
    ...stuck.map((job) => `STUCK: job ${job.id} (${job.type}) is ${job.status}, gate ${job.gate}, due ${job.due_at}, alarm ${job.alarm_at}, children open ${job.child_open} waiting ${job.child_waiting}, lease ${job.lease_until}`),
    ...readers.filter((reader) => !reader.isOver).map((reader) => `STUCK: stream ${reader.path} has not ended, it is at ${reader.position}`),
    ...(firehose.position < picture.lastSeq && picture.events.at(-1)?.seq !== firehose.position ? [`STUCK: the stream of everything stands at ${firehose.position}, the log at ${picture.events.at(-1)?.seq}`] : []),
  ];
}
