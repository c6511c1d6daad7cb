// JSON in, refused by what JSON.parse lets through: invalid UTF-8, a BOM, deep nesting, duplicate keys, prototype keys,
// NUL, lone surrogates, numbers that would change. One pass over the bytes, readJson, one walk over the values.
// Duplicates are found by counting: as many colons outside strings as keys in the value means there are none.
// Only a body that is refused pays for finding out where (json-locate.ts). About 2 µs for 250 bytes.
import { isUtf8 } from 'node:buffer';
import { readJson } from '../domain/read-json.ts';
import { locateBadUtf8, locateDuplicate, locatePoison } from './json-locate.ts';
import { Refusal } from './problem.ts';

/** Deeper than any tree of jobs needs (16 levels of children, two brackets each), shallow enough for every recursion. */
export const MAX_JSON_DEPTH = 64;
/** Integers of up to 15 digits are always exact. */
const SAFE_DIGITS = 15;

const refuse = (detail: string, hint?: string): never => {
  throw new Refusal('malformed_body', detail, hint === undefined ? {} : { hint });
};

/** @throws Refusal unsupported_media_type for a body that is compressed: it would be read as it is, and said to be no JSON. */
export function refuseEncoding(encoding: string | undefined): void {
  if (encoding === undefined || ['', 'identity'].includes(encoding.trim().toLowerCase())) return;
  throw new Refusal('unsupported_media_type', `The body has the Content-Encoding ${JSON.stringify(clip(encoding))}; bodies are read as they are.`, { hint: 'Send the body uncompressed, without a Content-Encoding header.' });
}

/** Colons outside strings, and whether any string has a \u escape. Refuses depth and numbers, which parsing would hide. */
function scan(body: Uint8Array, from: number, to: number): { colons: number; escapes: boolean } {
  let colons = 0;
  let escapes = false;
  let depth = 0;
  for (let i = from; i < to; i++) {
    const c = body[i] as number;
    if (c === 0x22) { // a string: nothing in it counts
      for (i++; i < to; i++) {
        const s = body[i] as number;
        if (s === 0x22) break;
        if (s === 0x5c) {
          i++;
          if (body[i] === 0x75) escapes = true;
        }
      }
    } else if (c === 0x3a) colons++;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) refuse(`The body is nested deeper than ${MAX_JSON_DEPTH} levels, at byte ${i - from}.`, 'Flatten it.');
    } else if (c === 0x7d || c === 0x5d) depth--;
    else if ((c >= 0x30 && c <= 0x39) || c === 0x2d) {
      const start = i;
      let plain = true;
      for (i++; i < to; i++) {
        const n = body[i] as number;
        if (n >= 0x30 && n <= 0x39) continue;
        if (n !== 0x2e && n !== 0x65 && n !== 0x45 && n !== 0x2b && n !== 0x2d) break;
        plain = false;
      }
      if (!plain || i - start > SAFE_DIGITS || (c === 0x2d && body[start + 1] === 0x30)) checkNumber(body, start, i, from);
      i--;
    }
  }
  return { colons, escapes };
}

/** Refuses a number that a double cannot hold as written: integers must be exact; nothing may become infinite, zero or -0. */
function checkNumber(body: Uint8Array, start: number, end: number, from: number): void {
  const text = Buffer.from(body.buffer, body.byteOffset + start, end - start).toString('latin1');
  const value = Number(text);
  if (Number.isNaN(value)) return; // not a number at all: JSON.parse says so
  const where = `at byte ${start - from}`;
  if (Object.is(value, -0)) refuse(`The number ${clip(text)} ${where} is a negative zero.`, 'Write 0.');
  if (!Number.isFinite(value)) refuse(`The number ${clip(text)} ${where} is too large for a double.`, 'Send it as a string.');
  if (value === 0 && /[1-9]/.test(text.replace(/e.*$/i, ''))) refuse(`The number ${clip(text)} ${where} is too small for a double.`, 'Send it as a string.');
  if (text.length > SAFE_DIGITS && /^-?\d+$/.test(text) && (text.length > 400 || BigInt(value) !== BigInt(text))) {
    refuse(`The integer ${clip(text)} ${where} cannot be kept exactly; integers are exact up to 9007199254740991.`, 'Send it as a string.');
  }
}
const clip = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** How many keys a value has in all; -1 if something in it must be refused. */
function countKeys(value: unknown, strings: boolean): number {
  if (typeof value === 'string') return strings && (value.includes('\0') || !value.isWellFormed()) ? -1 : 0;
  if (typeof value !== 'object' || value === null) return 0;
  let keys = 0;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      const n = countKeys(item, strings);
      if (n < 0) return -1;
      keys += n;
    }
    return keys;
  }
  for (const key in value) {
    if (key === '__proto__' || (strings && countKeys(key, true) < 0)) return -1;
    const item = (value as Record<string, unknown>)[key];
    if (key === 'constructor' && typeof item === 'object' && item !== null && Object.hasOwn(item, 'prototype')) return -1;
    const n = typeof item === 'object' || strings ? countKeys(item, strings) : 0;
    if (n < 0) return -1;
    keys += n + 1;
  }
  return keys;
}

/**
 * JSON inside a string, by the same rules; text that is no JSON is itself.
 * @throws Refusal malformed_body
 */
export function parseData(text: string, name: string): unknown {
  let json = text;
  try {
    JSON.parse(text);
  } catch {
    json = JSON.stringify(text);
  }
  try {
    return parseJson(Buffer.from(json));
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(error.code, `${name}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint });
    throw error;
  }
}

/** @throws Refusal malformed_body */
export function parseJson(body: Buffer, from = 0, to = body.length): unknown {
  const part = from === 0 && to === body.length ? body : body.subarray(from, to);
  if (!isUtf8(part)) refuse(`The body is not valid UTF-8, at byte ${locateBadUtf8(part)}.`, 'Encode it as UTF-8.');
  if (part[0] === 0xef && part[1] === 0xbb && part[2] === 0xbf) refuse('The body begins with a byte order mark.', 'Send JSON without one.');
  const { colons, escapes } = scan(body, from, to);
  const text = part.toString('utf8');
  let value: unknown;
  try {
    value = readJson(text);
  } catch (error) {
    return refuse(`The body is not JSON: ${(error as Error).message}.`, 'Check quotes, commas and brackets.');
  }
  const keys = countKeys(value, escapes);
  if (keys < 0) refuse(locatePoison(value));
  if (keys !== colons) refuse(locateDuplicate(text), 'Give each key once: readers would disagree about which one counts.');
  return value;
}
