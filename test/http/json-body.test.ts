import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_JSON_DEPTH, parseJson } from '../../src/http/json-body.ts';
import { Refusal } from '../../src/http/problem.ts';

const parse = (text: string): unknown => parseJson(Buffer.from(text));
function refusal(body: string | Buffer): Refusal {
  try {
    parseJson(Buffer.from(body as string));
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error(`was accepted: ${String(body)}`);
}

describe('what is refused, and where it says it is', () => {
  test.each([
    ['duplicate key', '{"a":1,"a":2}', /"a" stands twice .* character 7/],
    ['duplicate key below', '{"x":{"b":[0,{"a":1,"\\u0061":2}]}}', /"a" stands twice in the object at #\/x\/b\/1/],
    ['duplicate key with an escaped quote', '{"a\\"":1,"b":":","a\\"":2}', /stands twice/],
    ['duplicate empty key', '{"":1,"":2}', /"" stands twice/],
    ['prototype key', '{"__proto__":{}}', /__proto__/],
    ['escaped prototype key', '{"a":{"\\u005f_proto__":1}}', /__proto__.* at #\/a/],
    ['constructor with prototype', '[{"constructor":{"prototype":{}}}]', /constructor.* at #\/0/],
    ['NUL in a string', '{"a":["b\\u0000"]}', /#\/a\/0 has the character NUL/],
    ['NUL in a key', '{"a\\u0000":1}', /key .* NUL/],
    ['lone surrogate', '{"a":"\\ud800"}', /#\/a has half of a surrogate pair/],
    ['swapped surrogates', '"\\ude00\\ud83d"', /surrogate/],
    ['integer that a double cannot hold', '[9007199254740993]', /9007199254740993 at byte 1 cannot be kept exactly/],
    ['negative one', '{"a":-9007199254740993}', /cannot be kept exactly/],
    ['long integer', `[${'9'.repeat(500)}]`, /too large/],
    ['too large a number', '[1e400]', /too large/],
    ['too small a number', '[1e-400]', /too small/],
    ['negative zero', '[-0]', /negative zero/],
    ['negative zero with a point', '[-0.0]', /negative zero/],
    ['no number', '[NaN]', /not JSON/],
    ['unfinished', '{"a":', /not JSON/],
    ['two values', '{} {}', /not JSON/],
    ['trailing comma', '[1,]', /not JSON/],
    ['control character in a string', '"a\nb"', /not JSON/],
    ['nothing but space', '  ', /not JSON/],
    ['byte order mark', '\ufeff{}', /byte order mark/],
  ])('%s', (_name, body, says) => {
    const error = refusal(body);
    expect(error.code).toBe('malformed_body');
    expect(error.message).toMatch(says);
  });

  test('invalid UTF-8 is named by its byte, also after a genuine replacement character', () => {
    expect(refusal(Buffer.from([0x22, 0x61, 0xc3, 0x28, 0x22])).message).toMatch(/byte 2/);
    expect(refusal(Buffer.concat([Buffer.from('"\uFFFD'), Buffer.from([0xff, 0x22])])).message).toMatch(/byte 4/);
  });

  test.each([65, 1_000, 100_000])('%i levels are too deep, whatever the brackets', (depth) => {
    expect(refusal('['.repeat(depth) + ']'.repeat(depth)).message).toMatch(/deeper than 64 levels, at byte 64/);
    expect(refusal('{"a":'.repeat(depth) + '1' + '}'.repeat(depth)).message).toMatch(/deeper/);
  });
});

describe('what is accepted', () => {
  test.each([
    ['{}', {}], ['[]', []], ['"a"', 'a'], ['null', null], ['-5', -5], ['0.1e1', 1], ['-0.5', -0.5], ['123456789012345678901.5', 123456789012345678901.5], ['9007199254740991', 9007199254740991],
    ['1e20', 1e20], ['{"a":"b:c","d":{"e":":"}}', { a: 'b:c', d: { e: ':' } }], ['"\\ud83d\\ude00"', '😀'], ['"\u202e\u200b"', '\u202e\u200b'], ['{"constructor":"me"}', { constructor: 'me' }],
    ['{"a":{"x":1},"b":{"x":1}}', { a: { x: 1 }, b: { x: 1 } }], ['"\\\\u0000"', '\\u0000'], ['{"a":"\\\\","b":1}', { a: '\\', b: 1 }],
  ])('%s', (text, value) => {
    expect(parse(text)).toEqual(value);
  });

  test(`${MAX_JSON_DEPTH} levels`, () => {
    expect(() => parse('['.repeat(MAX_JSON_DEPTH) + ']'.repeat(MAX_JSON_DEPTH))).not.toThrow();
  });

  test('everything that JSON.stringify writes comes back the same', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      fc.pre(!/"__proto__"|\\u0000|\\ud[89a-f]/.test(text) && !Object.is(JSON.parse(text), -0));
      let parsed: unknown;
      try {
        parsed = parse(text);
      } catch (error) {
        // Only numbers may be refused: those that JSON.stringify wrote in digits it does not hold.
        expect((error as Refusal).message).toMatch(/integer|negative zero/);
        return;
      }
      expect(JSON.stringify(parsed)).toBe(text);
    }), { numRuns: 500 });
  });

  test('whatever bytes come, the answer is a value that JSON.parse gives too, or a refusal', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('{', '}', '[', ']', ':', ',', '"', '\\', 'u', '0', '1', 'e', '-', '.', 'a', ' ') , maxLength: 60 }), (text) => {
      let value: unknown;
      try {
        value = parse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
        return;
      }
      expect(value).toEqual(JSON.parse(text));
    }), { numRuns: 3_000 });
  });
});
