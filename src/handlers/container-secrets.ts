// Secrets in what a container prints: their values, and what base64 makes of them at any of its three alignments.
import { MASK } from '../orchestrator/secrets.ts';

/** Shorter values would mask half of what is printed; the input refuses them. */
export const SECRET_MIN = 6;

/** Held back of a line at most: below the 64 KB at which a line is stored in parts, so that a part is always left to store. */
const HOLD_MAX = 60 * 1024;

const MASKED = Buffer.from(MASK);

/** The part of its base64 that does not depend on what stands before and after it. */
function base64Cores(value: Buffer): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), value]).toString('base64');
    const from = Math.ceil((shift * 8) / 6);
    const whole = Math.floor(((shift + value.length) * 8) / 6); // characters made of its bits alone
    return text.slice(from, whole);
  }).filter((core) => core.length >= SECRET_MIN);
}

/** What can be masked of it: output is looked at in pieces that end with lines. */
export const linesOf = (value: string): string[] => value.split(/[\r\n]+/).filter((part) => part.length >= SECRET_MIN);

/** The columns after which `base64` and PEM begin another line. */
const WRAPS = [76, 64];
const wrapped = (core: string): string[] => WRAPS.flatMap((columns) => (core.length <= columns ? [] : core.match(new RegExp(`.{1,${columns}}`, 'g')) ?? []))
  .filter((line) => line.length >= SECRET_MIN);

/** Inside a string of JSON, as most print it, and as those do that print ASCII alone. */
function inJson(text: string): string[] {
  const plain = JSON.stringify(text).slice(1, -1);
  return [plain, plain.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)];
}

function patternsOf(values: Iterable<string>): Buffer[] {
  const texts = new Set<string>();
  for (const value of values) {
    for (const one of [...linesOf(value), value]) {
      if (!/[\r\n]/.test(one)) for (const text of [one, ...inJson(one)]) texts.add(text);
      const cores = base64Cores(Buffer.from(one));
      for (const core of [...cores, ...wrapped(cores[0] ?? '')]) {
        texts.add(core);
        texts.add(core.replaceAll('+', '-').replaceAll('/', '_'));
      }
    }
  }
  // Longest first, so that a secret that contains another is masked as a whole.
  return [...texts].map((text) => Buffer.from(text)).sort((a, b) => b.length - a.length);
}

export class Masker {
  readonly #patterns: readonly Buffer[];
  readonly #longest: number;

  constructor(values: Iterable<string>) {
    this.#patterns = patternsOf(values);
    this.#longest = this.#patterns[0]?.length ?? 0;
  }

  mask(bytes: Buffer): Buffer {
    let masked = bytes;
    for (const pattern of this.#patterns) masked = replaceAll(masked, pattern);
    return masked;
  }

  text(text: string): string {
    return this.#patterns.length === 0 ? text : this.mask(Buffer.from(text)).toString();
  }

  /** Every string in it, keys too: an escape in JSON hides a secret until it is read. */
  value(value: unknown): unknown {
    if (this.#patterns.length === 0) return value;
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((one) => this.value(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [this.text(key), this.value(one)]));
  }

  /** How many bytes at the end may be the beginning of a secret. */
  tailOf(bytes: Buffer): number {
    for (let length = Math.min(this.#longest - 1, bytes.length, HOLD_MAX); length > 0; length--) {
      const tail = bytes.subarray(bytes.length - length);
      if (this.#patterns.some((pattern) => pattern.length > length && pattern.subarray(0, length).equals(tail))) return length;
    }
    return 0;
  }
}

function replaceAll(bytes: Buffer, pattern: Buffer): Buffer {
  let at = bytes.indexOf(pattern);
  if (at < 0) return bytes;
  const parts: Buffer[] = [];
  let from = 0;
  for (; at >= 0; at = bytes.indexOf(pattern, from)) {
    parts.push(bytes.subarray(from, at), MASKED);
    from = at + pattern.length;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}
