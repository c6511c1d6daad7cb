// Patterns and zones made to harm, against the server that users run: refused as what they are, and cheaply.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assault, bytesOf, post } from './attack.ts';
import { startTarget, type Target } from './target.ts';

let target: Target;
beforeAll(async () => { target = await startTarget(); });
afterAll(async () => expect(await target.stop()).toEqual([]));

/** CPU that one refusal may take, ms; the machine may be busy with other things, so it is not the wall that is asked. */
const CPU_MAX = 50;
const TIMES = 10;
/** CPU time of the server's process so far, ms. Linux counts in hundredths of a second. */
function cpu(): number {
  const fields = readFileSync(`/proc/${target.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const UTC = { timezone: 'UTC' };
const HOSTILE: readonly [what: string, body: { cron: string; timezone: string }, says: RegExp][] = [
  ['31 February', { cron: '0 0 31 2 *', ...UTC }, /names no time there will ever be/],
  ['40,000 characters', { cron: `${'*,'.repeat(20_000)}* * * * *`, ...UTC }, /512/],
  ['seven fields', { cron: '0 0 0 1 1 * 2030', ...UTC }, /7 fields instead of 5/],
  ['six fields', { cron: '0 0 0 1 1 *', ...UTC }, /6 fields instead of 5/],
  ['a date', { cron: '2030-01-01T00:00:00', ...UTC }, /1 fields instead of 5/],
  ['a nickname', { cron: '@daily', ...UTC }, /1 fields instead of 5/],
  ['a zone of another planet', { cron: '* * * * *', timezone: 'Mars/Phobos' }, /no time zone/],
  ['a zone that is a path', { cron: '* * * * *', timezone: '../../../etc/passwd' }, /no time zone/],
  ['a zone that is an offset', { cron: '* * * * *', timezone: '+01:00' }, /no time zone/],
  ['a range the wrong way round', { cron: '50-10 * * * *', ...UTC }, /is no pattern/],
  ['a step of nothing', { cron: '*/0 * * * *', ...UTC }, /is no pattern/],
  ['a list of hundreds', { cron: `${Array.from({ length: 160 }, () => '5').join(',')} 0 31 2,4 *`, ...UTC }, /names no time|is no pattern|512/],
];

test.each(HOSTILE)('case 102: %s is refused in little time in the AITP dialect, and called invalid where that is asked', async (_what, { cron, timezone }) => {
  const query = new URLSearchParams({ cron_expression: cron, timezone }).toString();
  const before = cpu();
  const made = await fetch(`${target.url}/aitp/tasks/schedule?client_id=c&task_type=t&capability_required=x&${query}`, { method: 'POST' });
  expect([400, 422, 431]).toContain(made.status); // 40,000 characters are more than a request line may have
  const asked = await fetch(`${target.url}/aitp/tasks/schedule/validate?${query}`, { method: 'POST' });
  if (asked.status === 200) expect(await asked.json()).toMatchObject({ valid: false, message: expect.stringMatching(/\w{3}/) });
  else expect(asked.status).toBe(431);
  expect((cpu() - before) / 2).toBeLessThan(CPU_MAX);
});

test.each(HOSTILE)('case 102: %s is refused in little time, in a schedule and in a preview', async (_what, body, says) => {
  for (const [path, more] of [['/api/schedules', { job: { type: 'noop' } }], ['/api/schedules/preview', {}]] as const) {
    const bytes = bytesOf(post({ ...body, ...more }, path));
    const [answer] = await assault(target, bytes);
    expect([answer?.status, answer?.body]).toEqual([422, expect.stringMatching(says)]);
    const before = cpu();
    for (let i = 0; i < TIMES; i++) await assault(target, bytes);
    expect((cpu() - before) / TIMES).toBeLessThan(CPU_MAX);
  }
});
