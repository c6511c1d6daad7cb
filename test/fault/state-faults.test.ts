// Faults of what the server finds and lives by, a few of each: damaged files, another owner, a clock that is set.
// `npm run crash` does as many as you like. Beside each the same on a server that breaks its promise, which must be caught.
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { HARM_NAMES } from './damage/harm.ts';
import { describeIf } from './feasible.ts';
import { KINDS, type RunResult } from './kinds.ts';

const LIMIT = { timeout: 300_000 };

async function run(name: string, cycles: number): Promise<RunResult> {
  const { violations, facts } = await KINDS[name]!.run({ cycles, seed: 'test', say: () => {} });
  return { violations, facts };
}

async function expectCaught(name: string): Promise<void> {
  const { control } = KINDS[name]!;
  const said: string[] = [];
  const { violations } = await control.run({ cycles: control.cycles, seed: 'test', say: (line) => { said.push(line); } });
  for (const [, folder] of [...said, ...violations].join('\n').matchAll(/kept in (\/[^\]\s]+)/g)) rmSync(folder!, { recursive: true, force: true }); // it was meant to fail
  expect(violations.join('\n')).toMatch(control.sign);
}

const figure = (facts: readonly string[], pattern: RegExp): number => Number(pattern.exec(facts.join('\n'))?.[1] ?? -1);

describeIf(await KINDS['damage']!.feasible(), 'a damaged database', () => {
  it('is refused with 65 and left as it is, or served and never silently wrong: each kind by the whole server too', LIMIT, async () => {
    const { violations, facts } = await run('damage', HARM_NAMES.length + 40);
    expect(violations).toEqual([]);
    expect(figure(facts, /, (\d+) of them by the whole server/)).toBeGreaterThanOrEqual(HARM_NAMES.length);
    expect(figure(facts, /flip in a payload .*?(\d+) row refused/)).toBeGreaterThan(0);
    expect(figure(facts, /zeroed page .*?(\d+) refused/)).toBeGreaterThan(0);
  });

  it('control: without checksums a flipped bit is served', LIMIT, () => expectCaught('damage'));
});

describeIf(await KINDS['owners']!.feasible(), 'two servers on one file', () => {
  it('one serves, by whatever path the others come, also after a kill; they end with 73', LIMIT, async () => {
    expect((await run('owners', 1)).violations).toEqual([]);
  });

  it('control: without the lock there are two', LIMIT, () => expectCaught('owners'));
});

describeIf(await KINDS['clock']!.feasible(), 'a clock that is set', () => {
  it('ends nothing early and holds nothing up', LIMIT, async () => {
    expect((await run('clock', 3)).violations).toEqual([]);
  });

  it('control: a server whose durations follow it is found out', LIMIT, () => expectCaught('clock'));
});
