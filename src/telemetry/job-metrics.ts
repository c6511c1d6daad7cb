// The jobs' figures, read from the counters that the store keeps: a scrape never counts rows.
// The seeds' dashboards say task where the rest of Muster says job; the metric names are theirs.
import type { JobStatus } from '../domain/job.ts';
import type { Capacity } from '../orchestrator/capacity.ts';
import type { Waiters } from '../orchestrator/wait.ts';
import type { Store, StoreStats } from '../store/store.ts';
import type { Metrics, Sample } from './metrics.ts';

export interface JobMetricsDeps {
  readonly store: Store;
  readonly capacity: Capacity;
  readonly waiters: Waiters;
}

/** Rises with what the store counts and stays when jobs are deleted; from 0 at the start of the process, as counters do. */
class Risen {
  readonly #totals = new Map<string, number>();
  readonly #seen = new Map<string, number>();
  #first = true;

  update(now: ReadonlyMap<string, number>): void {
    for (const [type, count] of now) {
      const before = this.#seen.get(type) ?? (this.#first ? count : 0);
      this.#totals.set(type, (this.#totals.get(type) ?? 0) + Math.max(0, count - before));
      this.#seen.set(type, count);
    }
    this.#first = false;
  }

  samples(): Sample[] {
    return [...this.#totals].map(([task_type, value]) => ({ labels: { task_type }, value }));
  }
}

function countBy(stats: StoreStats, statuses: readonly JobStatus[] | null): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { type, status, count } of stats.jobs) {
    counts.set(type, (counts.get(type) ?? 0) + (statuses === null || statuses.includes(status) ? count : 0));
  }
  return counts;
}

/** Adds them and takes the first reading, from which the counters rise. */
export async function addJobMetrics(metrics: Metrics, { store, capacity, waiters }: JobMetricsDeps): Promise<void> {
  const created = new Risen();
  const completed = new Risen();
  const failed = new Risen();
  let shared: Promise<StoreStats> | null = null;
  /** One reading for all the metrics of a scrape. */
  const read = (): Promise<StoreStats> => {
    shared ??= store.stats().then((stats) => {
      created.update(countBy(stats, null));
      completed.update(countBy(stats, ['completed']));
      failed.update(countBy(stats, ['failed']));
      return stats;
    }).finally(() => { shared = null; });
    return shared;
  };
  await read();

  metrics.add('counter', 'tasks_created_total', 'Jobs added since the server started', async () => (await read(), created.samples()));
  metrics.add('counter', 'tasks_completed_total', 'Jobs completed since the server started', async () => (await read(), completed.samples()));
  metrics.add('counter', 'tasks_failed_total', 'Jobs failed since the server started', async () => (await read(), failed.samples()));
  metrics.add('gauge', 'tasks_queue_depth', 'Jobs that wait: for a turn, a due time, a retry', async () =>
    [...countBy(await read(), ['queued', 'retry'])].map(([task_type, value]) => ({ labels: { task_type }, value })));
  metrics.add('gauge', 'muster_jobs', 'Jobs kept, by type and status', async () =>
    (await read()).jobs.map(({ type, status, count }) => ({ labels: { type, status }, value: count })));
  metrics.add('gauge', 'muster_write_queue', 'Commands sent to the writer and not yet durable', async () => [{ value: (await read()).waiting }]);
  metrics.add('gauge', 'muster_database_bytes', 'Size of the database file', async () => [{ value: (await read()).fileBytes }]);
  metrics.add('gauge', 'muster_wal_bytes', 'Size of the write-ahead log', async () => [{ value: (await read()).walBytes }]);
  metrics.add('gauge', 'muster_store_ok', '1 while the store takes writes, 0 when its disk is full or hangs, or it has failed', () => [{ value: store.health() === 'ok' ? 1 : 0 }]);
  metrics.add('gauge', 'muster_waiters', 'Requests that wait for a job to end', () => [{ value: waiters.count }]);
  metrics.add('gauge', 'muster_running', 'Jobs run by this process now', () => capacity.list().map(({ type, running }) => ({ labels: { type }, value: running })));
  metrics.add('gauge', 'muster_concurrency', 'How many of a type may run at once', () => capacity.list().map(({ type, limit }) => ({ labels: { type }, value: limit })));
}
