// One event of a job's log as lines: what handlers said, what containers printed (decoded here, stored raw), what was dropped.
import { DomainError } from '../domain/errors.ts';
import { readJson } from '../domain/read-json.ts';
import type { StoredEvent } from '../store/store.ts';

export type LogStream = 'stdout' | 'stderr' | 'log';

export interface LogLine {
  /** `log`: said by Muster or a handler, not printed by a container. */
  readonly stream: LogStream;
  readonly text: string;
}

/** Lines of one event. Their first may go on with the last of the event before of the same stream; their last may go on in the next. */
export interface LogPart {
  readonly stream: LogStream;
  readonly lines: readonly string[];
  /** Number of the first line among all that the job printed; null for what was not printed. */
  readonly offset: number | null;
  readonly continues: boolean;
  readonly open: boolean;
}

export interface OutputData {
  readonly stream: 'stdout' | 'stderr';
  readonly offset: number;
  readonly count: number;
  readonly bytes: number;
  readonly continues?: boolean;
  readonly open?: boolean;
}

const NOTHING: LogPart = { stream: 'log', lines: [], offset: null, continues: false, open: false };
/** Not fatal: what is no UTF-8 shows as U+FFFD, and a byte order mark is text like any other. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Text of what was printed, split at line feeds; a terminal's carriage return before one is not part of the line. */
export function decodeLines(bytes: Uint8Array): string[] {
  const lines = decoder.decode(bytes).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
}

export function outputData(event: StoredEvent): OutputData | null {
  return event.bytes === undefined || event.data === null ? null : (readJson(event.data) as unknown as OutputData);
}

export function partOf(event: StoredEvent): LogPart {
  const output = outputData(event);
  if (output !== null) {
    const { stream, offset } = output;
    const lines = event.bytes === null || event.bytes === undefined ? [] : decodeLines(event.bytes);
    return { stream, offset, lines, continues: output.continues === true, open: output.open === true };
  }
  const body = (event.data === null ? {} : readJson(event.data)) as { lines?: unknown; reason?: unknown; limit?: unknown; bytes?: unknown; lineCount?: unknown };
  if (event.type === 'job:log') return { ...NOTHING, lines: Array.isArray(body.lines) ? body.lines.map(String) : [] };
  if (event.type !== 'job:gap') throw new DomainError('invalid', `Event ${event.seq} is no part of a log.`);
  return { ...NOTHING, lines: [`[muster: ${gapText(body)}]`] };
}

function gapText(body: { reason?: unknown; limit?: unknown; bytes?: unknown; lineCount?: unknown }): string {
  switch (body.reason) {
    case 'log_full': return `the log is full at ${String(body.limit)} bytes; what came after was dropped`;
    case 'output_cap': return `${String(body.bytes)} bytes in ${String(body.lineCount)} lines were dropped from the middle of what was printed`;
    case 'output_incomplete': return 'what was printed could not be read to its end';
    default: return `entries were dropped (${String(body.reason ?? 'unknown')})`;
  }
}
