// The rows a command locks, as the domain sees them, with where each one stands in the file.
import type { Kept, Pick, Snapshot } from '../../domain/commands.ts';
import type { DocumentRef, KnownDocument } from '../../domain/document.ts';
import type { Grant } from '../../domain/grant.ts';
import type { Job } from '../../domain/job.ts';
import { checksum, DamagedRow } from './log-table.ts';
import type { PlacedSchedule, ScheduleTables } from './schedule-table.ts';
import { type JobRow, type JobTable, type Placed, toJob } from './job-table.ts';

/**
 * Rows the writer wrote and will soon need again: a job between its claim and its end. There is one writer, so what it
 * wrote is what the file holds; a set change or a rollback, which change rows behind its back, empty it.
 */
export class Recent {
  readonly #byId = new Map<string, Placed>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get(id: string): Placed | undefined { return this.#byId.get(id); }

  put(placed: Placed): void {
    const { id } = placed.job;
    if (placed.job.leaseUntil === null) {
      this.#byId.delete(id);
      return;
    }
    if (this.#byId.size >= this.#max) this.#byId.delete(this.#byId.keys().next().value ?? '');
    this.#byId.set(id, placed);
  }

  clear(): void { this.#byId.clear(); }
}

/** Schedules read and written for one command. */
export class LoadedSchedules {
  readonly #byId = new Map<string, PlacedSchedule>();
  readonly #tables: ScheduleTables;

  constructor(tables: ScheduleTables) {
    this.#tables = tables;
  }

  id(id: string): PlacedSchedule | undefined {
    const known = this.#byId.get(id) ?? this.#tables.schedule(id);
    if (known !== undefined) this.#byId.set(id, known);
    return known;
  }

  keep(placed: PlacedSchedule): void { this.#byId.set(placed.schedule.id, placed); }
}

/** Jobs read for one command: each row once, ancestors before descendants (a job's public ids are theirs). */
export class Loaded {
  readonly byId = new Map<string, Placed>();
  readonly #byKey = new Map<number, Placed>();
  readonly #jobs: JobTable;
  readonly #recent: Recent;

  constructor(jobs: JobTable, recent: Recent) {
    this.#jobs = jobs;
    this.#recent = recent;
  }

  id(id: string): Placed | undefined {
    const known = this.byId.get(id);
    if (known !== undefined) return known;
    const recent = this.#recent.get(id);
    if (recent !== undefined) {
      if (recent.parentKey !== null) this.key(recent.parentKey); // ancestors come with it
      this.keep(recent);
      return recent;
    }
    const row = this.#jobs.rowById(id);
    return row === undefined ? undefined : this.#place(row);
  }

  key(key: number): Placed | undefined {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const row = this.#jobs.rowByKey(key);
    return row === undefined ? undefined : this.#place(row);
  }

  /** A row read with others by one statement. */
  row(row: JobRow): Placed {
    return this.#byKey.get(row[0] as number) ?? this.#place(row);
  }

  keep(placed: Placed): void {
    this.byId.set(placed.job.id, placed);
    this.#byKey.set(placed.key, placed);
  }

  #place(row: JobRow): Placed {
    const parentKey = row[3] as number | null;
    const parent = parentKey === null ? undefined : this.key(parentKey);
    const job = toJob(row, parent?.job.id ?? null, parent?.job.rootId ?? (row[1] as string));
    const placed: Placed = { key: row[0] as number, parentKey, rootKey: row[4] as number, finalSeq: row[38] as number | null, job };
    this.keep(placed);
    return placed;
  }
}

export interface SnapshotSources {
  readonly jobs: JobTable;
  readonly known: (scope: string, key: string) => Snapshot['known'];
  readonly grant: (id: number) => Grant | null;
  readonly freeGrantId: () => number;
  readonly treeOpen: (rootKey: number) => boolean;
  readonly secret: (key: number) => string | null;
  readonly kept: (key: number) => Kept | null;
  readonly schedules: ScheduleTables;
  readonly document: (ref: DocumentRef) => KnownDocument | undefined;
}

/** Where readyRows puts the input, behind the job's own columns. */
const INPUT_COLUMN = 39;

const present = (placed: Placed | undefined): Job[] => (placed === undefined ? [] : [placed.job]);

export function takeSnapshot(pick: Pick, loaded: Loaded, loadedSchedules: LoadedSchedules, sources: SnapshotSources, now: number): Snapshot {
  const inputs = new Map<string, string | null>();
  /** One row that cannot be read must not stop every claim and every sweep that meets it. */
  const orAside = (key: number, read: () => Job[]): Job[] => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof DamagedRow)) throw error;
      sources.jobs.setAside(key);
      return [];
    }
  };
  const found = (keys: readonly number[]): Job[] => keys.flatMap((key) => orAside(key, () => present(loaded.key(key))));
  const ready = (row: JobRow): Job[] => orAside(row[0] as number, () => {
    const { job } = loaded.row(row);
    const text = row[INPUT_COLUMN] as string;
    inputs.set(job.id, checksum(text) === row[INPUT_COLUMN + 1] ? text : null);
    return [job];
  });
  const ofSchedule = <T>(id: string, otherwise: T, read: (key: number) => T): T => {
    const placed = loadedSchedules.id(id);
    return placed === undefined ? otherwise : read(placed.key);
  };
  const { schedules } = sources;
  const base = {
    schedule: (id: string) => loadedSchedules.id(id)?.schedule,
    template: (id: string) => ofSchedule(id, null, (key) => schedules.template(key)),
    run: (id: string, nominalAt: number) => ofSchedule(id, undefined, (key) => schedules.run(key, id, nominalAt)),
    served: (id: string, from: number, to: number) => ofSchedule(id, 0, (key) => schedules.served(key, from, to)),
    nextBuffered: (id: string) => ofSchedule(id, undefined, (key) => schedules.nextBuffered(key, id)),
    openJobs: (id: string): readonly string[] => ofSchedule(id, [], (key) => schedules.openJobs(key)),
    job: (id: string) => loaded.id(id)?.job,
    input: (id: string) => { const text = inputs.get(id); return text === undefined ? 'null' : text; },
    secret: (id: string) => { const key = loaded.id(id)?.key; return key === undefined ? null : sources.secret(key); },
    kept: (id: string) => { const key = loaded.id(id)?.key; return key === undefined ? null : sources.kept(key); },
    found: [] as readonly Job[],
    known: null as Snapshot['known'],
    grant: null as Grant | null,
    freeGrantId: 0,
    treeOpen: false,
  };
  switch (pick.kind) {
    case 'jobs':
      if (pick.idempotency === undefined && pick.grant === undefined) return base;
      return {
        ...base, known: pick.idempotency === undefined ? null : sources.known(pick.idempotency.scope, pick.idempotency.key),
        grant: pick.grant === undefined ? null : sources.grant(pick.grant),
      };
    case 'grant': return { ...base, grant: pick.id === null ? null : sources.grant(pick.id), freeGrantId: sources.freeGrantId() };
    case 'ready': return { ...base, found: sources.jobs.readyRows(pick.type, pick.limit).flatMap(ready) };
    case 'due': return { ...base, found: found(sources.jobs.dueKeys(now, pick.limit)) };
    case 'leased': return { ...base, found: found(sources.jobs.leasedKeys(pick.worker, pick.limit)) };
    case 'schedules': return base; // read as they are asked for: there is one writer
    case 'documents': return { ...base, document: sources.document };
    case 'tree': {
      const root = loaded.id(pick.id);
      return root === undefined ? base : { ...base, treeOpen: sources.treeOpen(root.key) };
    }
  }
}
