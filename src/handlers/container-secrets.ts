// Secrets in what a container prints: their values, and what base64 makes of them at any of its three alignments.
import { MASK } from '../orchestrator/secrets.ts';

/** Shorter values would mask half of what is printed; the input refuses them. */
export const SECRET_MIN = 6;

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

/** Every line of it: output is looked at in pieces that end with lines. */
function patternsOf(values: Iterable<string>): Buffer[] {
  const texts = new Set<string>();
  for (const value of values) {
    const parts = value.split(/[\r\n]+/).filter((part) => part.length >= SECRET_MIN);
    for (const one of [...parts, value]) {
      if (!/[\r\n]/.test(one)) texts.add(one);
      for (const core of base64Cores(Buffer.from(one))) {
        texts.add(core);
        texts.add(core.replaceAll('+', '-').replaceAll('/', '_'));
      }
    }
  }
  // Longest first, so that a secret that contains another is masked as a whole.
  return [...texts].sort((a, b) => b.length - a.length).map((text) => Buffer.from(text));
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

  /** How many bytes at the end may be the beginning of a secret. */
  tailOf(bytes: Buffer): number {
    for (let length = Math.min(this.#longest - 1, bytes.length); length > 0; length--) {
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
