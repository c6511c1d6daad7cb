// Faults of the disk, a few of each: death at points of a scripted run, moments of EIO, a full disk. `npm run crash` does as
// many as you like. Beside each the same on a server that breaks its promise: what is not caught there would not be anywhere.
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeIf } from './feasible.ts';
import { KINDS, type RunResult } from './kinds.ts';

const LIMIT = { timeout: 300_000 };

/** @returns what was found and measured */
async function run(name: string, cycles: number | 'control'): Promise<RunResult & { readonly sign: RegExp }> {
  const kind = KINDS[name]!;
  const said: string[] = [];
  const options = { seed: 'test', say: (line: string) => { said.push(line); } };
  const { violations, facts } = cycles === 'control' ? await kind.control.run({ ...options, cycles: kind.control.cycles }) : await kind.run({ ...options, cycles });
  // A control was meant to fail: its databases are of no use.
  if (cycles === 'control') for (const [, folder] of [...said, ...violations].join('\n').matchAll(/kept in (\/[^\]\s]+)/g)) rmSync(folder!, { recursive: true, force: true });
  return { violations, facts: [...facts, ...said], sign: kind.control.sign };
}

async function expectCaught(name: string): Promise<void> {
  const { violations, sign } = await run(name, 'control');
  expect(violations.join('\n')).toMatch(sign);
}

const figure = (facts: readonly string[], pattern: RegExp): number => Number(pattern.exec(facts.join('\n'))?.[1] ?? -1);

describeIf(await KINDS['points']!.feasible(), 'a kill just before a write, sync, truncation or removal', () => {
  it('loses nothing, wherever it is', LIMIT, async () => {
    const { violations, facts } = await run('points', 8);
    expect(violations).toEqual([]);
    expect(figure(facts, /points +(\d+):/)).toBeGreaterThan(600);
    expect(figure(facts, /killed there +(\d+)/)).toBeGreaterThan(4);
  });

  it('control: rows and events in commits of their own are found apart', LIMIT, () => expectCaught('points'));
});

describeIf(await KINDS['full-points']!.feasible(), 'ENOSPC from a write on', () => {
  it('loses nothing, leaves reads alone, lets the server be stopped, and is over when it is over', LIMIT, async () => {
    const { violations, facts } = await run('full-points', 6);
    expect(violations).toEqual([]);
    expect(figure(facts, /(\d+) requests refused with 503/)).toBeGreaterThan(0);
  });

  it('control: an answer to what found no room is found lost', LIMIT, () => expectCaught('full-points'));
});

describeIf(await KINDS['full']!.feasible(), 'a disk that fills up under load', () => {
  it('refuses, reads, records ends, and takes work again once there is room', LIMIT, async () => {
    const { violations, facts } = await run('full', 4);
    expect(violations).toEqual([]);
    expect(figure(facts, /4 times full \((\d+) not noticed/)).toBe(0);
    expect(figure(facts, /(\d+) ends recorded/)).toBeGreaterThan(0);
  });

  it('control: an answer to what found no room is found lost', LIMIT, () => expectCaught('full'));
});

describeIf(await KINDS['eio']!.feasible(), 'a disk that answers EIO for a moment', () => {
  it('ends the server, which loses nothing and starts again once the disk is well', LIMIT, async () => {
    const { violations, facts } = await run('eio', 3);
    expect(violations).toEqual([]);
    expect(figure(facts, /3 windows, (\d+) not noticed/)).toBeLessThan(3);
  });

  it('control: a server that goes on loses what it acknowledges', LIMIT, () => expectCaught('eio'));
});

describeIf(await KINDS['checkpoint']!.feasible(), 'a disk that fails where the log is moved into the database', () => {
  it('ends the server at the first such error, keeps it from starting there, and loses nothing', LIMIT, async () => {
    const { violations, facts } = await run('checkpoint', 3);
    expect(violations).toEqual([]);
    expect(figure(facts, /(\d+) servers ended by a checkpoint/)).toBe(3);
  });

  it('control: a server that does not hear of it is found going on', LIMIT, () => expectCaught('checkpoint'));
});
