// What a job prints as whole lines, each with the event in which it ends: for readers that get a line once, while it runs.
// An event may end in the middle of a line; what it began is found again in the events before, not remembered.
import type { Store, StoredEvent } from '../store/store.ts';
import { type LogPart, type LogStream, partOf } from './log-lines.ts';

/** Pages going back: nearly always the event just before tells. */
const FIRST_PAGE = 1;
const LAST_PAGE = 64;
/** Where a line was surely begun it is looked for to the start; whether an attempt before left one open, only this far. */
const LOOK_BACK = 1_000;

export class WholeLines {
  readonly #store: Pick<Store, 'logs'>;

  constructor(store: Pick<Store, 'logs'>) {
    this.#store = store;
  }

  /** The lines that end in this event. Their number is the same whenever it is asked, until the cap takes the event's bytes. */
  linesOf(event: StoredEvent): Promise<readonly string[]> | readonly string[] {
    const part = partOf(event);
    return part.stream === 'log' ? part.lines : this.#printed(event, part);
  }

  /** Lines begun before the cursor that nothing ended. */
  async unended(jobId: string, before: number): Promise<readonly string[]> {
    const open = await Promise.all((['stdout', 'stderr'] as const).map((stream) => this.#begun(jobId, stream, before, LOOK_BACK)));
    return open.filter((line) => line !== null);
  }

  async #printed({ jobId, seq, bytes }: StoredEvent, { stream, lines, continues, open }: LogPart): Promise<readonly string[]> {
    if (bytes === null) return []; // dropped since, to keep to the cap
    const whole = open ? lines.slice(0, -1) : [...lines];
    if (!continues) {
      const left = await this.#begun(jobId, stream, seq, LOOK_BACK); // by an attempt that ended in the middle of it
      return left === null ? whole : [left, ...whole];
    }
    const [first, ...rest] = whole;
    return first === undefined ? [] : [`${(await this.#begun(jobId, stream, seq, Infinity)) ?? ''}${first}`, ...rest];
  }

  /** What this stream had printed of a line when the event at `before` came; null if its last line had ended. */
  async #begun(jobId: string, stream: LogStream, before: number, most: number): Promise<string | null> {
    const pieces: string[] = [];
    for (let [at, size, looked] = [before, FIRST_PAGE, 0]; looked < most; size = Math.min(size * 4, LAST_PAGE)) {
      const { events, more } = await this.#store.logs(jobId, { before: at }, size);
      for (const event of events.toReversed()) {
        const part = partOf(event);
        if (part.stream !== stream) continue;
        if (pieces.length === 0 && !part.open) return null;
        pieces.unshift(part.lines.at(-1) ?? '');
        if (part.lines.length > 1 || !part.continues) return pieces.join('');
      }
      looked += events.length;
      at = events[0]?.seq ?? 0;
      if (!more) break;
    }
    return pieces.length === 0 ? null : pieces.join('');
  }
}
