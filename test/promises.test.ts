// A promise whose test is gone is no promise: every proof that docs/promises.md names is a test by that name.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const page = readFileSync(new URL('../docs/promises.md', import.meta.url), 'utf8');
const sections = page.split(/^## /m).slice(1).map((text) => ({ title: text.split('\n', 1)[0] ?? '', text })).filter(({ title }) => /^P\d+:/.test(title));
const proofs = sections.flatMap(({ title, text }) => [...text.matchAll(/\[(.+?)\]\(\.\.\/(test\/[^)]+)\)/g)].map(([, name = '', file = '']) => ({ title, name, file })));

describe('docs/promises.md', () => {
  test('has a proof for each promise', () => {
    expect(sections.map(({ title }) => title.split(':', 1)[0])).toEqual(['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P9', 'P10']);
    for (const { title } of sections) expect(proofs.filter((proof) => proof.title === title).length, title).toBeGreaterThan(0);
  });

  test.each(proofs)('$title: $name', ({ name, file }) => {
    expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).toContain(name);
  });

  test('names only faults that the harness knows', () => {
    const kinds = readFileSync(new URL('./fault/kinds.ts', import.meta.url), 'utf8');
    const named = [...page.matchAll(/--nemesis ([a-z,-]+)/g)].flatMap(([, list = '']) => list.split(','));
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(kinds, name).toMatch(new RegExp(`^  '?${name}'?[:,]`, 'm'));
  });
});
