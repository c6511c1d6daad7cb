// A log in memory, for tests of the feed alone: counts what is read of it and fails when told to.
import type { Job } from '../../src/domain/job.ts';
import type { FeedDeps } from '../../src/runtime/feed.ts';
import type { StoredEvent } from '../../src/store/store.ts';
import { manualClock } from '../handlers/support.ts';

interface Reads { all: number; scoped: number; lineage: number }

/** A log in memory. Parents: a/b/c is below a/b is below a; the root is the first letter. */
export function memoryLog() {
  const events: StoredEvent[] = [];
  const listeners = new Set<() => void>();
  const reads: Reads = { all: 0, scoped: 0, lineage: 0 };
  const clock = manualClock();
  const encoded: number[] = [];
  let failure: Error | null = null;
  const parentOf = (id: string): string | null => (id.includes('/') ? id.slice(0, id.lastIndexOf('/')) : null);
  const isIn = (id: string, watched: string): boolean => id === watched || id.startsWith(`${watched}/`);
  const store: FeedDeps['store'] = {
    events(scope, after, limit, types) {
      if (scope === 'all') reads.all += 1;
      else reads.scoped += 1;
      if (failure !== null) return Promise.reject(failure);
      const found = events.filter((event) => event.seq > after && (scope === 'all' || isIn(event.jobId, scope.jobId)) && (types === undefined || types.includes(event.type)));
      return Promise.resolve(found.slice(0, limit));
    },
    lastSeq: () => Promise.resolve(events.at(-1)?.seq ?? 0),
    lineage(id) {
      reads.lineage += 1;
      const jobs: Job[] = [];
      for (let at: string | null = id; at !== null; at = parentOf(at)) jobs.push({ id: at, parentId: parentOf(at) } as Job);
      return Promise.resolve(jobs);
    },
    onCommit(listener) { listeners.add(listener); return () => listeners.delete(listener); },
  };
  const problems: string[] = [];
  return {
    store, reads, clock, events, encoded, problems, listeners,
    fail(error: Error | null) { failure = error; },
    report: { warn() {}, error(_facts: object, message: string) { problems.push(message); } },
    encode: (event: StoredEvent): Uint8Array => { encoded.push(event.seq); return Buffer.from(`${event.seq};${event.data ?? ''}`); },
    /** Sequence numbers may have gaps: trees are deleted. */
    commit(...jobs: readonly string[]) {
      for (const jobId of jobs) events.push({ seq: (events.at(-1)?.seq ?? 0) + 1, jobId, rootId: jobId.split('/')[0] ?? jobId, type: jobId.endsWith('!') ? 'job:complete' : 'job:log', at: 0, data: null });
      for (const listener of listeners) listener();
    },
  };
}
