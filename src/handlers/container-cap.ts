// How much of a job's output is kept: its first 8 MB and its last 2 MB, and exactly how much is not. Pure: counters in, counters out.
import type { OutputTotals } from '../domain/commands.ts';
import { LOG_BYTES_MAX } from '../domain/event.ts';

/** What failed stands at the end, what was asked for at the beginning. */
export const HEAD_MAX = 8_000_000;
/** The tail is dropped by the segment, so that a mark stays small however short the pieces: 64 of them. */
const SEGMENT_BYTES = 32 * 1024;

/** Pieces, bytes and line ends of a stretch of the tail that is stored. */
export type Segment = readonly [pieces: number, bytes: number, lines: number];

export interface CapState {
  /** Bytes and pieces of the head that are stored. */
  readonly head: number;
  readonly headPieces: number;
  /** The head is full. */
  readonly isTail: boolean;
  readonly segments: readonly Segment[];
  readonly totals: OutputTotals;
}

export const EMPTY_CAP: CapState = { head: 0, headPieces: 0, isTail: false, segments: [], totals: { bytes: 0, lines: 0, droppedBytes: 0, droppedLines: 0 } };

/** What the tail may hold: all that the head left of the cap, so that nothing is dropped before the cap is reached. */
export const tailRoom = ({ head }: CapState): number => LOG_BYTES_MAX - head;

export const tailBytes = ({ segments }: CapState): number => segments.reduce((sum, [, bytes]) => sum + bytes, 0);

interface Size {
  readonly bytes: number;
  readonly lines: number;
}

/** A piece that was never stored is gone. */
export function drop(state: CapState, { bytes, lines }: Size): CapState {
  const { totals } = state;
  return { ...state, totals: { bytes: totals.bytes + bytes, lines: totals.lines + lines, droppedBytes: totals.droppedBytes + bytes, droppedLines: totals.droppedLines + lines } };
}

/** A piece is stored. */
export function add(state: CapState, { bytes, lines }: Size): CapState {
  const totals = { ...state.totals, bytes: state.totals.bytes + bytes, lines: state.totals.lines + lines };
  if (!state.isTail && state.head + bytes <= HEAD_MAX) return { ...state, head: state.head + bytes, headPieces: state.headPieces + 1, totals };
  const last = state.segments.at(-1);
  const segments = last !== undefined && last[1] < SEGMENT_BYTES
    ? [...state.segments.slice(0, -1), [last[0] + 1, last[1] + bytes, last[2] + lines] as const]
    : [...state.segments, [1, bytes, lines] as const];
  return { ...state, isTail: true, segments, totals };
}

/** Makes room: the oldest of the tail goes. `pieces`: how many lose their bytes. */
export function trim(state: CapState): { readonly state: CapState; readonly pieces: number } {
  let over = tailBytes(state) - tailRoom(state);
  if (over <= 0) return { state, pieces: 0 };
  let { droppedBytes, droppedLines } = state.totals;
  let pieces = 0;
  let n = 0;
  for (; over > 0 && n < state.segments.length; n++) {
    const [count, bytes, lines] = state.segments[n] as Segment;
    pieces += count;
    droppedBytes += bytes;
    droppedLines += lines;
    over -= bytes;
  }
  return { pieces, state: { ...state, segments: state.segments.slice(n), totals: { ...state.totals, droppedBytes, droppedLines } } };
}
