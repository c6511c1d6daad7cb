// Where in a refused body the trouble is. Runs only for bodies that are already known to be bad.

const pointer = (path: readonly (string | number)[]): string =>
  path.length === 0 ? 'the whole value' : `#/${path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;
const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);

export function locateBadUtf8(body: Buffer): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(body);
  for (let at = text.indexOf('\uFFFD'), from = 0, bytes = 0; at >= 0; at = text.indexOf('\uFFFD', from)) {
    bytes += Buffer.byteLength(text.slice(from, at));
    const genuine = body[bytes] === 0xef && body[bytes + 1] === 0xbf && body[bytes + 2] === 0xbd;
    if (!genuine) return bytes;
    bytes += 3;
    from = at + 1;
  }
  return body.length;
}

const badText = (text: string): string | null =>
  text.includes('\0') ? 'the character NUL (\\u0000)' : !text.isWellFormed() ? 'half of a surrogate pair (\\ud800 to \\udfff alone)' : null;

/** Says what is wrong with a value that has a prototype key, a NUL or a lone surrogate. */
export function locatePoison(value: unknown, path: readonly (string | number)[] = []): string {
  return find(value, path) ?? 'The body has a value that cannot be kept.';
}

function find(value: unknown, path: readonly (string | number)[]): string | null {
  if (typeof value === 'string') {
    const bad = badText(value);
    return bad === null ? null : `The string at ${pointer(path)} has ${bad}.`;
  }
  if (typeof value !== 'object' || value === null) return null;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const found = find(item, [...path, i]);
      if (found !== null) return found;
    }
    return null;
  }
  for (const [key, item] of Object.entries(value)) {
    const bad = badText(key);
    if (bad !== null) return `A key at ${pointer(path)} has ${bad}.`;
    if (key === '__proto__') return `The key "__proto__" at ${pointer(path)} is not accepted.`;
    if (key === 'constructor' && typeof item === 'object' && item !== null && Object.hasOwn(item, 'prototype')) {
      return `The key "constructor" with "prototype" at ${pointer(path)} is not accepted.`;
    }
    const found = find(item, [...path, key]);
    if (found !== null) return found;
  }
  return null;
}

/** Names the first key that an object has twice. The text is known to be valid JSON. */
export function locateDuplicate(text: string): string {
  const open: { keys: Set<string> | null; at: string | number }[] = [];
  let expectKey = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    const top = open.at(-1);
    if (c === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
      if (!expectKey || top === undefined || top.keys === null) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (top.keys.has(key)) return `The key ${shown(key)} stands twice in the object at ${pointer(open.slice(0, -1).map((o) => o.at))}, the second time at character ${start}.`;
      top.keys.add(key);
      top.at = key;
      expectKey = false;
    } else if (c === '{') {
      open.push({ keys: new Set(), at: '' });
      expectKey = true;
    } else if (c === '[') open.push({ keys: null, at: 0 });
    else if (c === '}' || c === ']') {
      open.pop();
      expectKey = false;
    } else if (c === ',' && top !== undefined) {
      if (top.keys === null) top.at = (top.at as number) + 1;
      expectKey = top.keys !== null;
    }
  }
  return 'An object has a key twice.';
}
