// The agents' contract on standard output: one line of JSON, then the sentinel line. It shapes the job's result and nothing else:
// whatever a container prints, whether it succeeded is said by its exit code.
import { readJson } from '../domain/read-json.ts';
import { isTooDeep } from './answer.ts';
import type { Masker } from './container-secrets.ts';

export const SENTINEL = '__AGENT_DONE__';
/** A longer line is output, no answer; what agents answer with are a few KB. */
const ANSWER_MAX = 256 * 1024;
const LF = 10;
const BRACE = 0x7b;
const UNDERSCORE = 0x5f;
const WORDS = ['status', 'summary', 'result', 'artifacts'] as const;

export interface AgentAnswer {
  readonly status?: unknown;
  readonly summary?: unknown;
  readonly artifacts?: unknown;
  readonly [key: string]: unknown;
}

/** Reads standard output as it comes; keeps no more than one line that may be an answer. */
export class AgentWatch {
  /** The sentinel was printed: what follows is no answer. */
  isDone = false;
  #answer: AgentAnswer | null = null;
  #line: Buffer[] | null = [];
  #lineBytes = 0;
  readonly #masker: Masker;

  constructor(masker: Masker) {
    this.#masker = masker;
  }

  get answer(): AgentAnswer | null { return this.#answer; }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.isDone; ) {
      const end = bytes.indexOf(LF, at);
      const part = bytes.subarray(at, end < 0 ? bytes.length : end);
      if (this.#line !== null) this.#gather(part);
      if (end < 0) return;
      this.#endLine();
      at = end + 1;
    }
  }

  /** The last line may have no end. */
  end(): void {
    if (!this.isDone) this.#endLine();
  }

  #gather(part: Buffer): void {
    if (this.#lineBytes === 0 && part.length > 0 && part[0] !== BRACE && part[0] !== UNDERSCORE) this.#line = null;
    else if (this.#lineBytes + part.length > ANSWER_MAX) this.#line = null;
    else {
      this.#line?.push(Buffer.from(part)); // a copy: what it is part of is used again
      this.#lineBytes += part.length;
    }
  }

  #endLine(): void {
    const text = this.#line === null ? '' : Buffer.concat(this.#line).toString().trimEnd();
    this.#line = [];
    this.#lineBytes = 0;
    if (text === SENTINEL) this.isDone = true;
    else if (text.startsWith('{')) this.#judge(text);
  }

  /** The one with most of an answer's words; of two alike the later. */
  #judge(text: string): void {
    if (isTooDeep(text)) return;
    let value: unknown;
    try {
      value = this.#masker.value(readJson(text));
    } catch {
      return; // a line that begins like JSON
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    const score = (answer: object): number => WORDS.filter((word) => word in answer).length;
    if (score(value) > 0 && (this.#answer === null || score(value) >= score(this.#answer))) this.#answer = value as AgentAnswer;
  }
}
