// What every reader must have, from the file's own event table; and what each connection may have given. Pure.
import { isDeepStrictEqual } from 'node:util';
import type { Roamer } from './roamer.ts';

export interface LogRow {
  readonly seq: number;
  readonly jobId: string;
  readonly type: string;
  readonly at: number;
  readonly data: string | null;
}

export interface Log {
  readonly rows: readonly LogRow[];
  readonly parents: ReadonlyMap<string, string | null>;
}

const FINAL: ReadonlySet<string> = new Set(['job:complete', 'job:error']);

/** Ids that a stream of this path shows, in order. */
export function scopeOf(path: string, { rows, parents }: Log): number[] {
  const url = new URL(path, 'http://x');
  const types = url.searchParams.get('type')?.split(',') ?? null;
  const watched = /^\/api\/jobs\/(\w+)\/stream$/.exec(url.pathname)?.[1] ?? null;
  const isBelow = (id: string | null): boolean => id !== null && (id === watched || isBelow(parents.get(id) ?? null));
  const memo = new Map<string, boolean>();
  const isIn = (id: string): boolean => {
    let known = memo.get(id);
    if (known === undefined) memo.set(id, (known = isBelow(id)));
    return known;
  };
  return rows.filter((row) => (types === null || types.includes(row.type)) && (watched === null || isIn(row.jobId))).map(({ seq }) => seq);
}

/** Does the wire say what the table says? A final event is expanded on the wire, so of it only what the row has. */
export function checkBytes(row: LogRow, raw: string): string | null {
  const match = /^id: (\d+)\ndata: ([^\r\n]*)$/.exec(raw); // a dot would stop at U+2028, which no stream does
  if (match === null || Number(match[1]) !== row.seq) return `event ${row.seq} is sent as ${raw.slice(0, 100)}`;
  const sent = JSON.parse(match[2] as string) as { type: string; jobId: string; timestamp: string; data: Record<string, unknown> };
  const head = { type: sent.type, jobId: sent.jobId, timestamp: sent.timestamp };
  if (!isDeepStrictEqual(head, { type: row.type, jobId: row.jobId, timestamp: new Date(row.at).toISOString() })) return `event ${row.seq} is headed ${JSON.stringify(head)}`;
  const stored = JSON.parse(row.data ?? '{}') as Record<string, unknown>;
  if (FINAL.has(row.type)) {
    const wrong = ['status', 'state'].find((name) => sent.data[name] !== stored[name]);
    return wrong === undefined ? null : `event ${row.seq} says ${wrong} ${String(sent.data[wrong])}, the table ${String(stored[wrong])}`;
  }
  if (typeof stored['dueAt'] === 'number') stored['dueAt'] = new Date(stored['dueAt']).toISOString();
  return isDeepStrictEqual(sent.data, stored) ? null : `event ${row.seq} carries ${JSON.stringify(sent.data).slice(0, 200)}, the table ${JSON.stringify(stored).slice(0, 200)}`;
}

/** @param reference every event as a stream that nobody cut gave it, at the end */
export function checkReaders(readers: readonly Roamer[], log: Log, reference: ReadonlyMap<number, string>): string[] {
  const violations: string[] = [];
  const say = (text: string): void => { if (violations.length < 20) violations.push(text); };
  for (const row of log.rows) {
    const raw = reference.get(row.seq);
    const wrong = raw === undefined ? `event ${row.seq} is in the table and not in the stream of everything` : checkBytes(row, raw);
    if (wrong !== null) say(wrong);
  }
  if (reference.size !== log.rows.length) say(`the stream of everything gave ${reference.size} events, the table has ${log.rows.length}`);

  for (const reader of readers) {
    reader.violations.forEach(say);
    const scope = scopeOf(reader.path, log);
    const kept = [...reader.heard.keys()].sort((a, b) => a - b);
    const missing = scope.filter((seq) => !reader.heard.has(seq));
    if (missing.length > 0) say(`${reader.path} MISSES ${missing.length} of ${scope.length} events: ${missing.slice(0, 5).join(', ')}; it has up to ${reader.position}`);
    if (kept.length + missing.length !== scope.length) say(`${reader.path} has ${kept.length} events that are not its own or not in the table, of ${scope.length}`);
    for (const [seq, raw] of reader.heard) if (raw !== reference.get(seq)) say(`${reader.path}: event ${seq} came with other bytes: ${raw.slice(0, 200)}`);
    for (const { after, ids } of reader.connections) {
      const from = scope.findIndex((seq) => seq > after);
      const due = from < 0 ? [] : scope.slice(from, from + ids.length);
      const at = ids.findIndex((seq, i) => seq !== due[i]);
      if (at >= 0) say(`${reader.path}: a connection after ${after} gave ${ids[at]} where ${due[at] ?? 'nothing more'} was due (${ids.includes(due[at] ?? -1) ? 'out of order or TWICE' : 'LEFT OUT'})`);
    }
  }
  return violations;
}
