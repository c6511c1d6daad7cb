// What strace wrote, as system calls in the order in which they began and ended. Pure: lines in, calls out.
// One line is one place in time: strace holds each thread until it has written the line, so what caused what stands in order.

export interface SystemCall {
  readonly thread: number;
  readonly name: string;
  /** What the first argument's descriptor is: a path, or TCP:[…]. */
  readonly on: string;
  /** The arguments as strace has them, strings still escaped. */
  readonly args: string;
  /** Number of the line on which it began. */
  readonly start: number;
  /** Of the line on which it ended; Infinity if it never did. */
  readonly end: number;
  /** null if it never ended, or strace could not say. */
  readonly result: number | null;
}

const HEAD = /^(\d+) +(?:\d+\.\d+ +)?/;
const RESULT = /\)\s+= (-?\d+|\?)[^=]*$/;
const RESUMED = /^<\.\.\. (\w+) resumed>/;
const UNFINISHED = ' <unfinished ...>';
/** Longest text behind the arguments: a result with the name and the words of an error. */
const TAIL = 120;

/** @throws on a line that is none of strace's */
export function* readCalls(lines: Iterable<string>): Generator<SystemCall> {
  const open = new Map<number, Omit<SystemCall, 'end' | 'result'>>();
  let at = 0;
  for (const line of lines) {
    at += 1;
    const head = HEAD.exec(line);
    if (head === null) throw new Error(`line ${at} is not strace's: ${line.slice(0, 100)}`);
    const thread = Number(head[1]);
    const text = line.slice(head[0].length);
    if (text.startsWith('+++') || text.startsWith('---')) continue; // a thread's end, a signal
    const resumed = RESUMED.exec(text);
    if (resumed !== null) {
      const begun = open.get(thread);
      if (begun === undefined || begun.name !== resumed[1]) throw new Error(`line ${at} resumes ${resumed[1]}, which thread ${thread} did not begin`);
      open.delete(thread);
      yield { ...begun, end: at, result: resultOf(text) };
      continue;
    }
    const from = text.indexOf('(');
    if (from < 0) throw new Error(`line ${at} holds no call: ${text.slice(0, 100)}`);
    const call = { thread, name: text.slice(0, from), on: descriptorOf(text, from + 1), start: at };
    if (text.endsWith(UNFINISHED)) {
      if (open.has(thread)) throw new Error(`line ${at}: thread ${thread} is in another call`);
      open.set(thread, { ...call, args: text.slice(from + 1, -UNFINISHED.length) });
    } else yield { ...call, args: text.slice(from + 1), end: at, result: resultOf(text) };
  }
  for (const call of open.values()) yield { ...call, end: Infinity, result: null };
}

function resultOf(text: string): number | null {
  const result = RESULT.exec(text.slice(-TAIL))?.[1];
  return result === undefined || result === '?' ? null : Number(result);
}

/** 28</data/muster.db-wal>, … → /data/muster.db-wal; 34<TCP:[127.0.0.1:1->127.0.0.1:2]> has an arrow in it. */
function descriptorOf(text: string, from: number): string {
  const match = /^\d+<((?:TCP[^[]*\[[^\]]*\])|[^>]*)>/.exec(text.slice(from, from + 4_096));
  return match?.[1] ?? '';
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 };

/** The first string among the arguments, as bytes. */
export function firstString(args: string): number[] {
  const bytes: number[] = [];
  let i = args.indexOf('"') + 1;
  if (i === 0) return bytes;
  while (i < args.length && args[i] !== '"') {
    if (args[i] !== '\\') { bytes.push(args.charCodeAt(i)); i += 1; continue; }
    const octal = /^[0-7]{1,3}/.exec(args.slice(i + 1, i + 4))?.[0];
    if (octal === undefined) { bytes.push(ESCAPES[args[i + 1] ?? ''] ?? 0); i += 2; }
    else { bytes.push(Number.parseInt(octal, 8)); i += 1 + octal.length; }
  }
  return bytes;
}
