// The page a decision writes on: the snapshot with its own changes on top, and the ordered list that becomes Changes.
import { type Answer, type Change, type Changes, type Command, emptyAnswer, type Env, type Snapshot } from './commands.ts';
import { DomainError } from './errors.ts';
import type { EventType } from './event.ts';
import type { Job } from './job.ts';
import { type TypePolicy, policyOf } from './policy.ts';
import type { JobTemplate, Run, Schedule } from './schedule.ts';

export class Draft {
  readonly env: Env;
  readonly snapshot: Snapshot;
  readonly answer: Answer = emptyAnswer();
  readonly again: Command[] = [];
  /** A cut has made other rows of the snapshot stale: list commands hand the rest of their list to `again`. */
  stale = false;
  readonly #list: Change[] = [];
  readonly #changed = new Map<string, Job>();
  readonly #unwritten = new Set<string>();
  /** Parents that let children in: those of their children that the snapshot shows waiting may no longer wait. */
  readonly #admitted = new Set<string>();
  readonly #schedules = new Map<string, Schedule>();
  readonly #unwrittenSchedules = new Set<string>();

  constructor(snapshot: Snapshot, env: Env) {
    this.snapshot = snapshot;
    this.env = env;
  }

  find(id: string): Job | undefined {
    return this.#changed.get(id) ?? this.snapshot.job(id);
  }

  get(id: string): Job {
    const job = this.find(id);
    if (job === undefined) throw new DomainError('not_found', `There is no job ${id}.`, { hint: 'Check the id; a deleted job is gone for good.' });
    return job;
  }

  /** Does the snapshot still tell the truth about this job and its ancestors? List commands ask before each item. */
  isStale(id: string): boolean {
    if (this.stale) return true;
    if (this.#admitted.size === 0) return false;
    for (let job = this.find(id); job !== undefined && job.parentId !== null; job = this.find(job.parentId)) {
      if (job.gate === 'parent' && this.#admitted.has(job.parentId)) return true;
    }
    return false;
  }

  policy(job: Job): TypePolicy {
    return policyOf(this.env.policies, job.type);
  }

  /** Keeps the new shape of a job. Several puts of one job become one write. */
  put(job: Job): Job {
    this.#changed.set(job.id, job);
    this.#unwritten.add(job.id);
    return job;
  }

  add(job: Job, input: string, secret?: string): void {
    this.#changed.set(job.id, job);
    this.#list.push(secret === undefined ? { kind: 'add', job, input } : { kind: 'add', job, input, secret });
  }

  findSchedule(id: string): Schedule | undefined {
    return this.#schedules.get(id) ?? this.snapshot.schedule(id);
  }

  schedule(id: string): Schedule {
    const schedule = this.findSchedule(id);
    if (schedule === undefined) throw new DomainError('not_found', `There is no schedule ${id}.`, { hint: 'Check the id; a deleted schedule is gone for good.' });
    return schedule;
  }

  template(scheduleId: string): JobTemplate {
    const template = this.snapshot.template(scheduleId);
    if (template === null) throw new DomainError('damaged', `What schedule ${scheduleId} makes is not what was stored: the checksum does not match.`, { hint: 'PATCH it with a new "job".' });
    return template;
  }

  addSchedule(schedule: Schedule, template: JobTemplate): void {
    this.#schedules.set(schedule.id, schedule);
    this.#list.push({ kind: 'addSchedule', schedule, template });
  }

  /** Several puts of one schedule become one write, a new template aside. */
  putSchedule(schedule: Schedule, template?: JobTemplate): Schedule {
    this.#schedules.set(schedule.id, schedule);
    if (template === undefined) this.#unwrittenSchedules.add(schedule.id);
    else this.#list.push({ kind: 'putSchedule', schedule, template });
    return schedule;
  }

  addRun(run: Run): void { this.#list.push({ kind: 'addRun', run }); }
  putRun(run: Run): void { this.#list.push({ kind: 'putRun', run }); }

  event(job: Job, type: EventType, data: string | null, final = false): void {
    const event = { jobId: job.id, rootId: job.rootId, type, at: this.env.now, data };
    this.#list.push(final ? { kind: 'event', event, final } : { kind: 'event', event });
  }

  /** Adds a change of rows that no job's row depends on. */
  beside(change: Extract<Change, { kind: 'document' | 'secret' | 'forget' }>): void {
    this.#list.push(change);
  }

  /** An event whose bytes stand beside it. */
  output(job: Job, data: string, bytes: Uint8Array): void {
    this.#list.push({ kind: 'event', event: { jobId: job.id, rootId: job.rootId, type: 'job:log', at: this.env.now, data }, bytes });
  }

  keep(change: Extract<Change, { kind: 'keep' }>): void {
    this.#list.push(change);
  }

  /** Adds a change that reads rows: what was put before it is written before it. */
  set(change: Change): void {
    this.#flush();
    this.#list.push(change);
    if (change.kind === 'cut') this.stale = true;
    if (change.kind === 'admit') this.#admitted.add(change.parentId);
  }

  changes(): Changes {
    this.#flush();
    return { list: this.#list, answer: this.answer, again: this.again };
  }

  #flush(): void {
    for (const id of this.#unwritten) {
      const job = this.#changed.get(id);
      if (job !== undefined) this.#list.push({ kind: 'put', job });
    }
    this.#unwritten.clear();
    for (const id of this.#unwrittenSchedules) {
      const schedule = this.#schedules.get(id);
      if (schedule !== undefined) this.#list.push({ kind: 'putSchedule', schedule });
    }
    this.#unwrittenSchedules.clear();
  }
}
