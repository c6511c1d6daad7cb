// Times of patterns: against a golden file made by a Python program that shares nothing with croner, and whatever a client may send.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CRON_LENGTH_MAX, PatternError, ScheduleTimes } from '../../src/orchestrator/schedule-times.ts';
import { spec } from '../support/schedules.ts';

interface Window { readonly zone: string; readonly cron: string; readonly from: number; readonly to: number; readonly times: readonly number[] }

const MINUTE = 60_000;
const golden = JSON.parse(readFileSync(new URL('./schedule-times.golden.json', import.meta.url), 'utf8')) as Window[];
const atOnce = (): Promise<void> => Promise.resolve();

/** Minutes since 1970, as the golden file has them. */
async function minutes(times: ScheduleTimes, { zone, cron, from, to }: Window): Promise<number[]> {
  return (await times.between({ cron, timezone: zone }, from * MINUTE, to * MINUTE - 1, 100_000, atOnce)).map((at) => at / MINUTE);
}

describe('fire times over the changes of a zone\'s clock', () => {
  test('the golden file has both transitions of every zone that it must have', () => {
    const seen = new Map<string, Set<number>>();
    for (const { zone, from } of golden) seen.set(zone, (seen.get(zone) ?? new Set()).add(from));
    for (const zone of ['Europe/London', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Cairo', 'Pacific/Apia', 'Antarctica/Troll']) expect(seen.get(zone)?.size, zone).toBeGreaterThanOrEqual(2);
    const times = new ScheduleTimes();
    for (const [zone, starts] of seen) for (const from of starts) {
      if (zone === 'Pacific/Apia' && from < Date.parse('2012-01-01T00:00Z') / MINUTE) continue; // the day that was left out is no day to mark
      const days = [0, 1, 2, 3, 4, 5, 6].map((i) => times.clockChange(zone, (from + i * 1_440 + 720) * MINUTE));
      expect(days.some((change) => change !== null), `${zone} ${from}`).toBe(true);
    }
  });

  test.each(golden)('$zone $cron from $from', async (window) => {
    expect(await minutes(new ScheduleTimes(), window)).toEqual(window.times);
  });

  test('the days with a change are marked, and only those', () => {
    const times = new ScheduleTimes();
    const day = (zone: string, text: string) => times.clockChange(zone, Date.parse(text))?.kind ?? null;
    expect(['2025-10-25T11:00Z', '2025-10-26T00:10Z', '2025-10-26T23:50Z', '2025-10-27T00:10Z'].map((text) => day('Europe/London', text))).toEqual([null, 'repeat', 'repeat', null]);
    expect(['2025-03-29T23:00Z', '2025-03-30T12:00Z', '2025-03-30T23:30Z'].map((text) => day('Europe/London', text))).toEqual([null, 'gap', null]);
    expect(day('Australia/Lord_Howe', '2025-10-04T20:00Z')).toBe('gap'); // half an hour
    expect(['2025-04-24T12:00Z', '2025-04-24T22:30Z'].map((text) => day('Africa/Cairo', text))).toEqual([null, 'gap']); // at midnight
    expect(['2025-10-30T20:30Z', '2025-10-31T12:00Z'].map((text) => day('Africa/Cairo', text))).toEqual(['repeat', null]);
  });
});

describe('what elapsed', () => {
  const times = new ScheduleTimes();
  const schedule = (more: Parameters<typeof spec>[0]) => ({ id: 'sched_x', spec: spec(more) });
  const start = Date.parse('2026-03-01T00:00:00Z');

  test('is counted, and its newest are named', async () => {
    const { elapsed, next } = await times.elapsed(schedule({}), start, start + 10 * MINUTE + 5, 3, atOnce);
    expect(elapsed).toEqual({ older: 0, count: 11, newest: [8, 9, 10].map((i) => start + i * MINUTE) });
    expect(next).toBe(start + 11 * MINUTE);
  });

  test('outside of the window it is older', async () => {
    const { elapsed } = await times.elapsed(schedule({ window: 2 * MINUTE }), start, start + 10 * MINUTE, 101, atOnce);
    expect(elapsed).toMatchObject({ older: 8, count: 3 });
  });

  test('an instant whose jitter is not over has not elapsed', async () => {
    const jittered = schedule({ jitter: 50_000 });
    const { elapsed, next } = await times.elapsed(jittered, start, start + 1, 101, atOnce);
    expect(elapsed.count).toBe(0);
    expect(next).toBe(start);
  });

  test('a year of a schedule of every minute takes a bounded amount of work, others have their turn, and the newest are right', async () => {
    let turns = 0;
    const now = start + 365 * 24 * 60 * MINUTE;
    const { elapsed, next } = await times.elapsed(schedule({}), start, now, 100, () => { turns += 1; return Promise.resolve(); });
    expect(turns).toBeGreaterThan(70);
    expect(elapsed.newest).toEqual(Array.from({ length: 100 }, (_, i) => now - (99 - i) * MINUTE));
    expect(elapsed.count).toBeLessThan(25_000); // at least: said in the docs
    expect(next).toBe(now + MINUTE);
  });

  test('its start and end bound it', () => {
    const pattern = { cron: '0 0 * * *', timezone: 'UTC', startAt: Date.parse('2026-05-01T00:00:00Z'), endAt: Date.parse('2026-05-02T00:00:00Z') };
    expect(times.next(pattern, start, 10)).toEqual([pattern.startAt, pattern.endAt]);
  });
});

/** Longest time a pattern may take to be refused or served, ms. */
const LONGEST = 50;

function judged(times: ScheduleTimes, cron: string, timezone: string): 'taken' | 'refused' {
  try {
    times.check({ cron, timezone });
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return 'refused';
  }
  times.after({ cron, timezone }, Date.parse('2026-01-01T00:00:00Z'));
  return 'taken';
}

describe('hostile patterns', () => {
  test.each([
    ['', 'UTC'], ['* * * *', 'UTC'], ['* * * * * *', 'UTC'], ['0 0 0 1 1 * 2030', 'UTC'], ['@daily', 'UTC'], ['2030-01-01T00:00:00', 'UTC'], ['* *  * * *', 'UTC'], ['*\t* * * *', 'UTC'], ['* * * * *\n', 'UTC'],
    [`${'*,'.repeat(20_000)}* * * * *`, 'UTC'], ['60 * * * *', 'UTC'], ['* 24 * * *', 'UTC'], ['* * 0 * *', 'UTC'], ['* * 32 * *', 'UTC'], ['* * * 13 *', 'UTC'], ['* * * * 8', 'UTC'], ['-1 * * * *', 'UTC'], ['5-1 * * * *', 'UTC'],
    ['*/0 * * * *', 'UTC'], ['*/61 * * * *', 'UTC'], ['1.5 * * * *', 'UTC'], ['1e1 * * * *', 'UTC'], ['0x1 * * * *', 'UTC'], ['? * * * *', 'UTC'], ['* * * * +1', 'UTC'], ['١ * * * *', 'UTC'], ['a b c d e', 'UTC'], ['*\u0000 * * * *', 'UTC'],
    ['* * * * *', 'Mars/Phobos'], ['* * * * *', ''], ['* * * * *', '+01:00'], ['* * * * *', '../../etc/passwd'], ['* * * * *', 'a'.repeat(10_000)], ['* * * * *', 'Europe/London\u0000'], ['* * * * *', '__proto__'], ['* * * * *', 'Etc/GMT+99'],
  ])('%j in %j is refused', (cron, timezone) => {
    expect(judged(new ScheduleTimes(), cron, timezone)).toBe('refused');
  });

  test('five sound fields are taken', () => {
    for (const cron of ['* * * * *', '0 0 29 2 *', '*/5 9-17 * JAN,jul MON-FRI', '0 0 L * *', '0 0 * * 1#2', '0 12 15W * *', '0,1,2,3,59 23 31 12 7']) expect(judged(new ScheduleTimes(), cron, 'Europe/London'), cron).toBe('taken');
    expect(new ScheduleTimes().after({ cron: '0 0 31 2 *', timezone: 'UTC' }, 0)).toBeNull(); // no such time: refused where it is submitted
  });

  test(`whatever is sent is taken or refused, with nothing else thrown, within ${LONGEST} ms`, () => {
    const times = new ScheduleTimes();
    judged(times, '* * * * *', 'UTC');
    const number = fc.oneof(fc.integer({ min: -2, max: 70 }), fc.integer()).map(String);
    const part = fc.oneof(number, fc.constantFrom('*', 'L', 'W', '?', 'MON', 'jan', '#', '', '+', '15W', '5#3', 'LW', '1L'), fc.string({ maxLength: 4 }));
    const range = fc.oneof(part, fc.tuple(part, part).map((pair) => pair.join('-')), fc.tuple(part, number).map((pair) => pair.join('/')), fc.tuple(part, part, number).map(([a, b, c]) => `${a}-${b}/${c}`));
    const field = fc.oneof({ weight: 5, arbitrary: range }, { weight: 1, arbitrary: fc.array(range, { maxLength: 40 }).map((list) => list.join(',')) });
    // One field in ten is hostile: a pattern that is refused at its first field shows nothing of the others.
    const near = fc.tuple(...([[0, 59], [0, 23], [1, 31], [1, 12], [0, 7]] as const).map(([low, high]) => {
      const value = fc.integer({ min: low, max: high });
      const sound = fc.oneof(fc.constant('*'), value.map(String), fc.integer({ min: 1, max: high }).map((step) => `*/${step}`), fc.tuple(value, value).map((pair) => pair.sort((a, b) => a - b).join('-')), fc.array(value, { minLength: 1, maxLength: 30 }).map((list) => list.join()));
      return fc.oneof({ weight: 9, arbitrary: sound }, { weight: 1, arbitrary: field });
    })).map((list) => list.join(' '));
    const sent = fc.oneof(
      { weight: 8, arbitrary: near },
      { weight: 6, arbitrary: fc.array(field, { minLength: 5, maxLength: 5 }).map((list) => list.join(' ')) },
      { weight: 1, arbitrary: fc.array(field, { maxLength: 9 }).map((list) => list.join(' ')) }, { weight: 1, arbitrary: fc.string({ maxLength: 600, unit: 'binary' }) },
    );
    const zone = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('UTC', 'Europe/London', 'Pacific/Apia', 'Australia/Lord_Howe') }, { weight: 1, arbitrary: fc.string({ maxLength: 80 }) });
    let longest = 0;
    let taken = 0;
    fc.assert(fc.property(sent, zone, (cron, timezone) => {
      const took = (): number => {
        const before = process.cpuUsage();
        judged(times, cron, timezone);
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1_000;
      };
      if (judged(times, cron, timezone) === 'taken') taken += 1;
      let ms = took();
      for (let again = 0; again < 3 && ms > LONGEST / 5; again++) ms = Math.min(ms, took()); // the collector's and the compiler's threads count too
      longest = Math.max(longest, ms);
    }), { numRuns: Number(process.env['MUSTER_PATTERNS'] ?? 5_000) });
    console.log(`${taken} patterns were taken; the longest took ${longest.toFixed(1)} ms of CPU`);
    expect(taken).toBeGreaterThan(1_000);
    expect(longest).toBeLessThan(LONGEST);
  });

  test(`${CRON_LENGTH_MAX} characters are enough for every number of every field`, () => {
    const all = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i).join();
    const cron = [all(0, 59), all(0, 23), all(1, 31), all(1, 12), all(0, 6)].join(' ');
    expect(cron.length).toBeLessThanOrEqual(CRON_LENGTH_MAX);
    expect(judged(new ScheduleTimes(), cron, 'UTC')).toBe('taken');
  });
});
