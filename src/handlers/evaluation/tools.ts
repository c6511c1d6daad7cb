// What the handlers of evaluations are handed. They read what others stored through it and write nothing: what they leave
// goes with their outcome.
import type { Clock } from '../../domain/clock.ts';
import type { DocumentKind } from '../../domain/document.ts';
import type { Outcome as CaseOutcome } from '../../domain/evaluation/statistics.ts';
import type { Egress } from '../egress/client.ts';

export interface EvaluationTools {
  readonly egress: Egress;
  readonly clock: Clock;
  /** A large text of a report, or null. */
  readonly part: (kind: DocumentKind, id: string, part: string) => Promise<string | null>;
  /** Keys and headers that no route reads. JSON text. */
  readonly secret: (kind: DocumentKind, id: string) => Promise<string | null>;
  /** What a report says of its run, or null. */
  readonly report: (id: string) => Promise<ReportFacts | null>;
  /** How the cases of a run ended, in order. */
  readonly outcomes: (jobId: string) => Promise<readonly CaseOutcome[]>;
  readonly meter: EvaluationMeter;
}

export interface ReportFacts {
  readonly traceId: string | null;
  readonly limit: string | null;
  readonly duration: number;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly cost: number | null } | null;
}

/** What a process may count. */
export interface EvaluationMeter {
  /** Agent streams open now, by +1 and −1. */
  streams(change: 1 | -1): void;
  /** A run was sent back since its agent or judge had as many as it may. */
  deferred(what: 'agent' | 'judge'): void;
  events(count: number): void;
  tokens(input: number, output: number): void;
}
export const NO_EVALUATION_METER: EvaluationMeter = { streams() {}, deferred() {}, events() {}, tokens() {} };

/** How many may be in at once, by name. Who finds no place is sent back: it holds none that others could use. */
export class Places {
  readonly #taken = new Map<string, number>();

  /** The way to leave, or null if it is full. */
  enter(name: string, max: number): (() => void) | null {
    const taken = this.#taken.get(name) ?? 0;
    if (taken >= max) return null;
    this.#taken.set(name, taken + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (this.#taken.get(name) ?? 1) - 1;
      if (now === 0) this.#taken.delete(name);
      else this.#taken.set(name, now);
    };
  }
}
/** Asked again after this, ms: a case lasts seconds, so a place is found within a tenth of one. */
export const DEFER = 250;
