// One command inside an open transaction: lock, decide, write. Knows no threads and no messages.
import type Database from 'better-sqlite3';
import { type Answer, type Change, type Command, type Env, pick } from '../../domain/commands.ts';
import { decide } from '../../domain/decide.ts';
import { isFinal } from '../../domain/job.ts';
import type { Policies } from '../../domain/policy.ts';
import { KeepTables } from './keep-tables.ts';
import { DocumentTable } from './document-table.ts';
import { GrantTable } from './grant-table.ts';
import { JobTable, type JobUpdate, type Placed } from './job-table.ts';
import { LogTables } from './log-table.ts';
import { ScheduleTables } from './schedule-table.ts';
import { type SetEffect, Sets } from './sets.ts';
import { Loaded, LoadedSchedules, Recent, type SnapshotSources, takeSnapshot } from './snapshot.ts';
import { shiftClocks } from './shift.ts';
import { Tally } from './tally.ts';

/** Follow-ups of one command. A tree has at most MAX_TREE batches to judge; far more means a rule that never settles. */
const MAX_FOLLOW_UPS = 100_000;

/** Leased jobs remembered, about 1 KiB each. */
const RECENT_MAX = 10_000;

export interface EngineOptions {
  readonly policies: Policies;
  readonly random: () => number;
  readonly newId: () => string;
  readonly newScheduleId: () => string;
}

type SetChange = Extract<Change, { kind: 'admit' | 'ungate' | 'remove' | 'cut' | 'reopen' }>;
type ScheduleChange = Extract<Change, { kind: 'addSchedule' | 'putSchedule' | 'removeSchedule' | 'addRun' | 'putRun' }>;

/** What one decision is about to write. */
class Writing {
  readonly loaded: Loaded;
  readonly schedules: LoadedSchedules;
  readonly updates = new Map<string, JobUpdate>();
  readonly finals = new Map<string, number>();

  constructor(loaded: Loaded, schedules: LoadedSchedules) {
    this.loaded = loaded;
    this.schedules = schedules;
  }

  at(id: string): Placed {
    const placed = this.loaded.id(id);
    if (placed === undefined) throw new Error(`A change names job ${id}, which is not in the snapshot.`);
    return placed;
  }
}

export class Engine {
  /** The command being run has written: a refusal now needs a rollback. */
  dirty = false;
  readonly #jobs: JobTable;
  readonly #log: LogTables;
  readonly #keep: KeepTables;
  readonly #grants: GrantTable;
  readonly #sets: Sets;
  readonly #schedules: ScheduleTables;
  readonly #documents: DocumentTable;
  readonly #tally: Tally;
  readonly #sources: SnapshotSources;
  readonly #options: EngineOptions;
  readonly #db: Database.Database;
  readonly #forgetKeys;
  readonly #recent = new Recent(RECENT_MAX);

  constructor(db: Database.Database, options: EngineOptions) {
    this.#options = options;
    this.#db = db;
    this.#tally = new Tally(db);
    this.#jobs = new JobTable(db, options.policies);
    this.#log = new LogTables(db);
    this.#keep = new KeepTables(db);
    this.#grants = new GrantTable(db);
    this.#sets = new Sets(db, this.#tally);
    this.#schedules = new ScheduleTables(db);
    this.#documents = new DocumentTable(db);
    this.#sources = {
      jobs: this.#jobs,
      schedules: this.#schedules,
      known: (scope, key) => this.#log.known(scope, key),
      grant: (id) => this.#grants.get(id),
      freeGrantId: () => this.#grants.free(),
      treeOpen: (rootKey) => this.#sets.treeOpen(rootKey),
      secret: (key) => this.#keep.secret(key),
      kept: (key) => this.#keep.kept(key),
      document: (ref) => this.#documents.known(ref),
    };
    this.#forgetKeys = db.prepare('DELETE FROM idempotency WHERE (scope, key) IN (SELECT scope, key FROM idempotency WHERE created_at < ? ORDER BY created_at LIMIT ?)');
  }

  /** Decides and writes a command and its follow-ups. Throws DomainError before anything is written, or what SQLite throws. */
  run(command: Command, now: number): Answer {
    this.dirty = false;
    const { random, newId, newScheduleId, policies } = this.#options;
    const env: Env = { now, random, newId, newScheduleId, policies };
    const first = this.#step(command, env);
    const queue = [...first.again];
    for (let count = 0; queue.length > 0; count++) {
      if (count > MAX_FOLLOW_UPS) throw new Error(`Command ${command.kind} did not settle.`);
      const { answer, again } = this.#step(queue.shift() as Command, env);
      first.answer.claimed.push(...answer.claimed);
      first.answer.refused.push(...answer.refused);
      first.answer.revoked.push(...answer.revoked);
      first.answer.stopping.push(...answer.stopping);
      queue.unshift(...again);
    }
    return first.answer;
  }

  get lastSeq(): number { return this.#log.lastSeq; }

  /** Outside of a transaction. */
  shift(by: number): void {
    this.#recent.clear();
    shiftClocks(this.#db, by);
  }

  forgetKeys(before: number, limit: number): number {
    return this.#forgetKeys.run(before, limit).changes;
  }

  /** Ends the transaction's bookkeeping; call just before COMMIT. */
  beforeCommit(): void {
    this.#log.flush();
    this.#tally.flush();
    this.#schedules.flush();
  }

  /** Takes back what memory holds of a transaction that was rolled back. */
  rolledBack(): void {
    this.#recent.clear();
    this.#tally.forget();
    this.#schedules.forget();
    this.#jobs.reload();
    this.#log.reload();
  }

  #step(command: Command, env: Env): { answer: Answer; again: Command[] } {
    const loaded = new Loaded(this.#jobs, this.#recent);
    const schedules = new LoadedSchedules(this.#schedules);
    const changes = decide(takeSnapshot(pick(command), loaded, schedules, this.#sources, env.now), command, env);
    const again = [...changes.again];
    if (changes.list.length > 0) this.dirty = true;
    const write = new Writing(loaded, schedules);
    for (const change of changes.list) {
      const effect = this.#apply(change, write, env.now);
      if (effect === null) continue;
      changes.answer.revoked.push(...effect.revoked);
      if (effect.callbacks.length > 0) again.unshift({ kind: 'callbacks', jobIds: effect.callbacks });
    }
    this.#write(write, env.now);
    return { answer: changes.answer, again };
  }

  /** Rows that wait to be written together. */
  #write({ updates }: Writing, now: number): void {
    this.#jobs.update(updates.values(), now);
    for (const { before, job, finalSeq } of updates.values()) this.#recent.put({ ...before, finalSeq, job });
  }

  /** The same in the middle of a command, before what reads rows or gives seqs of its own. */
  #flush(write: Writing, now: number): void {
    this.#write(write, now);
    for (const { before, job, finalSeq } of write.updates.values()) write.loaded.keep({ ...before, finalSeq, job });
    write.updates.clear();
    this.#log.flush();
  }

  #apply(change: Change, write: Writing, now: number): SetEffect | null {
    const at = (id: string): Placed => write.at(id);
    switch (change.kind) {
      case 'add': {
        const { job } = change;
        const placed = this.#jobs.insert(job, job.parentId === null ? null : at(job.parentId), now);
        write.loaded.keep(placed);
        this.#log.addInput(placed.key, change.input);
        if (change.secret !== undefined) this.#keep.addSecret(placed.key, change.secret);
        this.#tally.move(job.type, null, job.status);
        return null;
      }
      case 'put': {
        const before = at(change.job.id);
        const known = write.updates.get(change.job.id);
        const finalSeq = isFinal(change.job.status) ? (write.finals.get(change.job.id) ?? before.finalSeq) : null;
        write.updates.set(change.job.id, { before, job: change.job, finalSeq });
        this.#tally.move(change.job.type, (known?.job ?? before.job).status, change.job.status);
        return null;
      }
      case 'event': {
        const seq = this.#log.append(change.event, at(change.event.jobId));
        if (change.bytes !== undefined) this.#keep.addOutput(seq, at(change.event.jobId).key, change.bytes);
        if (change.final === true) write.finals.set(change.event.jobId, seq);
        return null;
      }
      case 'attempt': this.#log.addAttempt(at(change.jobId).key, change); return null;
      case 'keep': this.#keep.put(at(change.jobId).key, change.attempt, change.keep); return null;
      case 'document': case 'secret': case 'forget': this.#documents.apply(change); return null;
      case 'grant': this.#grants.put(change.grant); return null;
      case 'remember': this.#log.remember(change.claim, change.jobIds, now); return null;
      case 'addSchedule': case 'putSchedule': case 'removeSchedule': case 'addRun': case 'putRun':
        this.#applySchedule(change, write.schedules);
        return null;
      default:
        this.#flush(write, now);
        this.#recent.clear();
        return this.#applySet(change, at, now);
    }
  }

  #applySchedule(change: ScheduleChange, loaded: LoadedSchedules): void {
    if (change.kind === 'addSchedule') return loaded.keep(this.#schedules.add(change.schedule, change.template));
    const id = change.kind === 'putSchedule' ? change.schedule.id : change.kind === 'removeSchedule' ? change.scheduleId : change.run.scheduleId;
    const placed = loaded.id(id);
    if (placed === undefined) throw new Error(`A change names schedule ${id}, which is not there.`);
    switch (change.kind) {
      case 'putSchedule': return loaded.keep(this.#schedules.put(placed, change.schedule, change.template));
      case 'addRun': return this.#schedules.addRun(placed.key, change.run);
      case 'putRun': return this.#schedules.putRun(placed.key, change.run);
      case 'removeSchedule': return this.#schedules.remove(placed);
    }
  }

  #applySet(change: SetChange, at: (id: string) => Placed, now: number): SetEffect | null {
    switch (change.kind) {
      case 'admit': this.#sets.admit(at(change.parentId).key, change.count, now); return null;
      case 'ungate': this.#sets.ungate(at(change.rootId).key, now); return null;
      case 'remove':
        this.#log.keepLastSeq();
        this.#sets.remove(at(change.rootId).key);
        return null;
      case 'cut': return this.#moved(this.#sets.cut(at(change.parentId).key, change.scope, change.error, this.#log.lastSeq, now));
      case 'reopen': return this.#moved(this.#sets.reopen(at(change.parentId).key, this.#log.lastSeq, now));
    }
  }

  #moved(effect: SetEffect): SetEffect {
    this.#log.lastSeq += effect.events;
    return effect;
  }
}
