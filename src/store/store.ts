// THE PORT between the rules and whatever keeps the rows. Types and prose; no engine is named here.
//
// Writes: `execute(command)`. A command is plain data; the engine locks what domain/commands.ts `pick` names,
// lets the pure `decide` turn the snapshot into Changes (or refuse), writes all of it or nothing, and resolves only
// once it is durable. There is no begin, no handle and no connection in this port.
// Reads: dull, short, paged. A read that starts after a write resolved sees that write.
// `onCommit` is a bare wake-up: it carries no data, may be merged, and is never the truth.
import type { Answer, AttemptOutcome, Command, OutputTotals } from '../domain/commands.ts';
import type { DocumentKind } from '../domain/document.ts';
import type { EventType } from '../domain/event.ts';
import type { Grant } from '../domain/grant.ts';
import type { Job, JobError, JobStatus } from '../domain/job.ts';
import type { JobTemplate, Run, Schedule, ScheduleStatus } from '../domain/schedule.ts';

/** One row of the log. `seq` is the cursor: an event never appears below one already served. */
export interface StoredEvent {
  readonly seq: number;
  readonly jobId: string;
  readonly rootId: string;
  readonly type: EventType;
  readonly at: number;
  /** JSON text of an object, or null. */
  readonly data: string | null;
  /** What a container printed, where the event is of that; null: dropped since, to keep to the cap. */
  readonly bytes?: Uint8Array | null;
}

export interface AttemptRecord {
  readonly number: number;
  readonly outcome: AttemptOutcome;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly error: JobError | null;
  readonly worker: string | null;
}

/** A job as readers see it. */
export interface JobRecord {
  readonly job: Job;
  /** JSON text. */
  readonly input: string;
  /** JSON text of what its handler answered, or null. */
  readonly result: string | null;
  /** The event that ended it, or null. */
  readonly finalSeq: number | null;
  /** Ended attempts that did not end the job, and the one that used up the budget; oldest first, the newest 100. */
  readonly attempts: readonly AttemptRecord[];
  /** JSON text of what attempts outside of this process came to, by number; the newest 100. */
  readonly facts: readonly { readonly attempt: number; readonly facts: string }[];
}

/** How a child ended, for its parent's result. */
export interface ChildResult {
  readonly id: string;
  readonly type: string;
  readonly ordinal: number;
  readonly status: JobStatus;
  readonly result: string | null;
  readonly error: JobError | null;
}

export interface JobFilter {
  readonly status?: readonly JobStatus[];
  readonly type?: string;
  readonly parentId?: string;
  readonly rootId?: string;
  readonly tag?: string;
  /** Looked for in id, type and the first 4,096 characters of the input; case-insensitive for ASCII. */
  readonly text?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Pass as `after` to go on; null at the end. A page may be short (it ends near 8 MiB), even empty, and still have one. */
  readonly next: number | null;
}

/**
 * Jobs of a list. One whose row is not what was stored is left out and named here, so that it does not take its neighbours
 * with it; `job` refuses it.
 */
export interface JobPage extends Page<JobRecord> {
  readonly damaged: readonly { readonly id: string; readonly what: string }[];
}

/** Whose events: everything, a whole tree by its root, or one job with what is below it. */
export type EventScope = 'all' | { readonly jobId: string };

/** A schedule as readers see it. `template` is null where the disk changed it. */
export interface ScheduleRecord {
  readonly schedule: Schedule;
  readonly template: JobTemplate | null;
}

export interface ScheduleFilter {
  readonly status?: ScheduleStatus;
  readonly client?: string;
}

/** Reads of schedules. */
export interface ScheduleReads {
  schedule(id: string): Promise<ScheduleRecord | null>;
  /** Newest first, after a cursor of an earlier page or from an offset. */
  schedules(filter: ScheduleFilter, from: { readonly after: number } | { readonly offset: number }, limit: number): Promise<Page<ScheduleRecord>>;
  countSchedules(filter: ScheduleFilter): Promise<number>;
  /** Newest instant first, before an instant. */
  runs(scheduleId: string, before: number | null, limit: number): Promise<Page<Run>>;
  /** Active and due, the longest due first. */
  dueSchedules(now: number, limit: number): Promise<readonly Schedule[]>;
  /** When the next schedule is due (epoch ms; may be past), or null. */
  nextSchedule(): Promise<number | null>;
  /** Active, and aimed at an instant after `now`: the clock was set back since. */
  schedulesAhead(now: number, limit: number): Promise<readonly Schedule[]>;
  /** Over all schedules, the deleted ones too: what was fired, skipped, missed, dropped, and how runs ended; how many schedules there are of each status. */
  scheduleCounts(): Promise<ReadonlyMap<string, number>>;
}

export interface StoreStats {
  readonly jobs: readonly { readonly type: string; readonly status: JobStatus; readonly count: number }[];
  /** Bytes of the database and of its write-ahead log. */
  readonly fileBytes: number;
  readonly walBytes: number;
  /** Commands sent and not yet durable. */
  readonly waiting: number;
}

/** A document in one of its versions. */
export interface StoredDocument {
  readonly kind: DocumentKind;
  readonly id: string;
  readonly version: number;
  readonly owner: string | null;
  readonly subject: string | null;
  readonly name: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** JSON text. */
  readonly body: string;
}
export type DocumentPage = Page<StoredDocument>;

/** One of them: all versions of an id (newest first), what an owner has (oldest first), what is about a subject (newest first). */
export interface DocumentFilter {
  readonly versionsOf?: string;
  readonly owner?: string;
  readonly subject?: string;
}

/** `stalled`: a write has been waiting for the disk too long; reads go on, and so do writes if the disk does. */
export type StoreHealth = 'ok' | 'stalled' | 'full' | 'failed' | 'closed';

export interface Store extends ScheduleReads {
  /** @throws DomainError when refused; nothing has changed then. */
  execute(command: Command): Promise<Answer>;

  job(id: string): Promise<JobRecord | null>;
  /** The job and its ancestors, nearest first; empty if there is no such job. */
  lineage(id: string): Promise<readonly Job[]>;
  /** Newest first. `after` is a cursor from an earlier page. */
  jobs(filter: JobFilter, after: number | null, limit: number): Promise<JobPage>;
  /** By ordinal. */
  children(parentId: string, status: readonly JobStatus[] | null, after: number | null, limit: number): Promise<JobPage>;
  /** How the children ended, by ordinal, until `maxBytes` of results; the rest is left out and `truncated`. */
  childResults(parentId: string, maxBytes: number): Promise<{ readonly results: readonly ChildResult[]; readonly truncated: boolean }>;
  /** In order, after the cursor. An unknown job gives none. */
  events(scope: EventScope, after: number, limit: number, types?: readonly EventType[]): Promise<readonly StoredEvent[]>;
  /**
   * Log lines and gaps of this job alone, at most about 4 MiB of them: after a cursor, or the newest before it. In order.
   * `more`: there are others further on.
   */
  logs(jobId: string, from: { readonly after: number } | { readonly before: number }, limit: number): Promise<{ readonly events: readonly StoredEvent[]; readonly more: boolean }>;
  /** What it has printed outside of this process, all attempts; null = nothing of the kind. */
  printed(jobId: string): Promise<OutputTotals | null>;
  grant(id: number): Promise<Grant | null>;
  /** Newest first: by permission id, downwards. `after` is the last id of the page before. */
  grants(grantee: string | null, after: number | null, limit: number): Promise<Page<Grant>>;
  /** The newest cursor given out. */
  lastSeq(): Promise<number>;
  /** The oldest event kept is after this cursor; 0 when nothing was ever dropped. */
  floorSeq(): Promise<number>;
  /** Those of these types that have a job which is ready at once. One read, however many they are. */
  readyTypes(types: readonly string[]): Promise<readonly string[]>;
  /** The newest version, or the one asked for. */
  document(kind: DocumentKind, id: string, version?: number): Promise<StoredDocument | null>;
  /** The newest version of each, newest document first, unless the filter says otherwise. */
  documents(kind: DocumentKind, filter: DocumentFilter, after: number | null, limit: number): Promise<DocumentPage>;
  /** A large text of the newest version, or null. */
  documentPart(kind: DocumentKind, id: string, part: string): Promise<string | null>;
  /** What is kept apart, for whoever runs; the composition root hands this to handlers and to nobody else. */
  documentSecret(kind: DocumentKind, id: string): Promise<string | null>;
  /** When the next tick is due (epoch ms; may be past), or null. */
  nextAlarm(): Promise<number | null>;
  /** Forgets idempotency keys older than the instant; at most `limit`. Returns how many. */
  forgetKeys(before: number, limit: number): Promise<number>;

  /** Of this file at this place: names what belongs to it elsewhere. A copy at another place is another instance. */
  instance(): Promise<string>;

  /** When the newest event was written, or null. */
  newestAt(): Promise<number | null>;
  /**
   * The wall clock was set by so many ms: due times, leases, deadlines and times to live of open jobs move with it, but for
   * due times that were given as instants. Commands sent before it are carried out before it, the others after.
   */
  shift(by: number): Promise<void>;

  stats(): Promise<StoreStats>;
  health(): StoreHealth;
  /** Would new work be refused now, for what waits already? */
  overloaded(): boolean;
  /** Called after commits; several may be merged into one call. Returns the way to stop. */
  onCommit(listener: () => void): () => void;
  /** Called once if the store cannot go on: the process must stop at once, with this message. */
  onFailure(listener: (error: Error) => void): void;
  /** Finishes what was sent, then lets go of the file. */
  close(): Promise<void>;
}
