// The schedules' figures: what the store counts over all of them, and how late each was served. Labels are a handful of words.
import { RUN_STATUSES, SCHEDULE_STATUSES } from '../domain/schedule.ts';
import type { Store } from '../store/store.ts';
import { Buckets, type Metrics } from './metrics.ts';

/** From a quiet machine's milliseconds to an outage. */
const LATENESS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
const OUTCOMES = ['fired', ...RUN_STATUSES.filter((status) => status !== 'running' && status !== 'buffered')] as const;

/** Adds them. Returns what the scheduler calls for each schedule it served, with ms from due to durable. */
export function addScheduleMetrics(metrics: Metrics, store: Pick<Store, 'scheduleCounts'>): (lateness: number) => void {
  const lateness = new Buckets(LATENESS_SECONDS);
  metrics.add('counter', 'muster_schedule_instants_total', 'Instants of schedules by what became of them, and runs by how they ended; kept in the database.', async () => {
    const counts = await store.scheduleCounts();
    return OUTCOMES.map((outcome) => ({ labels: { outcome }, value: counts.get(outcome) ?? 0 }));
  });
  metrics.add('gauge', 'muster_schedules', 'Schedules by status.', async () => {
    const counts = await store.scheduleCounts();
    return SCHEDULE_STATUSES.map((status) => ({ labels: { status }, value: counts.get(`schedules_${status}`) ?? 0 }));
  });
  metrics.add('histogram', 'muster_schedule_lateness_seconds', 'From the instant at which a schedule was due to its job being on disk.', () => lateness.samples('muster_schedule_lateness_seconds', {}));
  return (ms) => lateness.observe(ms / 1_000);
}
