// The history of a run: every message, event, call and harm, in order. Its hash is what two runs of one seed share.
import { createHash } from 'node:crypto';
import type { Kernel } from './kernel.ts';

/** Lines kept for a failure's report. */
const KEPT = 60;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #kernel: Kernel;
  readonly #say: ((line: string) => void) | null;
  #last: string[] = [];
  lines = 0;

  /** @param say told of every line, for --verbose */
  constructor(kernel: Kernel, say: ((line: string) => void) | null) {
    this.#kernel = kernel;
    this.#say = say;
  }

  add(what: string): void {
    const line = `${this.#kernel.mono} ${what}`;
    this.lines += 1;
    this.#hash.update(line).update('\n');
    this.#say?.(line);
    this.#last.push(line);
    if (this.#last.length > KEPT * 2) this.#last = this.#last.slice(-KEPT);
  }

  get last(): readonly string[] { return this.#last.slice(-KEPT); }
  digest(): string { return this.#hash.copy().digest('hex'); }
}
