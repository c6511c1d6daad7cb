// What earlier answers have told: ids, cursors and submissions that later requests use again. Old ones stay, new ones are likelier.

export interface Sent {
  readonly path: string;
  readonly key: string;
  readonly type: string;
  readonly body: string;
}

/** The newest kept in full; of what leaves, every tenth stays among the old. */
const NEW_MAX = 300;
const OLD_MAX = 500;

class Shelf<T> {
  readonly #new: T[] = [];
  readonly #old: T[] = [];
  #left = 0;

  put(item: T): void {
    this.#new.push(item);
    if (this.#new.length <= NEW_MAX) return;
    const gone = this.#new.shift()!;
    if (this.#left++ % 10 !== 0) return;
    if (this.#old.length < OLD_MAX) this.#old.push(gone);
    else this.#old[this.#left % OLD_MAX] = gone;
  }

  /** Small numbers mean the newest. */
  take(n: number): T | undefined {
    if (n % 5 === 4 && this.#old.length > 0) return this.#old[n % this.#old.length];
    return this.#new.length === 0 ? undefined : this.#new[this.#new.length - 1 - (Math.floor(n / 5) % this.#new.length)];
  }

  get size(): number { return this.#new.length; }
}

export class Pool {
  readonly ids = new Shelf<string>();
  readonly schedules = new Shelf<string>();
  readonly operations = new Shelf<string>();
  readonly grants = new Shelf<string>();
  /** Batches that take children. */
  readonly parents = new Shelf<string>();
  readonly ended = new Shelf<string>();
  readonly waiting = new Shelf<string>();
  /** Experiments. */
  readonly runs = new Shelf<string>();
  readonly cursors = new Shelf<string>();
  readonly events = new Shelf<string>();
  /** Submissions with a key, by operation. */
  readonly sent: Readonly<Record<string, Shelf<Sent>>> = { submitJob: new Shelf<Sent>(), submitJobs: new Shelf<Sent>() };

  learn(body: unknown): void {
    if (typeof body !== 'object' || body === null) return;
    const { id, ids, status, state, nextCursor, cursor, jobs, options, type, parentId, kind, grantee, job_id: row, schedule_id: schedule } = body as Record<string, any>;
    if (typeof id === 'string' && id.startsWith('job_')) {
      this.ids.put(id);
      if (type === 'experiment') this.runs.put(id);
      if (type === 'batch' && options?.sealed === false && state === 'PENDING') this.parents.put(id);
      if (state !== undefined && state !== 'PENDING' && parentId === null) this.ended.put(id);
      if (status === 'queued' || status === 'paused' || status === 'retry') this.waiting.put(id);
    }
    if (kind === 'OperationCreated') this.operations.put(id);
    if (typeof id === 'number' && typeof grantee === 'string') this.grants.put(String(id));
    if (typeof id === 'string' && id.startsWith('sched_')) this.schedules.put(id);
    if (typeof schedule === 'string' && status !== 'DELETED') this.schedules.put(schedule);
    if (typeof row === 'string' && row.startsWith('job_')) this.ids.put(row);
    if (Array.isArray(ids)) for (const one of ids.slice(0, 20)) this.ids.put(one);
    if (typeof cursor === 'string') this.events.put(cursor);
    if (typeof nextCursor === 'string') (/^\d+$/.test(nextCursor) ? this.events : this.cursors).put(nextCursor);
    if (Array.isArray(jobs)) for (const job of jobs.slice(0, 5)) this.learn(job);
  }
}
