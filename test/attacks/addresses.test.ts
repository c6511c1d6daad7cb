// 20,000 generated spellings of addresses against the egress guard; 1,000,000 as a command (addresses.ts).
import { describe, expect, test } from 'vitest';
import { type Guard, OURS, run } from './addresses.ts';

const COUNT = 20_000;
const seed = Number(process.env['SEED'] ?? Date.now() % 4_294_967_296);
const lines = (list: readonly string[]): string => list.join('\n');

describe(`spellings of addresses from seed ${seed}`, () => {
  test(`case 49, case 50: of ${COUNT} none gets through that a second opinion closes, and none is refused that it opens`, () => {
    const figures = run(COUNT, seed, OURS);
    expect(lines(figures.leaks)).toBe('');
    expect(lines(figures.wronged)).toBe('');
    expect(figures.allowed).toBeGreaterThan(COUNT / 10);
    expect(Object.keys(figures.forms).length).toBeGreaterThan(25);
  });

  test('a guard that knows dotted quads only is caught', () => {
    const naive: Guard = {
      url: (url) => { const host = URL.parse(url)?.hostname; return host === undefined || /\/\/(127|10|0|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(url) ? null : host; },
      address: OURS.address,
    };
    expect(run(COUNT, seed, naive).leaks.length).toBeGreaterThan(20);
  });

  test('a guard that refuses everything is caught', () => {
    const figures = run(COUNT, seed, { url: () => null, address: () => false });
    expect([figures.leaks.length, figures.wronged.length > 20]).toEqual([0, true]);
  });

  test('a guard that forgets one block of the registry is caught', () => {
    for (const hole of [/^203\.0\.113\./, /^192\.0\.0\./, /^2002:/, /^3fff:/]) {
      const holed: Guard = { url: OURS.url, address: (ip, opening) => hole.test(ip) || OURS.address(ip, opening) };
      expect(run(COUNT, seed, holed).leaks.length).toBeGreaterThan(5);
    }
  });
});
