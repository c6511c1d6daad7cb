// The embedded store: one writer (a thread, or inline for tests and measurements), one reader on this thread.
import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Answer } from '../../domain/commands.ts';
import type { Clock } from '../../domain/clock.ts';
import { DomainError, tooMuchWaits } from '../../domain/errors.ts';
import type { Policies } from '../../domain/policy.ts';
import type { Store, StoreHealth } from '../store.ts';
import { createAdmission } from './admission.ts';
import { type Core, openCore } from './core.ts';
import { DocumentReader } from './document-table.ts';
import type { EngineOptions } from './engine.ts';
import { type PackedReport, packTask, unpackReport } from './message.ts';
import { instanceAt } from './ids.ts';
import { openReader, preparePath, takeOwnership } from './open.ts';
import { Reader } from './reader.ts';
import { ScheduleReader } from './schedule-reader.ts';
import { type Done, type Report, type Sent, type Task, toDone, type WriterData } from './writer.ts';

export { AlreadyOwned, DamagedFile } from './open.ts';
export { SchemaError } from './migrate.ts';

export interface StoreOptions {
  /** A file, or ':memory:' (inline writer only). */
  readonly path: string;
  readonly clock: Clock;
  readonly policies: Policies;
  /** Commands that may wait for the disk before new ones are refused. */
  readonly queueMax?: number;
  /** Where the writer runs. Default: thread. */
  readonly writer?: 'thread' | 'inline';
  /** Only for negative controls and measurements; the server always runs FULL. */
  readonly synchronous?: 'FULL' | 'NORMAL' | 'OFF';
  /** The writer's module; replaced by tests that break it on purpose. */
  readonly writerModule?: URL;
  /** Inline writer only: seeded chance, for simulation. */
  readonly chance?: Partial<EngineOptions>;
  /** Inline writer only: how a message gets to the other side, in order; simulation lets time pass, or loses what a crash cuts off. */
  readonly carry?: Carry;
}

/** Hands over a task (to the writer) or a report (from it). By default at once. */
export type Carry = (message: Task | Report, deliver: () => void) => void;
const AT_ONCE: Carry = (_message, deliver) => deliver();

interface Waiting {
  readonly since: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** What carries tasks to the writer. */
interface Line {
  post(task: Task): void;
  readonly facts: { readonly synchronous: number; readonly journal: string };
}

export interface SqliteStore extends Store {
  /** Read back from SQLite at the start: synchronous 2 = FULL. */
  readonly facts: { readonly synchronous: number; readonly journal: string };
}

/** @throws AlreadyOwned, DamagedFile, SchemaError, or what SQLite says: nothing is served then. */
/**
 * Commands of one turn of the event loop go to the writer together, but not more than this wait for the turn to end: while it
 * commits the first, this thread reads the next. Without it clients that send in step made the two threads take turns
 * (64 connections: 13,500 instead of 21,500 POSTs a second); 4 and 16 were measured no better.
 */
const HEAD_START = 8;

export async function openStore(options: StoreOptions): Promise<SqliteStore> {
  const { clock } = options;
  const path = preparePath(options.path);
  const release = takeOwnership(path);
  const waiting = new Map<number, Waiting>();
  const admission = createAdmission(clock, waiting, options.queueMax);
  const counts = new Map<number, (count: number) => void>();
  const listeners = new Set<() => void>();
  let onFailure: ((error: Error) => void) | null = null;
  let closed: (() => void) | null = null;
  let closing: Promise<void> | null = null;
  let health: StoreHealth = 'ok';
  let nextId = 0;
  let committedAt = -Infinity;
  let outbox: Sent[] = [];

  const fail = (message: string): void => {
    if (health === 'failed' || health === 'closed') return;
    health = 'failed';
    const error = new DomainError('unavailable', `The store has failed: ${message}`);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    closed?.();
    onFailure?.(new Error(message));
  };
  const settle = (done: Done): void => {
    const entry = waiting.get(done.id);
    waiting.delete(done.id);
    if ('answer' in done) entry?.resolve(done.answer);
    else entry?.reject(new DomainError(done.refusal.code, done.refusal.message, done.refusal.details));
  };
  const receive = (report: Report): void => {
    if (report.kind === 'done') {
      reader.showUpTo(report.lastSeq);
      if (health !== 'failed') health = report.full ? 'full' : 'ok';
      // From its first command, or from the commit before: as long as this thread was late with it, so will it be with the next.
      const now = clock.monotonic();
      admission.committed(now - Math.max(committedAt, waiting.get(report.list[0]?.id ?? -1)?.since ?? now));
      committedAt = now;
      for (const done of report.list) settle(done);
      for (const listener of listeners) listener();
    } else if (report.kind === 'full') {
      if (health !== 'failed') health = report.full ? 'full' : 'ok';
      for (const listener of listeners) listener(); // what was refused for want of space may be tried again
    } else if (report.kind === 'count') counts.get(report.id)?.(report.count);
    else if (report.kind === 'closed') closed?.();
    else if (report.kind === 'failed') fail(report.message);
  };

  const inline = options.writer === 'inline' || path === ':memory:';
  let core: Core | null = null;
  let line: Line;
  try {
    if (inline) core = openCore(path, options.policies, options.synchronous ?? 'FULL', options.chance);
    line = core === null ? await threadLine(path, options, receive, fail) : inlineLine(core, receive, options.carry ?? AT_ONCE);
  } catch (error) {
    release();
    throw error;
  }
  const readerDb = core !== null && path === ':memory:' ? core.db : openReader(path);
  const reader = new Reader(readerDb);
  reader.showUpTo(reader.lastSeq()); // what the start found was looked at
  const schedules = new ScheduleReader(readerDb);
  const documents = new DocumentReader(readerDb);
  const read = <T>(work: () => T): Promise<T> => {
    try {
      return Promise.resolve(work());
    } catch (error) {
      if (error instanceof Error && /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(String((error as { code?: unknown }).code ?? ''))) fail(error.message);
      return Promise.reject(error);
    }
  };
  const flush = (): void => {
    const list = outbox;
    outbox = [];
    if (list.length > 0) line.post({ kind: 'commands', list });
  };
  const unavailable = (): DomainError => new DomainError('unavailable', `The store is ${closing === null ? health : 'closed'}.`, { hint: 'Try again when /ready answers 200.' });
  const close = async (): Promise<void> => {
    flush();
    if (health !== 'failed') {
      const done = new Promise<void>((resolve) => { closed = resolve; });
      line.post({ kind: 'close' });
      await done;
    }
    if (readerDb !== core?.db) readerDb.close();
    health = 'closed';
    release();
  };

  return {
    facts: line.facts,
    execute(command) {
      if (health === 'failed' || closing !== null) return Promise.reject(unavailable());
      if (admission.refuses(command)) return Promise.reject(tooMuchWaits());
      return new Promise((resolve, reject) => {
        const id = nextId++;
        waiting.set(id, { since: clock.monotonic(), resolve, reject });
        if (outbox.length === 0) clock.turn(flush);
        outbox.push({ id, command, now: clock.now() });
        if (outbox.length >= HEAD_START) flush();
      });
    },
    job: (id) => read(() => reader.job(id)),
    lineage: (id) => read(() => reader.lineage(id)),
    jobs: (filter, after, limit) => read(() => reader.jobs(filter, after, limit)),
    children: (parentId, status, after, limit) => read(() => reader.children(parentId, status, after, limit)),
    childResults: (parentId, maxBytes) => read(() => reader.childResults(parentId, maxBytes)),
    events: (scope, after, limit, types) => read(() => reader.events(scope, after, limit, types)),
    logs: (jobId, from, limit) => read(() => reader.logs(jobId, from, limit)),
    printed: (jobId) => read(() => reader.printed(jobId)),
    grant: (id) => read(() => reader.grant(id)),
    grants: (grantee, after, limit) => read(() => reader.grants(grantee, after, limit)),
    lastSeq: () => read(() => reader.lastSeq()),
    floorSeq: () => read(() => reader.floorSeq()),
    readyTypes: (types) => read(() => reader.readyTypes(types)),
    document: (kind, id, version) => read(() => documents.document(kind, id, version)),
    documents: (kind, filter, after, limit) => read(() => documents.documents(kind, filter, after, limit)),
    documentPart: (kind, id, part) => read(() => documents.part(kind, id, part)),
    documentSecret: (kind, id) => read(() => documents.secret(kind, id)),
    nextAlarm: () => read(() => reader.nextAlarm()),
    forgetKeys: (before, limit) => (health === 'failed' || closing !== null ? Promise.reject(unavailable()) : new Promise((resolve) => {
      const id = nextId++;
      counts.set(id, (count) => { counts.delete(id); resolve(count); });
      line.post({ kind: 'forget', id, before, limit });
    })),
    schedule: (id) => read(() => schedules.schedule(id)),
    schedules: (filter, from, limit) => read(() => schedules.schedules(filter, from, limit)),
    countSchedules: (filter) => read(() => schedules.count(filter)),
    runs: (scheduleId, before, limit) => read(() => schedules.runs(scheduleId, before, limit)),
    dueSchedules: (now, limit) => read(() => schedules.due(now, limit)),
    nextSchedule: () => read(() => schedules.next()),
    schedulesAhead: (now, limit) => read(() => schedules.ahead(now, limit)),
    scheduleCounts: () => read(() => schedules.counts()),
    instance: () => read(() => instanceAt(reader.instance(), path)),
    newestAt: () => read(() => reader.newestAt()),
    shift: (by) => (health === 'failed' || closing !== null ? Promise.reject(unavailable()) : new Promise((resolve, reject) => {
      flush(); // what was sent before goes before
      const id = nextId++;
      counts.set(id, (count) => {
        counts.delete(id);
        if (count === 0) return reject(new DomainError('storage_full', 'There is no room to move what runs with the clock.'));
        resolve();
        for (const listener of listeners) listener(); // alarms have moved
      });
      line.post({ kind: 'shift', id, by });
    })),
    stats: () => read(() => ({ jobs: reader.counts(), fileBytes: sizeOf(path), walBytes: sizeOf(`${path}-wal`), waiting: waiting.size })),
    overloaded: () => admission.overloaded(),
    health: () => (health === 'ok' && admission.stalled() ? 'stalled' : health),
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onFailure(listener) { onFailure = listener; },
    close: () => (closing ??= close()),
  };
}

function threadLine(path: string, options: StoreOptions, receive: (report: Report) => void, fail: (message: string) => void): Promise<Line> {
  const data: WriterData = { path, policies: options.policies, synchronous: options.synchronous ?? 'FULL' };
  const worker = new Worker(options.writerModule ?? new URL('./writer.ts', import.meta.url), { workerData: data, name: 'writer' });
  return new Promise((resolve, reject) => {
    worker.on('message', (message: PackedReport) => {
      const report = unpackReport(message);
      if (report.kind === 'ready') resolve({ post: (task) => worker.postMessage(packTask(task)), facts: { synchronous: report.synchronous, journal: report.journal } });
      else receive(report);
    });
    worker.on('error', (error) => { reject(error); fail(error instanceof Error ? error.message : String(error)); });
  });
}

/** The same line without a thread: commits where the message arrives, by default in the turn in which it is posted. */
function inlineLine(core: Core, receive: (report: Report) => void, carry: Carry): Line {
  const { committer } = core;
  const work = (task: Task): Report => {
    try {
      if (task.kind === 'commands') {
        if (committer.full) committer.probe();
        const replies = committer.commit(task.list);
        return { kind: 'done', list: replies.map((reply, i) => toDone(task.list[i]?.id ?? -1, reply)), full: committer.full, lastSeq: core.lastSeq() };
      }
      if (task.kind === 'shift') return { kind: 'count', id: task.id, count: core.shift(task.by) ? 1 : 0 };
      if (task.kind === 'forget') return { kind: 'count', id: task.id, count: core.forgetKeys(task.before, task.limit) };
      core.close();
      return { kind: 'closed' };
    } catch (error) {
      return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  };
  return {
    facts: core.facts,
    post: (task) => carry(task, () => {
      const report = work(task);
      carry(report, () => receive(report));
    }),
  };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0; // in memory, or no log at the moment
  }
}
