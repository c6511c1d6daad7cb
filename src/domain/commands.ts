// Commands as data: what can be asked of the store, what each needs locked, and what a decision may change.
// `pick` names what to lock; `decide` (decide.ts) turns the locked snapshot into Changes or throws a DomainError.
import type { DocumentChange, DocumentCommand, DocumentRef, KnownDocument } from './document.ts';
import type { NewEvent } from './event.ts';
import type { Grant, GrantUse, NewGrant } from './grant.ts';
import type { ChildCounts, FinalStatus, Gate, Job, JobError, JobSpec } from './job.ts';
import type { Outcome } from './outcome.ts';
import type { Policies } from './policy.ts';
import type { JobTemplate, Run, Schedule } from './schedule.ts';
import type { ScheduleCommand } from './schedule-commands.ts';

/** A job, or a tree of them, as asked for: defaults resolved, nothing stored yet. */
export interface NewJob {
  readonly type: string;
  /** JSON text. */
  readonly input: string;
  /** JSON text that only the claim hands out: no read, event or export has it. */
  readonly secret?: string;
  readonly spec: JobSpec;
  /** Absent: the parent's, or 5. */
  readonly priority?: number;
  /** Instant from which it may run; null = held. Absent = at once. */
  readonly dueAt?: number | null;
  readonly children?: readonly NewJob[];
}

export interface IdempotencyClaim {
  /** Who asks: the same key of two callers is two keys. */
  readonly scope: string;
  readonly key: string;
  readonly bodyHash: string;
}

export interface LeaseRef {
  readonly jobId: string;
  readonly epoch: number;
}

export interface Ended extends LeaseRef {
  readonly outcome: Outcome;
}

export interface EventDraft {
  readonly type: NewEvent['type'];
  readonly data: string;
}

/** Bytes that a container printed, with where its lines stand among all that the job printed. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
  /** Line ends before it, both streams, those dropped too. */
  readonly offset: number;
  /** Line ends in it. */
  readonly count: number;
  /** It begins in the middle of a line, or its last line has not ended. */
  readonly continues?: boolean;
  readonly open?: boolean;
}

/** What a job has printed so far, all its attempts. */
export interface OutputTotals {
  readonly bytes: number;
  readonly lines: number;
  readonly droppedBytes: number;
  readonly droppedLines: number;
}

/** What an attempt outside of this process keeps with its output, so that whoever takes it up goes on exactly there. */
export interface Keep {
  readonly chunks: readonly OutputChunk[];
  /** The oldest chunks, so many of those kept after the first `head`, lose their bytes. */
  readonly trim: { readonly head: number; readonly count: number } | null;
  readonly totals: OutputTotals;
  /** JSON text that the handler alone reads. */
  readonly mark: string;
  /** JSON text that every reader of the attempt gets, or null. */
  readonly facts: string | null;
  readonly gap?: string;
}

export type Command =
  | DocumentCommand
  | { readonly kind: 'submit'; readonly jobs: readonly NewJob[]; readonly parentId?: string | undefined; readonly idempotency?: IdempotencyClaim | undefined; readonly under?: GrantUse | undefined }
  | { readonly kind: 'grant'; readonly grant: NewGrant }
  | { readonly kind: 'revoke'; readonly grantId: number }
  | { readonly kind: 'claim'; readonly worker: string; readonly type: string; readonly limit: number }
  | { readonly kind: 'finish'; readonly ended: readonly Ended[] }
  /** `begin`: their claim was answered late, the attempts begin only now. */
  | { readonly kind: 'renew'; readonly leases: readonly LeaseRef[]; readonly begin?: boolean }
  | { readonly kind: 'note'; readonly jobId: string; readonly epoch: number; readonly progress?: number; readonly events: readonly EventDraft[] }
  | { readonly kind: 'keep'; readonly jobId: string; readonly epoch: number; readonly keep: Keep }
  | { readonly kind: 'start' | 'resume' | 'retry'; readonly jobId: string }
  /** `atOnce`: a gentle job does not wait for the children at work (they were cut off by a restart). */
  | { readonly kind: 'pause'; readonly jobId: string; readonly atOnce?: boolean | undefined }
  | { readonly kind: 'cancel'; readonly jobId: string; readonly reason?: string | undefined }
  | { readonly kind: 'edit'; readonly jobId: string; readonly patch: JobPatch }
  | { readonly kind: 'remove'; readonly jobId: string }
  /**
   * What is due: promotes, expires, times out, takes back lost leases. Attempts claimed at or after `unheard` have not
   * begun: their worker waits for the answer (the disk is slow or hangs), and neither timeout nor lease run before it came.
   */
  | { readonly kind: 'tick'; readonly limit: number; readonly spareLeases: boolean; readonly unheard?: number | null }
  /** Leases of in-process workers, which died with an earlier process. */
  | { readonly kind: 'recover'; readonly worker: string; readonly limit: number }
  | ScheduleCommand
  /** Follow-ups of a decision, never sent from outside. */
  | { readonly kind: 'track'; readonly jobId: string }
  | { readonly kind: 'judge'; readonly jobId: string }
  | { readonly kind: 'callbacks'; readonly jobIds: readonly string[] }
  | { readonly kind: 'end'; readonly jobId: string; readonly status: Exclude<FinalStatus, 'completed'>; readonly error: JobError };

export interface JobPatch {
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly timeout?: number | null;
  readonly ttl?: number | null;
  readonly deadline?: number | null;
  readonly sealed?: true;
}

/** What to lock. A closed union: adding to it is the design review. Every job comes with its ancestors. */
export type Pick =
  | { readonly kind: 'jobs'; readonly ids: readonly string[]; readonly idempotency?: IdempotencyClaim | undefined; readonly grant?: number | undefined }
  /** One grant, or the place of the next. */
  | { readonly kind: 'grant'; readonly id: number | null }
  | { readonly kind: 'ready'; readonly type: string; readonly limit: number }
  | { readonly kind: 'due'; readonly limit: number }
  | { readonly kind: 'leased'; readonly worker: string; readonly limit: number }
  | { readonly kind: 'tree'; readonly id: string }
  /** Schedules by id; none where one is added. */
  | { readonly kind: 'schedules'; readonly ids: readonly string[] }
  | { readonly kind: 'documents'; readonly refs: readonly DocumentRef[] };

export interface Snapshot {
  /** A picked job or one of their ancestors. */
  readonly job: (id: string) => Job | undefined;
  /** The jobs that answer a ready, due or leased pick, in order. */
  readonly found: readonly Job[];
  /** Input JSON text of a job found by a ready pick; null = the disk changed it. */
  readonly input: (id: string) => string | null;
  /** What only the claim hands out, and what the last keep left; null = nothing. */
  readonly secret: (id: string) => string | null;
  readonly kept: (id: string) => Kept | null;
  /** What the idempotency key already stands for. */
  readonly known: { readonly bodyHash: string; readonly jobIds: readonly string[] } | null;
  /** The picked grant, if there is one. */
  readonly grant: Grant | null;
  /** The next free permission id; 0 unless a grant pick asked for it. */
  readonly freeGrantId: number;
  /** Some job of the picked tree is not final. */
  readonly treeOpen: boolean;
  readonly schedule: (id: string) => Schedule | undefined;
  /** null = the disk changed it. */
  readonly template: (scheduleId: string) => JobTemplate | null;
  readonly run: (scheduleId: string, nominalAt: number) => Run | undefined;
  /** Instants of the pattern in [from, to) that have a run of their own. */
  readonly served: (scheduleId: string, from: number, to: number) => number;
  /** The oldest run that waits for the one before it. */
  readonly nextBuffered: (scheduleId: string) => Run | undefined;
  /** Jobs of the schedule's open runs. */
  readonly openJobs: (scheduleId: string) => readonly string[];
  /** A picked document, if there is one. */
  readonly document?: (ref: DocumentRef) => KnownDocument | undefined;
}

/** What a handler finds of the attempts before, its own included when it was taken up again. */
export interface Kept {
  readonly attempt: number;
  readonly mark: string;
}

/** A change is one row written, or one set of rows that a single statement can write. Applied in order. */
export type Change =
  | { readonly kind: 'add'; readonly job: Job; readonly input: string; readonly secret?: string }
  | { readonly kind: 'put'; readonly job: Job }
  | { readonly kind: 'event'; readonly event: NewEvent; readonly final?: true; readonly bytes?: Uint8Array }
  | { readonly kind: 'keep'; readonly jobId: string; readonly attempt: number; readonly keep: Keep }
  | { readonly kind: 'attempt'; readonly jobId: string; readonly number: number; readonly outcome: AttemptOutcome; readonly startedAt: number; readonly endedAt: number; readonly error: JobError | null; readonly worker: string | null }
  /** Let the next n children in, lowest ordinal first. */
  | { readonly kind: 'admit'; readonly parentId: string; readonly count: number }
  /** Cancel open descendants (deepest first, with their events) and correct the counters of all that are touched. */
  | { readonly kind: 'cut'; readonly parentId: string; readonly scope: 'all' | 'unstarted'; readonly error: JobError }
  /** Let jobs of this tree that a paused ancestor stopped be looked at again. */
  | { readonly kind: 'ungate'; readonly rootId: string }
  /** Queue the failed and cancelled descendants again, and correct the counters of all that are touched. */
  | { readonly kind: 'reopen'; readonly parentId: string }
  | { readonly kind: 'grant'; readonly grant: Grant }
  | { readonly kind: 'remember'; readonly claim: IdempotencyClaim; readonly jobIds: readonly string[] }
  | { readonly kind: 'remove'; readonly rootId: string }
  | { readonly kind: 'addSchedule'; readonly schedule: Schedule; readonly template: JobTemplate }
  | { readonly kind: 'putSchedule'; readonly schedule: Schedule; readonly template?: JobTemplate }
  | { readonly kind: 'removeSchedule'; readonly scheduleId: string }
  | { readonly kind: 'addRun' | 'putRun'; readonly run: Run }
  | DocumentChange;

export type AttemptOutcome = 'completed' | 'failed' | 'timed_out' | 'interrupted' | 'cancelled';

export interface Changes {
  readonly list: readonly Change[];
  readonly answer: Answer;
  /** Decided next, in the same transaction, on a fresh snapshot: for what a set change made stale. */
  readonly again: readonly Command[];
}

/** A job handed to a worker. Times are epoch ms. */
export interface Claim {
  readonly id: string;
  readonly type: string;
  readonly input: string;
  readonly epoch: number;
  readonly attempt: number;
  readonly failures: number;
  readonly rootId: string;
  readonly parentId: string | null;
  readonly spec: JobSpec;
  readonly children: ChildCounts;
  readonly priority: number;
  readonly createdAt: number;
  readonly claimedAt: number;
  readonly secret: string | null;
  readonly kept: Kept | null;
  /** It was asked to end before this claim: all that is left to do is to stop. */
  readonly ending: JobError | null;
}

/** What a command comes to; follow-ups add to the same answer. */
export interface Answer {
  /** Jobs submitted (the roots of what was sent). */
  jobs: Job[];
  /** The idempotency key was known: ids of what it stands for. */
  replayed: readonly string[] | null;
  claimed: Claim[];
  /** Items of a list command that were refused; the others went through. */
  refused: { jobId: string; code: 'not_found' | 'lease_lost'; message: string }[];
  /** Leases that this commit took away: whoever works on them should stop. */
  revoked: LeaseRef[];
  /** These were asked to end: their leases still hold, and their own end will say what came of it. */
  stopping: LeaseRef[];
  /** As granted or revoked. */
  grant: Grant | null;
  /** Items looked at; a full page means there may be more. */
  seen: number;
  /** The schedule as it is after its verb. */
  schedule: Schedule | null;
  /** Runs that a verb made, not those of `fire`. */
  runs: Run[];
  /** Of `fire`: jobs made for instants that were late. */
  late: number;
}

export const emptyAnswer = (): Answer => ({ jobs: [], replayed: null, claimed: [], refused: [], revoked: [], stopping: [], grant: null, seen: 0, schedule: null, runs: [], late: 0 });

/** What a decision may know of the world. */
export interface Env {
  readonly now: number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly newId: () => string;
  readonly newScheduleId: () => string;
  readonly policies: Policies;
}

export function pick(command: Command): Pick {
  switch (command.kind) {
    case 'submit':
      return { kind: 'jobs', ids: command.parentId === undefined ? [] : [command.parentId], idempotency: command.idempotency, grant: command.under?.permissionId };
    case 'grant':
      return { kind: 'grant', id: command.grant.id };
    case 'revoke':
      return { kind: 'grant', id: command.grantId };
    case 'claim':
      return { kind: 'ready', type: command.type, limit: command.limit };
    case 'finish':
      return { kind: 'jobs', ids: command.ended.map((e) => e.jobId) };
    case 'renew':
      return { kind: 'jobs', ids: command.leases.map((l) => l.jobId) };
    case 'callbacks':
      return { kind: 'jobs', ids: command.jobIds };
    case 'tick':
      return { kind: 'due', limit: command.limit };
    case 'recover':
      return { kind: 'leased', worker: command.worker, limit: command.limit };
    case 'remove':
    case 'track':
      return { kind: 'tree', id: command.jobId };
    case 'fire':
      return { kind: 'schedules', ids: command.due.map((one) => one.scheduleId) };
    case 'addSchedule':
      return { kind: 'schedules', ids: [] };
    case 'editSchedule': case 'pauseSchedule': case 'resumeSchedule': case 'aimSchedule': case 'triggerSchedule': case 'backfillSchedule': case 'removeSchedule':
      return { kind: 'schedules', ids: [command.scheduleId] };
    case 'documents':
      return { kind: 'documents', refs: [...(command.write ?? []).map(({ document }) => document), ...(command.remove ?? [])] };
    default:
      return { kind: 'jobs', ids: [command.jobId] };
  }
}

export type { ChildCounts, Gate };
