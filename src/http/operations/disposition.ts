// What a file is called, in a header: a name that cannot break out of it.

/** RFC 6266: a plain name for everybody, and the exact one (RFC 8187) where they differ. */
export function dispositionOf(path: string): string {
  const name = path.split('/').at(-1) ?? '';
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const safe = plain === '' ? 'artifact' : plain;
  if (safe === name) return `inline; filename="${safe}"`;
  const exact = encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `inline; filename="${safe}"; filename*=UTF-8''${exact}`;
}
