// A curl command for each operation that can be pasted into a terminal.
import type { Operation } from './docs-page.ts';

/** Bodies where the schema alone gives no good example. */
const BODIES: Readonly<Record<string, unknown>> = {
  submitJobs: { jobs: [{ type: 'noop' }, { type: 'noop', priority: 9 }] },
  cancelJob: { reason: 'no longer needed' },
  editJob: { priority: 9, tags: ['urgent'] },
  editType: { concurrency: 20 },
  debugRequest: { url: '$ARENA$/api/debug/participant/$JOB$?pending=2', method: 'GET', data: null, delay: 0 },
  debugBatch: { url: '$ARENA$/api/debug/health', urls: ['$ARENA$/api/debug/health'], data: null },
  debugEvent: 'hello',
};
/** Queries that make an operation worth calling. */
const QUERIES: Readonly<Record<string, string>> = {
  listJobs: '?status=running&limit=20', getJob: '?wait=30', listEvents: '?after=0', readLogs: '?tail=100', debugParticipant: '?pending=2&delay=1&end=complete',
};
const STREAMS: ReadonlySet<string> = new Set(['streamJob', 'streamAll']);

export function curlOf(method: string, path: string, operation: Operation, body: unknown = BODIES[operation.operationId]): string {
  const address = `http://127.0.0.1:8000${path.replace('{id}', '$ID').replace('{job_id}', '$ID').replace('{job}', 'demo').replace('{type}', 'request')}${QUERIES[operation.operationId] ?? ''}`;
  const parts = [`curl${STREAMS.has(operation.operationId) ? ' -N' : ''}`];
  if (method !== 'GET' && !(method === 'POST' && body !== undefined)) parts.push(`-X ${method}`);
  parts.push(/[?&$]/.test(address) ? `"${address}"` : address);
  if (body !== undefined) parts.push(`\\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(body)}'`);
  return parts.join(' ');
}
