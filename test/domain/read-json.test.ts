// JSON is read as it was written, whatever was read before. MUSTER_PROPERTY_RUNS asks for more texts.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readJson } from '../../src/domain/read-json.ts';

const RUNS = Number(process.env['MUSTER_PROPERTY_RUNS'] ?? 5_000);

test('a key written with an escape is that key, also after V8 has met one that looks like its beginning', () => {
  const poison = '{"h":[],"\\\\":0}';
  const text = '{"h":1,"\\n":2}';
  JSON.parse(poison);
  // When this fails V8 has been mended, and read-json.ts can go.
  expect(Object.keys(JSON.parse(text))).toEqual(['h', '\\']);
  expect(Object.keys(readJson(text) as object)).toEqual(['h', '\n']);
});

/** JSON written and read without JSON.parse: keys and values as a list, in the order an object keeps them. */
type Tree = string | number | null | boolean | Tree[] | { readonly entries: readonly (readonly [string, Tree])[] };
const word = fc.array(fc.constantFrom('a', '@', '@0', '0', '1', 'u', 'n', '\\', '"', '\n', '\r', '\t', '/', ':', ',', '{', '\0', '\ud800', '🙂', 'é', '\u2028', ' ', '__proto__', 'constructor'), { maxLength: 4 }).map((parts) => parts.join(''));
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof({ maxDepth: 4, withCrossShrink: true }, word, fc.constantFrom(0, 1.5, null, true), fc.array(tie('tree'), { maxLength: 3 }),
    fc.uniqueArray(fc.tuple(word, tie('tree')), { maxLength: 4, selector: ([key]) => key }).map((entries) => ({ entries }))),
}));

/** Each character raw or escaped, as the numbers say. */
function quote(text: string, choose: () => number): string {
  const short: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '/': '\\/' };
  let out = '';
  for (const unit of text.split('')) {
    const long = `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    const choice = choose() % 4;
    const mustEscape = unit < ' ' || unit === '"' || unit === '\\' || /[\ud800-\udfff]/.test(unit);
    out += choice === 0 ? long : choice === 1 || mustEscape ? (short[unit] ?? long) : unit;
  }
  return `"${out}"`;
}

function write(value: Tree, choose: () => number): string {
  const space = (): string => [' ', '', '', '\n\t', '\r'][choose() % 5]!;
  if (typeof value === 'string') return quote(value, choose);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, choose)).join(',')}]`;
  return `{${value.entries.map(([key, item]) => `${space()}${quote(key, choose)}${space()}:${space()}${write(item, choose)}`).join(',')}}`;
}

function same(value: unknown, wanted: Tree): boolean {
  if (typeof wanted !== 'object' || wanted === null) return value === wanted;
  if (Array.isArray(wanted)) return Array.isArray(value) && value.length === wanted.length && wanted.every((item, i) => same(value[i], item));
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.keys(value).length === wanted.entries.length && wanted.entries.every(([key, item]) => Object.hasOwn(value, key) && same(Object.getOwnPropertyDescriptor(value, key)?.value, item));
}

test('what is read is what was written, whichever characters were escaped', () => {
  fc.assert(fc.property(tree, fc.array(fc.nat(19), { minLength: 1, maxLength: 40 }), (value, choices) => {
    let at = 0;
    const text = write(value, () => choices[at++ % choices.length]!);
    // Keys as far as V8 compares them: what it must have met before to go wrong.
    const poison = text.replace(/("(?:[^"\\]|\\.)*")(\s*:)?/g, (all, key: string, colon?: string) => (colon === undefined ? all : `${JSON.stringify(key.slice(1, 1 + (JSON.parse(key) as string).length))}:`));
    JSON.parse(poison);
    const read = readJson(text);
    if (!same(read, value)) throw new Error(`${text} was read as ${JSON.stringify(read)}`);
  }), { numRuns: RUNS });
});

test('of a key that stands twice the last counts, as with JSON.parse; and what is no JSON is refused in its words', () => {
  expect(JSON.stringify(readJson('{"a":1,"b":2,"\\u0061":3}'))).toBe('{"a":3,"b":2}');
  expect(JSON.stringify(readJson('{"@1":1,"@0":2,"\\n":3}'))).toBe('{"@1":1,"@0":2,"\\n":3}');
  for (const bad of ['{"\\n":', '{"\\n"}', '"\\', '{"\\x":1}', '{"a\\":1}', '']) {
    let said = '';
    try { JSON.parse(bad); } catch (error) { said = (error as Error).message; }
    expect(() => readJson(bad)).toThrow(said);
    expect(said).not.toBe('');
  }
});
