// JSON.parse for values whose keys other people chose. V8 reads a key that is written with an escape as another key that
// it met before: after {"h":[],"\\":0}, {"h":1,"\n":2} has the key "\\" (nodejs/node #63785; Node 24 and 26). What one
// client sends could so change what another one sent; here such keys are read without V8's guess.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** @throws SyntaxError as JSON.parse does */
export function readJson(text: string): unknown {
  const value: unknown = JSON.parse(text); // also when it is read again: it knows best what is no JSON
  return hasEscapedKey(text) ? readCarefully(text) : value;
}

/** Where the string ends that a position stands in: its closing quote. */
function endOfString(text: string, at: number): number {
  let end = at;
  while (end < text.length && text.charCodeAt(end) !== QUOTE) end += text.charCodeAt(end) === BACKSLASH ? 2 : 1;
  return end;
}

/** Is the string that ends here a key? In JSON only those have a colon after them. */
function isKey(text: string, end: number): boolean {
  let next = end + 1;
  while (text.charCodeAt(next) === 0x20 || text.charCodeAt(next) === 0x0a || text.charCodeAt(next) === 0x0d || text.charCodeAt(next) === 0x09) next += 1;
  return text.charCodeAt(next) === COLON;
}

/** Leaps from backslash to backslash (JSON has them in strings only): a text without any costs one search. */
function hasEscapedKey(text: string): boolean {
  for (let at = text.indexOf('\\'); at >= 0;) {
    const end = endOfString(text, at);
    if (isKey(text, end)) return true;
    at = text.indexOf('\\', end + 1);
  }
  return false;
}

/** Keys with escapes stand as @0, @1, … while V8 reads, and so do keys that begin with @; then they get their names back. */
function readCarefully(text: string): unknown {
  const names: string[] = [];
  const parts: string[] = [];
  let from = 0;
  for (let at = text.indexOf('"'); at >= 0;) {
    const end = endOfString(text, at + 1);
    const key = text.slice(at, end + 1);
    if ((key.startsWith('"@') || key.includes('\\')) && isKey(text, end)) {
      parts.push(text.slice(from, at), `"@${names.length}"`);
      names.push(JSON.parse(key) as string); // a string alone is read as it is written
      from = end + 1;
    }
    at = text.indexOf('"', end + 1);
  }
  parts.push(text.slice(from));
  return rename(JSON.parse(parts.join('')), names);
}

/** fromEntries sets own properties, also "__proto__", and lets the last of two equal keys win in the place of the first: as JSON.parse does. */
function rename(value: unknown, names: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => rename(item, names));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.startsWith('@') ? (names[Number(key.slice(1))] ?? key) : key, rename(item, names)]));
}
