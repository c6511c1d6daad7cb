// What must hold after every command, recounted from the rows and the log without asking the rules that wrote them.
import { alarmAt, isReady, type Job, type JobSpec } from '../../../src/domain/job.ts';
import { type Ev, type Row, SIM_POLICIES, type World } from './world.ts';

const FINAL = new Set(['completed', 'failed', 'cancelled']);
const isOver = (job: Job): boolean => FINAL.has(job.status);
const letsGo = (job: Job): boolean => job.spec.onParentCancel === 'abandon';

/** Moves that may be seen in the log of one job. A retry from a final status starts another life. */
const MOVES: Record<string, readonly string[]> = {
  '': ['queued'],
  queued: ['queued', 'running', 'paused', 'completed', 'failed', 'cancelled'],
  running: ['queued', 'running', 'retry', 'paused', 'completed', 'failed', 'cancelled'],
  retry: ['retry', 'running', 'paused', 'failed', 'cancelled'],
  paused: ['queued', 'running', 'paused', 'completed', 'failed', 'cancelled'],
  completed: ['completed'], failed: ['queued', 'failed'], cancelled: ['queued', 'cancelled'],
};

export class Broken extends Error {}
const must = (holds: boolean, what: string): void => { if (!holds) throw new Broken(what); };

/** Completed children that make a batch a success, written down a second time from the prose of the contract. */
export function successNeeds(spec: JobSpec, total: number): number {
  const rule = spec.completion ?? 'all';
  const whole = spec.sealed ?? true;
  if (rule === 'any') return 1;
  if (rule === 'all') return whole ? total : Infinity;
  if ('count' in rule) return rule.count;
  return whole ? Math.ceil((rule.percent / 100) * total) : Infinity;
}

/** What the log has said so far; each event is read once. */
export class Log {
  cursor = 0;
  readonly last = new Map<string, string>();
  readonly ends = new Map<number, string>();
}

export function check(world: World, log: Log): Row[] {
  const rows = world.rows();
  const byId = new Map(rows.map((row) => [row.job.id, row]));
  const childrenOf = Map.groupBy(rows.filter((row) => row.job.parentId !== null), (row) => row.job.parentId ?? '');
  for (const row of rows) checkJob(row, childrenOf.get(row.job.id) ?? [], byId, world.now);
  checkLog(world.events(log.cursor), byId, log);
  const counted = Map.groupBy(rows, ({ job }) => `${job.type} ${job.status}`);
  const kept = new Map(world.counts().map(({ type, status, n }) => [`${type} ${status}`, n]));
  for (const name of new Set([...counted.keys(), ...kept.keys()])) {
    must(kept.get(name) === counted.get(name)?.length, `job_count of ${name} is ${kept.get(name)}, recount says ${counted.get(name)?.length}`);
  }
  return rows;
}

function checkJob(row: Row, children: readonly Row[], byId: ReadonlyMap<string, Row>, now: number): void {
  const { job } = row;
  const is = (holds: boolean, what: string): void => must(holds, `${job.id} (${job.type}, ${job.status}): ${what}`);
  const open = children.filter((child) => !isOver(child.job));
  const waiting = open.filter((child) => child.job.gate === 'parent');
  const c = job.children;
  const of = (status: string): number => children.filter((child) => child.job.status === status).length;
  const recount = { total: children.length, open: open.length, waiting: waiting.length, completed: of('completed'), failed: of('failed'), cancelled: of('cancelled') };
  is(JSON.stringify(c) === JSON.stringify(recount), `counters ${JSON.stringify(c)} are not the recount ${JSON.stringify(recount)}`);

  // Room is used as soon as there is any, and never more than there is.
  const atWork = job.status === 'running' && job.leaseUntil === null;
  const inside = open.length - waiting.length;
  const width = job.spec.width ?? Infinity;
  if (atWork) is(waiting.length === 0 || inside >= width, `${waiting.length} children wait though ${inside} of ${width} places are taken`);
  const adopted = letsGo(job); // a retried parent may find children at work that it had let go
  if (!adopted) is(inside <= width, `${inside} children are inside, its width is ${width}`);
  if (job.leaseUntil !== null) is(open.length === 0, 'it runs itself while children are open');

  const gates = ancestors(job, byId);
  if (job.gate === 'parent') is(!isOver(job) && gates[0] !== undefined && !isOver(gates[0]), 'it waits for a parent that has ended');
  if (job.gate === 'ancestor') {
    const living = gates.findIndex(isOver);
    is((living < 0 ? gates : gates.slice(0, living)).some((one) => one.status === 'paused'), 'it waits for a paused ancestor and there is none');
  }

  // Derived flags are what domain/job.ts says; what came due since is promoted by the next tick, so its alarm must be past.
  const policy = SIM_POLICIES[job.type];
  const timeout = job.spec.timeout ?? policy?.timeout ?? null;
  if (row.ready) is(isReady(job, now), 'it is marked ready and is not');
  else if (isReady(job, now)) is(row.alarmAt !== null && row.alarmAt <= now, 'it is ready, not marked so, and no alarm will mark it');
  const alarms = [alarmAt(job, now, timeout)];
  if (job.dueAt !== null && job.dueAt <= now) alarms.push(alarmAt(job, job.dueAt - 1, timeout));
  is(alarms.includes(row.alarmAt), `its alarm is ${row.alarmAt}, not ${alarms.join(' or ')}`);

  if (!isOver(job)) return;
  is(row.finalSeq !== null && job.leaseUntil === null && job.endedAt !== null && job.gate === 'open', 'it ended untidily');
  for (const child of children) {
    if (!isOver(child.job)) is(adopted && job.status !== 'completed', `it ended before its child ${child.job.id}`);
    else if (!adopted) is((child.finalSeq ?? Infinity) < (row.finalSeq ?? 0), `its final event is before that of its child ${child.job.id}`);
  }
  if (children.length > 0 && job.spec.finalCall !== true && (job.status === 'completed' || job.error?.code === 'child_failed')) {
    is((job.status === 'completed') === (recount.completed >= successNeeds(job.spec, children.length)), `its verdict is not what its children come to: ${JSON.stringify(recount)}`);
  }
}

/** Nearest first. */
function ancestors(job: Job, byId: ReadonlyMap<string, Row>): Job[] {
  const list: Job[] = [];
  for (let id = job.parentId; id !== null; ) {
    const parent = byId.get(id)?.job;
    if (parent === undefined) throw new Broken(`${job.id} has lost its ancestor ${id}`);
    list.push(parent);
    id = parent.parentId;
  }
  return list;
}

/** A removed tree takes its events along; what is left keeps its order, and nothing is used twice. */
function checkLog(events: readonly Ev[], byId: ReadonlyMap<string, Row>, log: Log): void {
  const { last, ends } = log;
  for (const { jobId, type, data, seq } of events) {
    must(seq === log.cursor + 1, `event ${seq} follows ${log.cursor}`);
    log.cursor = seq;
    const before = last.get(jobId) ?? '';
    const final = type === 'job:complete' || type === 'job:error';
    must(!FINAL.has(before) || (type === 'job:status' && (data.reason === 'retry' || data.reason === 'edit')), `event ${seq} (${type}) of ${jobId} comes after its end`);
    if (type !== 'job:status' && !final) continue;
    const status = data.status ?? '';
    must((MOVES[before] ?? []).includes(status), `${jobId} went from ${before || 'nothing'} to ${status}`);
    must(final === FINAL.has(status) || data.reason === 'edit', `event ${seq} says ${status} as ${type}`);
    last.set(jobId, status);
    if (final) ends.set(seq, `${jobId} ${status}`);
  }
  for (const { job, finalSeq } of byId.values()) {
    must(last.get(job.id) === job.status, `the log of ${job.id} ends with ${last.get(job.id)}, its row says ${job.status}`);
    if (isOver(job)) must(ends.get(finalSeq ?? 0) === `${job.id} ${job.status}`, `the final event of ${job.id} is not its end`);
  }
}

/** Why a job that has not ended does not move, if someone wants it so; otherwise it is stuck. */
export function isMeant(job: Job, rows: readonly Row[], seen = new Set<string>()): boolean {
  if (seen.has(job.id)) return false;
  seen.add(job.id);
  if (job.status === 'paused' || (job.status === 'queued' && job.dueAt === null)) return true;
  const parent = rows.find((row) => row.job.id === job.parentId)?.job;
  if (job.gate === 'ancestor') return true; // the oracle has checked that one is paused
  if (job.gate === 'parent' && parent !== undefined) {
    if (parent.status !== 'running') return isMeant(parent, rows, seen);
    return rows.some((row) => row.job.parentId === parent.id && row.job.gate !== 'parent' && !isOver(row.job) && isMeant(row.job, rows, seen));
  }
  if (job.status !== 'running') return false;
  if (job.type === 'batch' && job.spec.sealed === false && job.children.open === 0) return true;
  return rows.some((row) => row.job.parentId === job.id && !isOver(row.job) && isMeant(row.job, rows, seen));
}
