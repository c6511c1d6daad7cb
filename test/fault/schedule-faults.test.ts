// Schedules and a server that dies at their ticks; `npm run crash -- --nemesis schedules --cycles 500` does it as often as you like.
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeIf } from './feasible.ts';
import { KINDS } from './kinds.ts';

const LIMIT = { timeout: 300_000 };
const { run, control, feasible } = KINDS['schedules']!;

describeIf(await feasible(), 'a schedule', () => {
  it('fires once for each instant, whenever it is killed around a tick', LIMIT, async () => {
    const { violations, facts } = await run({ cycles: 6, seed: 'test', say: () => {} });
    expect(violations).toEqual([]);
    expect(facts.join()).toMatch(/6 SIGKILLs within 100 ms of a minute/);
  });

  it('control: a server that moves it on in another commit than the job is found out', LIMIT, async () => {
    const said: string[] = [];
    const { violations } = await control.run({ cycles: control.cycles, seed: 'test', say: (line) => { said.push(line); } });
    for (const [, folder] of said.join('\n').matchAll(/kept in (\/\S+)/g)) rmSync(folder!, { recursive: true, force: true }); // it was meant to fail
    expect(violations.join('\n')).toMatch(control.sign);
  });
});
