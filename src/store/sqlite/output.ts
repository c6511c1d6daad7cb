// Reading what containers printed: the bytes beside their events, and pages of one job's own log.
import { crc32 } from 'node:zlib';
import type { EventType } from '../../domain/event.ts';
import type { StoredEvent } from '../store.ts';
import { checksum, DamagedRow } from './log-table.ts';

const LOG = 'seq, type, at, data, sum, job_key';
// Of a root its tree is read: only a container is asked for its own log in pages, and that has no children.
export const HOT_OUTPUT_SQL = {
  bytes: 'SELECT bytes, sum FROM output WHERE seq = ?',
  facts: 'SELECT attempt, facts FROM kept WHERE job_key = ? AND facts IS NOT NULL ORDER BY attempt DESC LIMIT 100',
  totals: `SELECT k.bytes, k.lines, k.dropped_bytes AS droppedBytes, k.dropped_lines AS droppedLines
    FROM job j CROSS JOIN kept k ON k.job_key = j.key WHERE j.id = ? ORDER BY k.attempt DESC LIMIT 1`,
  rootAfter: `SELECT ${LOG} FROM event WHERE root_key = ? AND job_key = root_key AND seq > ? AND (type = 'job:log' OR type = 'job:gap') ORDER BY seq LIMIT ?`,
  rootBefore: `SELECT ${LOG} FROM event WHERE root_key = ? AND job_key = root_key AND seq < ? AND (type = 'job:log' OR type = 'job:gap') ORDER BY seq DESC LIMIT ?`,
  childAfter: `SELECT ${LOG} FROM event WHERE job_key = ? AND job_key <> root_key AND seq > ? AND (type = 'job:log' OR type = 'job:gap') ORDER BY seq LIMIT ?`,
  childBefore: `SELECT ${LOG} FROM event WHERE job_key = ? AND job_key <> root_key AND seq < ? AND (type = 'job:log' OR type = 'job:gap') ORDER BY seq DESC LIMIT ?`,
} as const;

export type LogRow = [seq: number, type: EventType, at: number, data: string | null, sum: number, jobKey: number];

/** A page of a log ends here: bytes printed and text, about. */
const PAGE_BYTES = 4 * 1_048_576;

/** Only output says first of which stream it is; the domain writes it so (decide-keep.ts). */
export const isOutput = (type: EventType, data: string | null): boolean => type === 'job:log' && data !== null && data.startsWith('{"stream":');

/** @throws DamagedRow */
export function outputOf(row: [Uint8Array, number] | undefined, seq: number): Uint8Array | null {
  if (row === undefined) return null;
  if (crc32(row[0]) !== row[1]) throw new DamagedRow(`the output of event ${seq}`);
  return row[0];
}

/** Rows as they come, oldest or newest first, until the page is full; in order of seq. @param shown the last event that is */
export function pageOf(
  rows: Iterable<LogRow>, jobId: string, rootId: string, limit: number, isBack: boolean, bytesOf: (seq: number) => Uint8Array | null,
  shown: number,
): { events: StoredEvent[]; more: boolean } {
  const events: StoredEvent[] = [];
  let left = PAGE_BYTES;
  let more = false;
  for (const [seq, type, at, data, sum] of rows) {
    if (seq > shown) continue;
    if (events.length === limit || left <= 0) { more = true; break; }
    if (checksum(data) !== sum) throw new DamagedRow(`event ${seq}`);
    const event: StoredEvent = isOutput(type, data) ? { seq, jobId, rootId, type, at, data, bytes: bytesOf(seq) } : { seq, jobId, rootId, type, at, data };
    left -= (data?.length ?? 0) + (event.bytes?.byteLength ?? 0);
    events.push(event);
  }
  return { events: isBack ? events.reverse() : events, more };
}
