// The fuzzer on the real server: MUSTER_FUZZ_REQUESTS (30,000) requests; `npm run fuzz` makes as many as you like.
// And on servers that break the document in one way each: what it does not see there it would not see anywhere.
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fuzz } from './campaign.ts';

const LIMIT = { timeout: 20 * 60_000 };
const REQUESTS = Number(process.env['MUSTER_FUZZ_REQUESTS'] ?? 30_000);
/** Half of them go into the sweep of 109 operations; the rest must have 200 answers with a job, or (field) never happens. */
const CONTROL_REQUESTS = 12_000;
const SEED = Number(process.env['MUSTER_PROPERTY_SEED'] ?? Math.floor(Math.random() * 2 ** 30));

it('every answer is declared and inside its schema, whatever is asked', LIMIT, async () => {
  const { failures, missing, coverage, facts } = await fuzz({ requests: REQUESTS, seed: SEED });
  console.log(`fuzz seed ${SEED}: ${facts}\n${coverage.table()}`);
  expect(failures).toEqual([]);
  expect(missing).toEqual([]);
  expect(coverage.requests).toBeGreaterThan(REQUESTS * 0.9);
});

describe('a server is caught that', () => {
  const CASES: readonly (readonly [way: string, what: string, sign: RegExp])[] = [
    ['status', 'answers one request in 2,000 with an undeclared status', /203 is not declared for \w+/],
    ['field', 'tells a field that it did not declare', /outside its schema.*leaseEpoch/],
    ['failure', 'fails at one value that it should refuse', /500 is the server's failure/],
  ];
  it.each(CASES)('(%s) %s', LIMIT, async (way, _what, sign) => {
    const { failures } = await fuzz({ requests: CONTROL_REQUESTS, seed: 7, entry: ['--import', './test/fuzz/broken-answers.ts', 'src/start.mjs', way] });
    const kept = /kept in (\S+)/.exec(failures.join('\n'))?.[1];
    if (kept !== undefined) rmSync(kept, { recursive: true, force: true }); // it was meant to fail
    expect(failures.filter((failure) => sign.test(failure))).not.toEqual([]);
    // Told so that it can be asked again: the seed, the request as curl, the answer.
    expect(failures.join('\n')).toMatch(/seed \d+[\s\S]*curl -i [\s\S]*answered \d{3}/);
  });
});
