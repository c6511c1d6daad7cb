// One claimed job while its handler runs: its abort signal and the gathering of its log lines.
import type { Claim, EventDraft } from '../domain/commands.ts';
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import type { HandlerContext } from '../handlers/handler.ts';

/** Lines are gathered so that a chatty job does not cost a commit per line, and shown within a blink. */
const LOG_LINES = 10;
const LOG_WAIT = 100;
/** One line kept, characters; the rest is cut with a mark. Docker splits at 16 KB too. */
const LINE_MAX = 16_384;

/** Never between the halves of a pair. */
function clip(line: string): string {
  if (line.length <= LINE_MAX) return line;
  const kept = line.slice(0, LINE_MAX);
  const whole = kept.isWellFormed() ? kept : kept.slice(0, -1);
  return `${whole} … (${line.length - whole.length} characters cut)`;
}

export interface Note {
  /** In the order in which they came. */
  readonly events: readonly EventDraft[];
  readonly progress?: number;
}

export class Running {
  readonly claim: Claim;
  readonly context: HandlerContext;
  /** Monotonic: the wall clock may be set while it runs. */
  readonly since: number;
  /** Its lease is gone or the server stops: the outcome no longer counts. */
  revoked = false;
  readonly #abort = new AbortController();
  readonly #clock: Clock;
  readonly #send: (note: Note) => void;
  #lines: string[] = [];
  readonly #stop = new AbortController();
  #events: EventDraft[] = [];
  #progress: number | undefined;
  #cancelTimer: (() => void) | null = null;
  #ended = false;

  constructor(claim: Claim, clock: Clock, send: (note: Note) => void, tools: Pick<HandlerContext, 'finalBody' | 'keep'>) {
    this.claim = claim;
    this.since = clock.monotonic();
    this.#clock = clock;
    this.#send = send;
    this.context = {
      signal: this.#abort.signal,
      log: (line) => this.#log(line),
      step: (data) => {
        if (this.revoked || this.#ended) return;
        this.#gatherLines();
        this.#events.push({ type: 'job:trajectory', data: JSON.stringify(data) });
        if (this.#events.length >= LOG_LINES) this.flush();
        else this.#soon();
      },
      progress: (fraction) => {
        if (this.revoked || this.#ended || Number.isNaN(fraction)) return;
        this.#progress = Math.min(1, Math.max(0, fraction));
        this.#soon();
      },
      stopping: this.#stop.signal,
      finalBody: tools.finalBody,
      keep: (keep) => (this.revoked || this.#ended ? Promise.reject(new DomainError('lease_lost', 'The run is over.')) : tools.keep(keep)),
    };
    if (claim.ending !== null) this.ask();
  }

  /** Asked to end; its outcome still counts. */
  ask(): void {
    this.#stop.abort(new Error('It was asked to end.'));
  }

  abort(reason: string): void {
    this.#abort.abort(new Error(reason));
  }

  /** Sends what was gathered and takes no more; call before the outcome, so that no line comes after the end. */
  end(): void {
    this.flush();
    this.#ended = true;
  }

  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#gatherLines();
    if (this.revoked || (this.#events.length === 0 && this.#progress === undefined)) return;
    const events = this.#events;
    const progress = this.#progress;
    this.#events = [];
    this.#progress = undefined;
    this.#send(progress === undefined ? { events } : { events, progress });
  }

  #gatherLines(): void {
    if (this.#lines.length === 0) return;
    this.#events.push({ type: 'job:log', data: JSON.stringify({ lines: this.#lines }) });
    this.#lines = [];
  }

  #log(text: string): void {
    if (this.revoked || this.#ended) return;
    // Whoever reads the log counts lines; half a surrogate pair is no text, and readers end at it.
    for (const line of text.toWellFormed().split(/\r\n|\n|\r/)) {
      this.#lines.push(clip(line));
      if (this.#lines.length >= LOG_LINES) this.flush();
      else this.#soon();
    }
  }

  #soon(): void {
    this.#cancelTimer ??= this.#clock.after(LOG_WAIT, () => {
      this.#cancelTimer = null;
      this.flush();
    });
  }
}
