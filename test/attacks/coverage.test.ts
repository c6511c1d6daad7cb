// Every numbered case that this folder answers for is in it, under its number.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FOLDER = new URL('.', import.meta.url).pathname;
const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const WANTED = [...from(23, 63), 84, 85, 87, ...from(90, 93), ...from(100, 104)];

/** Cases in rows (`attacks(23, [`), in lists of addresses (`[48, [`), and in names of tests. */
function casesIn(code: string): number[] {
  const rows = [...code.matchAll(/\battacks\((\d+), /g), ...code.matchAll(/^ {2}\[(\d+), \['/gm)].map(([, number]) => Number(number));
  const names = [...code.matchAll(/\b(?:test|it|describe|step)(?:\.\w+)*\((?:[^'`\n]*\)\()?['`]([^'`\n]*)/g), ...code.matchAll(/^\]\)\(['`]([^'`\n]*)/gm), ...code.matchAll(/^ {2}\]\)\(['`]([^'`\n]*)/gm)];
  return [...rows, ...names.flatMap(([, name]) => [...(name ?? '').matchAll(/\bcase (\d+)/g)].map(([, number]) => Number(number)))];
}

const found = new Set(readdirSync(FOLDER).filter((name) => name.endsWith('.ts') && name !== 'coverage.test.ts').flatMap((name) => casesIn(readFileSync(join(FOLDER, name), 'utf8'))));

test('no case is missing, and none is of another number', () => {
  expect(WANTED.filter((number) => !found.has(number))).toEqual([]);
  expect([...found].filter((number) => !WANTED.includes(number))).toEqual([]);
});

test('a case that is only spoken of does not count', () => {
  expect(casesIn("// case 23\nconst x = 'case 24';\ntest('case 25: x', f);\n...attacks(26, [\ntest.each(A)('case 27: %s', f);\n  ])('case 28: %s', f);\n  [29, ['http://x']],")).toEqual([26, 29, 25, 27, 28]);
});
