// Values that a job must not have, against the server that users run.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Facts, testAttacks } from './attack.ts';
import { makeFacts, startTarget, submit, type Target } from './target.ts';
import { VALIDATION } from './validation.ts';

let target: Target;
let facts: Facts;
beforeAll(async () => {
  target = await startTarget();
  facts = await makeFacts(target);
});
afterAll(async () => expect(await target.stop()).toEqual([]));

testAttacks(VALIDATION, () => target, () => facts);

test('case 31: names with bidi and zero-width characters are kept as they are, and found by them', async () => {
  for (const tag of ['a\u202e\u200bb<script>', '\u2066\u2069', '\u200d\ufeff', '\u{e0041}']) {
    expect((await submit(target, { type: 'noop', hold: true, tags: [tag] })).tags).toEqual([tag]);
    const list = await (await fetch(`${target.url}/api/jobs?tag=${encodeURIComponent(tag)}`)).json() as { jobs: unknown[] };
    expect(list.jobs).toHaveLength(1);
  }
});
