// What a job has printed, line by line. Read in pages of the log, never held whole; every dialect reads through here.
import type { Store, StoredEvent } from '../store/store.ts';
import { type LogLine, type LogPart, type LogStream, outputData, partOf } from './log-lines.ts';

/** Events read at once; the store ends a page near 4 MiB whatever their number. */
const PAGE = 200;
/** Without a limit of their own, lines in one answer. */
export const DEFAULT_LINES = 1_000;

export interface LinesQuery {
  /** Lines to skip. */
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  /** Only the last so many; instead of offset and limit. */
  readonly tail?: number | undefined;
  /** Only of these. */
  readonly streams?: readonly LogStream[] | undefined;
}

export interface Lines {
  readonly lines: readonly LogLine[];
  /** Number of the first line among those kept, from 0. */
  readonly offset: number;
  /** Where the next page begins; null at the end. */
  readonly nextOffset: number | null;
  /** Lines kept, all of them. null: only known by reading on to the end. */
  readonly total: number | null;
  /** Lines and bytes that the job printed and that are no longer kept. */
  readonly droppedLines: number;
  readonly droppedBytes: number;
  readonly truncated: boolean;
}

/** Joins parts into whole lines: what ends in the middle of one waits for the rest. */
class Joiner {
  readonly #open = new Map<LogStream, string>();

  *add({ stream, lines, continues, open }: LogPart): Generator<LogLine> {
    const whole = [...lines];
    const before = this.#open.get(stream);
    if (before !== undefined) {
      this.#open.delete(stream);
      if (continues) whole[0] = before + (whole[0] ?? '');
      else yield { stream, text: before }; // the rest of it was dropped
    }
    if (open) this.#open.set(stream, whole.pop() ?? '');
    for (const text of whole) yield { stream, text };
  }

  *end(): Generator<LogLine> {
    for (const [stream, text] of this.#open) yield { stream, text };
    this.#open.clear();
  }
}

/** Every line from the oldest kept on, in arrays of a page's event. */
export async function* eachLine(store: Store, jobId: string): AsyncGenerator<readonly LogLine[]> {
  const joiner = new Joiner();
  for (let after = 0; ; ) {
    const { events, more } = await store.logs(jobId, { after }, PAGE);
    for (const event of events) yield [...joiner.add(partOf(event))];
    if (!more) break;
    after = events.at(-1)?.seq ?? after;
  }
  yield [...joiner.end()];
}

export async function readLines(store: Store, jobId: string, query: LinesQuery = {}): Promise<Lines> {
  const printed = await store.printed(jobId);
  const dropped = { droppedLines: printed?.droppedLines ?? 0, droppedBytes: printed?.droppedBytes ?? 0, truncated: (printed?.droppedBytes ?? 0) > 0 };
  const wants = (line: LogLine): boolean => query.streams === undefined || query.streams.includes(line.stream);
  if (query.tail !== undefined && printed !== null && query.streams === undefined) return { ...(await lastLines(store, jobId, query.tail, printed.lines - printed.droppedLines)), ...dropped };

  const { tail, offset = 0, limit = DEFAULT_LINES } = query;
  const lines: LogLine[] = [];
  let seen = 0;
  for await (const some of eachLine(store, jobId)) {
    for (const line of some) {
      if (!wants(line)) continue;
      if (tail !== undefined) {
        lines.push(line);
        if (lines.length > tail * 2) lines.splice(0, lines.length - tail);
      } else if (seen >= offset) {
        if (lines.length === limit) return { lines, offset, nextOffset: offset + limit, total: null, ...dropped };
        lines.push(line);
      }
      seen++;
    }
  }
  const last = tail === undefined ? lines : lines.slice(-tail);
  return { lines: last, offset: tail === undefined ? offset : seen - last.length, nextOffset: null, total: seen, ...dropped };
}

/** From the end backwards, so that a poll of a long log costs a page. */
async function lastLines(store: Store, jobId: string, tail: number, ended: number): Promise<Pick<Lines, 'lines' | 'offset' | 'nextOffset' | 'total'>> {
  const events: StoredEvent[] = [];
  let count = 0;
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await store.logs(jobId, { before }, PAGE);
    events.unshift(...page.events);
    for (const event of page.events) count += event.bytes === null ? 0 : (outputData(event)?.count ?? 1);
    before = page.events[0]?.seq ?? 0;
    if (!page.more || count > tail) break; // one more than asked: the first may be the end of a line begun before
  }
  const joiner = new Joiner();
  const lines = [...events.flatMap((event) => [...joiner.add(partOf(event))]), ...joiner.end()];
  const last = tail === 0 ? [] : lines.slice(-tail);
  const said = lines.filter(({ stream }) => stream === 'log').length;
  const total = Math.max(last.length, ended + said + (isOpen(events) ? 1 : 0));
  return { lines: last, offset: total - last.length, nextOffset: null, total };
}

const isOpen = (events: readonly StoredEvent[]): boolean => {
  const last = events.findLast((event) => event.bytes !== undefined && event.bytes !== null);
  return last !== undefined && outputData(last)?.open === true;
};

/** The bytes as they were printed, in the order in which they were read; of one stream, or of both. */
export async function* eachBytes(store: Store, jobId: string, stream?: 'stdout' | 'stderr'): AsyncGenerator<Uint8Array> {
  for (let after = 0; ; ) {
    const { events, more } = await store.logs(jobId, { after }, PAGE);
    for (const event of events) {
      if (event.bytes !== undefined && event.bytes !== null && (stream === undefined || outputData(event)?.stream === stream)) yield event.bytes;
    }
    if (!more) return;
    after = events.at(-1)?.seq ?? after;
  }
}
