// What is watched while a run goes on, commit by commit, besides what test/fault reads off the file afterwards: fencing,
// clocks, backoff, and that nothing due or ready is left lying while somebody could take it.
import type Database from 'better-sqlite3';
import type { Answer } from '../../src/domain/commands.ts';
import { LOCAL_WORKER } from '../../src/domain/job.ts';
import type { Policies } from '../../src/domain/policy.ts';
import type { Report, Task } from '../../src/store/sqlite/writer.ts';
import { openReadOnly } from '../fault/check.ts';
import type { Kernel } from './kernel.ts';
import type { Net } from './net.ts';
import type { Trace } from './trace.ts';

interface Ev { readonly seq: number; readonly id: string; readonly root: string; readonly type: string; readonly at: number; readonly data: string | null }
interface Row {
  readonly type: string; readonly spec: string | null; readonly status: string; readonly attempt: number; readonly failures: number; readonly expires_at: number | null;
  readonly deadline_at: number | null; readonly created_at: number;
}
interface Told { readonly status: string; readonly reason?: string; readonly dueAt?: number; readonly attempt: number; readonly changed?: readonly string[]; readonly error?: { readonly code: string } }

const EVENTS = `SELECT e.seq, j.id, r.id AS root, e.type, e.at, e.data FROM event e JOIN job j ON j.key = e.job_key JOIN job r ON r.key = e.root_key
  WHERE e.seq > ? ORDER BY e.seq`;
const ROW = 'SELECT type, spec, status, attempt, failures, expires_at, deadline_at, created_at FROM job WHERE id = ?';

/** How late a sweep may be when nothing holds it up, ms: its timer, a commit, and what its neighbours take. */
const SWEEP_SLACK = 5_000;

export class Laws {
  readonly violations: string[] = [];
  /** Of every event there ever was. */
  readonly jobOf = new Map<number, string>();
  readonly members = new Map<string, Set<string>>();
  /** Jobs with what became of them last, newest last. */
  readonly status = new Map<string, string>();
  events = 0;
  onJob: (id: string) => void = () => {};
  readonly #db: Database.Database;
  readonly #kernel: Kernel;
  readonly #trace: Trace;
  readonly #net: Net;
  readonly #policies: () => Policies;
  readonly #epochs = new Map<string, number>();
  /** From when the time to live counts. */
  readonly #bornAt = new Map<string, number>();
  readonly #events; readonly #row; readonly #alarm; readonly #leased; readonly #held;
  #cursor = 0;
  #overdue: { readonly id: string; readonly since: number } | null = null;

  constructor(path: string, { kernel, trace, net, policies }: { kernel: Kernel; trace: Trace; net: Net; policies: () => Policies }) {
    this.#db = openReadOnly(path);
    this.#kernel = kernel;
    this.#trace = trace;
    this.#net = net;
    this.#policies = policies;
    this.#events = this.#db.prepare(EVENTS);
    this.#row = this.#db.prepare(ROW);
    this.#alarm = this.#db.prepare('SELECT id, alarm_at FROM job WHERE alarm_at IS NOT NULL ORDER BY alarm_at LIMIT 1');
    this.#leased = this.#db.prepare('SELECT count(*) FROM job WHERE lease_until IS NOT NULL').pluck();
    this.#held = this.#db.prepare('SELECT type, count(*) FROM job WHERE worker = ? GROUP BY type').raw(true);
  }

  say(what: string): void { this.violations.push(what); }
  get db(): Database.Database { return this.#db; }
  get lastSeq(): number { return this.#cursor; }
  /** The current lease of a job, as the file has it. */
  epochOf(id: string): number { return Number(this.#db.prepare('SELECT lease_epoch FROM job WHERE id = ?').pluck().get(id) ?? 0); }
  close(): void { this.#db.close(); }

  /** After the writer has carried out a task. */
  committed(task: Task, report: Report): void {
    if (task.kind !== 'commands') return;
    const before = this.#cursor;
    const removed: string[] = [];
    if (report.kind === 'done') {
      for (const [i, done] of report.list.entries()) {
        const command = task.list[i]?.command;
        if (command === undefined) continue;
        if (!('answer' in done)) {
          this.#trace.add(`  ${command.kind} refused: ${done.refusal.code}`);
          if (done.refusal.code === 'unavailable') this.say(`DEFECT: the store could not carry out a decision: ${done.refusal.message} (${JSON.stringify(command)})`);
          continue;
        }
        this.#fencing(command.kind === 'finish' ? command.ended : command.kind === 'renew' ? command.leases : command.kind === 'note' ? [command] : [], done.answer);
        if (command.kind === 'remove') removed.push(command.jobId);
      }
    }
    const list = this.#events.all(before) as Ev[];
    const edited = new Set(list.filter(({ data }) => data?.includes('"reason":"edit"') === true).map(({ id }) => id));
    for (const event of list) this.#event(event, edited.has(event.id));
    if (removed.length > 0) { // what a commit both wrote and removed was never there to be read
      const last = Number(this.#db.prepare("SELECT max(coalesce((SELECT max(seq) FROM event), 0), coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last_seq'), 0))").pluck().get());
      for (let seq = before + 1; seq <= last; seq++) if (!this.jobOf.has(seq)) this.jobOf.set(seq, removed[0] ?? '');
      this.#cursor = Math.max(this.#cursor, last);
    }
  }

  /** I9: whoever writes to a running job holds its newest lease. */
  #fencing(refs: readonly { readonly jobId: string; readonly epoch: number }[], answer: Answer): void {
    const refused = new Map<string, number>();
    for (const { jobId } of answer.refused) refused.set(jobId, (refused.get(jobId) ?? 0) + 1);
    for (const { jobId, epoch } of refs) {
      if ((refused.get(jobId) ?? 0) > 0) continue;
      const newest = this.#epochs.get(jobId) ?? 0;
      if (epoch !== newest) this.say(`I9: lease ${epoch} of ${jobId} wrote to it, its newest is ${newest}`);
    }
    for (const { jobId } of answer.refused) this.#trace.add(`  stale: ${jobId}`);
  }

  #event(event: Ev, isEdited: boolean): void {
    const { seq, id, root, type, at, data } = event;
    this.#trace.add(`  #${seq} ${id} ${type} ${data ?? ''}`);
    this.#cursor = seq;
    this.events += 1;
    this.jobOf.set(seq, id);
    const tree = this.members.get(root) ?? new Set<string>();
    this.members.set(root, tree.add(id));
    if (type !== 'job:status' && type !== 'job:complete' && type !== 'job:error') return;
    const told = JSON.parse(data ?? '{}') as Told;
    if (!this.status.has(id)) this.onJob(id);
    this.status.set(id, told.status);
    const row = this.#row.get(id) as Row | undefined;
    if (row === undefined) return;
    if (!this.#bornAt.has(id) || told.reason === 'retry') this.#bornAt.set(id, at);
    if (told.reason === 'edit' && told.changed?.includes('ttl') === true) this.#bornAt.set(id, row.created_at);
    if (type !== 'job:status' || (told.reason !== undefined && told.reason !== 'goes_on')) return;
    if (told.status === 'running') this.#starts(id, at, row, isEdited);
    if (told.status === 'retry') this.#backsOff(id, at, told, row);
  }

  /** I7: what has expired is not started any more. */
  #starts(id: string, at: number, row: Row, isEdited: boolean): void {
    if (row.status === 'running' && row.attempt > 0) this.#epochs.set(id, this.epochOf(id));
    if (isEdited) return; // in the same commit; which came first is not to be seen
    const { ttl } = JSON.parse(row.spec ?? '{}') as { ttl?: number };
    const born = this.#bornAt.get(id) ?? at;
    if (ttl !== undefined && born + ttl <= at) this.say(`I7: job ${id} was started ${at - born - ttl} ms after its time to live of ${ttl} ms`);
    if (row.deadline_at !== null && row.deadline_at <= at) this.say(`I7: job ${id} was started ${at - row.deadline_at} ms after its deadline`);
  }

  /** B5: a delay inside the bounds of its backoff, or one that an answer named. */
  #backsOff(id: string, at: number, { dueAt }: Told, row: Row): void {
    const policy = this.#policies()[row.type];
    const spec = JSON.parse(row.spec ?? '{}') as { maxAttempts?: number; backoff?: { kind: string; base: number; cap: number; jitter: boolean } };
    const max = spec.maxAttempts ?? policy?.maxAttempts ?? 0;
    if (row.failures > max) this.say(`I8: job ${id} has failed ${row.failures} times of at most ${max}`);
    if (row.status === 'retry' && row.failures >= max) this.say(`I8: job ${id} is tried again after ${row.failures} failures of at most ${max}`);
    const backoff = spec.backoff ?? policy?.backoff;
    const delay = (dueAt ?? at) - at;
    if (backoff === undefined || row.status !== 'retry' || this.#net.asked.get(id)?.has(delay) === true) return;
    const n = Math.max(1, row.failures);
    const whole = Math.min(backoff.cap, backoff.kind === 'fixed' ? backoff.base : backoff.kind === 'linear' ? backoff.base * n : backoff.base * 2 ** (n - 1));
    const least = backoff.jitter ? whole / 2 : whole;
    if (delay < Math.floor(least) || delay > Math.ceil(whole)) this.say(`B5: job ${id} backs off ${delay} ms after failure ${n}, not ${least} to ${whole}`);
  }

  /** After recovery, before anything is claimed. */
  afterRecovery(): void {
    const left = this.#leased.get() as number;
    if (left > 0) this.say(`I6: ${left} jobs are leased by a process that is dead, after recovery`);
  }

  /** At a moment when nothing is under way, of a server that nothing has disturbed for a while. */
  atRest(ready: readonly string[], limits: readonly { readonly type: string; readonly limit: number; readonly running: number }[]): void {
    const next = this.#alarm.get() as { id: string; alarm_at: number } | undefined;
    const { mono, wall } = this.#kernel;
    if (next === undefined || next.alarm_at > wall) this.#overdue = null;
    else if (this.#overdue?.id !== next.id) this.#overdue = { id: next.id, since: mono }; // an alarm may be set that is past already
    else if (mono - this.#overdue.since > SWEEP_SLACK) this.say(`I7: job ${next.id} has been due since ${wall - next.alarm_at} ms, and for ${mono - this.#overdue.since} nobody looks at it`);
    const held = new Map(this.#held.all(LOCAL_WORKER) as [string, number][]);
    for (const { type, limit, running } of limits) {
      const leased = held.get(type) ?? 0; // no alarm takes these back: the server must know each of them
      if (leased > running) this.say(`I7: ${leased} jobs of type ${type} are leased by this server, which runs ${running}`);
      if (running < limit && ready.includes(type)) this.say(`IDLE: a job of type ${type} is ready, ${running} of ${limit} run, and nobody claims it`);
    }
  }

  readyTypes(): string[] { return this.#db.prepare('SELECT DISTINCT type FROM job WHERE ready = 1').pluck().all() as string[]; }
}
