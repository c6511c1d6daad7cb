// Who may still join the queue for the disk. Refusing early is what keeps the promise of a bounded wait: a queue whose
// head is two seconds old has by then let in two seconds of everything that was sent, however long that takes to write.
import type { Command } from '../../domain/commands.ts';
import type { Clock } from '../../domain/clock.ts';

/** Commands in one transaction: beyond this a longer one gains nothing and the first of them waits for the last. */
export const BATCH_MAX = 512;
/** Two seconds of full-speed submits on a fast disk are 60,000; a quarter of a second is a queue worth having. */
const QUEUE_MAX = 10_000;
/** Longest wait that is worth one's while, ms: whoever would wait longer is refused at once and may go elsewhere. */
const WAIT_MAX = 2_000;
/** Weight of the newest commit in what the next is taken to last: four of them show a change, one checkpoint does not. */
const NEWEST = 0.3;
/** Never refused: they end work or keep it alive, and their number is bounded by what runs (of `fire` one is under way). They also go first. */
const OWN: ReadonlySet<Command['kind']> = new Set(['finish', 'renew', 'note', 'keep', 'claim', 'tick', 'recover', 'fire']);
/** A cancellation frees what others wait for, so it is let in when a submission is not; but clients send it, so it has bounds: twice those. */
const CANCEL_FACTOR = 2;

/**
 * What the next commit takes of the queue, which is shortened by it: in the order in which it came, unless one commit cannot
 * hold it all. Then what ends work or keeps it alive goes before what begins it.
 */
export function nextBatch<T extends { readonly command: Command }>(queue: T[]): T[] {
  if (queue.length > BATCH_MAX) {
    const own = queue.filter(({ command }) => OWN.has(command.kind));
    queue.splice(0, queue.length, ...own, ...queue.filter(({ command }) => !OWN.has(command.kind)));
  }
  return queue.splice(0, BATCH_MAX);
}

export interface Admission {
  /** The disk hangs, or more is asked of it than it can take: from here the two look the same. */
  stalled(): boolean;
  /** Would new work be refused now? */
  overloaded(): boolean;
  refuses(command: Command): boolean;
  /** A commit took this long, ms. */
  committed(took: number): void;
}

/** @param waiting what was sent and is not durable yet, oldest first */
export function createAdmission(clock: Clock, waiting: ReadonlyMap<number, { readonly since: number }>, queueMax = QUEUE_MAX): Admission {
  let commit = 0;
  const stalled = (): boolean => {
    const oldest = waiting.values().next().value;
    return oldest !== undefined && clock.monotonic() - oldest.since > WAIT_MAX;
  };
  // Below two full commits nothing is predicted: one is being written and the next must find its batch, or a slow disk is half idle.
  const isOver = (factor: number): boolean => waiting.size >= queueMax * factor
    || (waiting.size >= 2 * BATCH_MAX && Math.ceil((waiting.size + 1) / BATCH_MAX) * commit > WAIT_MAX * factor);
  const overloaded = (): boolean => isOver(1) || stalled();
  return {
    stalled, overloaded,
    refuses: (command) => !OWN.has(command.kind) && (command.kind === 'cancel' ? isOver(CANCEL_FACTOR) : overloaded()),
    committed(took) { commit += NEWEST * (took - commit); },
  };
}
