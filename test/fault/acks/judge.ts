// Was every answer sent after its sync? Reads SQLite's log as it was written: frames make transactions, a sync that began
// after a transaction's last frame and ended well makes it durable, and only then may the answer's bytes leave. Pure.
import { firstString, type SystemCall } from './strace.ts';

/** An acknowledged change. */
export interface Ack {
  readonly what: string;
  /** Texts that the change wrote: its id, its input, its tag. Each stands in the log from its transaction on. */
  readonly marks: readonly string[];
  /** What tells its answer from all others. */
  readonly answer: string;
}

export interface Verdict {
  readonly violations: readonly string[];
  readonly acks: number;
  readonly transactions: number;
  readonly syncs: number;
}

/** Whatever may be a mark; both kinds have a fixed length, so that none is part of another. */
const MARK = /job_[0-9a-z]{26}|tok[0-9]{6}x/g;
const SYNCS: ReadonlySet<string> = new Set(['fsync', 'fdatasync']);
const FRAME_HEADER = 24;
const LOG_HEADER = 32;
/** Violations told; a server that never syncs has one an answer. */
const TOLD_MAX = 20;

interface Transaction {
  /** Line on which the write of its last frame ended. */
  readonly end: number;
  /** Line on which the sync that made it durable ended. */
  durable: number;
}

/** @param log path of the write-ahead log */
export function judge(calls: Iterable<SystemCall>, acks: readonly Ack[], log: string): Verdict {
  const violations: string[] = [];
  const wanted = new Set(acks.map((ack) => ack.answer));
  const firstIn = new Map<string, Transaction>();
  const answers = new Map<string, number>();
  const unsynced: Transaction[] = [];
  const syncs: { start: number; end: number }[] = [];
  let transactions = 0;
  let marks = new Set<string>();
  let isCommit: boolean | null = null;

  for (const call of calls) {
    if (call.on === log) {
      if (SYNCS.has(call.name)) { if (call.result === 0) syncs.push(call); continue; }
      if (call.name !== 'pwrite64') { violations.push(`line ${call.start}: the log is written by ${call.name}, which this does not read`); continue; }
      const length = Number(/, (\d+), \d+\)?[^"]*$/.exec(call.args.slice(-200))?.[1]);
      if (call.result !== length) { violations.push(`line ${call.start}: a write of ${length} bytes to the log ended with ${call.result}`); continue; }
      if (length === LOG_HEADER) continue;
      if (length === FRAME_HEADER) { // page number, then the size of the database if this frame ends a transaction
        isCommit = firstString(call.args).slice(4, 8).some((byte) => byte !== 0);
        continue;
      }
      if (isCommit === null) violations.push(`line ${call.start}: a page without a frame header`);
      for (const [mark] of call.args.matchAll(MARK)) marks.add(mark);
      if (isCommit === true) {
        const transaction: Transaction = { end: call.end, durable: Infinity };
        transactions += 1;
        unsynced.push(transaction);
        for (const mark of marks) if (!firstIn.has(mark)) firstIn.set(mark, transaction);
        marks = new Set();
      }
      isCommit = null;
    } else if (call.on.startsWith('TCP') && call.args.includes('HTTP/1.1 20')) {
      for (const [mark] of call.args.matchAll(MARK)) if (wanted.has(mark) && !answers.has(mark)) answers.set(mark, call.start);
    }
  }
  for (const { start, end } of syncs.sort((a, b) => a.end - b.end)) {
    for (const transaction of unsynced) if (transaction.end < start && end < transaction.durable) transaction.durable = end;
  }
  for (const { what, marks: own, answer } of acks) {
    const sent = answers.get(answer);
    if (sent === undefined) { violations.push(`${what}: its answer is not in the trace`); continue; }
    for (const mark of own) {
      const transaction = firstIn.get(mark);
      if (transaction === undefined) violations.push(`${what}: ${mark} was never written to the log, and was acknowledged on line ${sent}`);
      else if (transaction.end > sent) violations.push(`${what}: acknowledged on line ${sent}, before its last frame was written (${mark}, line ${transaction.end})`);
      else if (transaction.durable > sent) {
        violations.push(`${what}: acknowledged on line ${sent} without a finished sync since its last frame (${mark}, line ${transaction.end}${transaction.durable === Infinity ? ', never synced' : `, synced on line ${transaction.durable}`})`);
      }
    }
  }
  const more = violations.length - TOLD_MAX;
  return { violations: more > 0 ? [...violations.slice(0, TOLD_MAX), `and ${more} more`] : violations, acks: acks.length, transactions, syncs: syncs.length };
}
