// The machine's clock is set, from a second to a year, both ways, under load and while the server is down. What was asked
// to last so long must last so long by the harness's own monotonic clock: neither cut short nor left waiting.
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Rng } from '../rng.ts';
import type { Field, Nemesis } from './nemesis.ts';

const LIBRARIES = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1'];
export const FAKETIME = LIBRARIES.find((path) => existsSync(path));
/** null, or why no false clock can be had. */
export const cannotFake = (): Promise<string | null> => Promise.resolve(FAKETIME === undefined ? 'libfaketime is missing: apt-get install faketime' : process.platform === 'linux' ? null : 'libfaketime is asked for on Linux only');
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const STEPS = [SECOND, 10 * SECOND, 60 * SECOND, HOUR, DAY, 30 * DAY, 365 * DAY];
/** The sum of all steps stays within this, or dates of a century to come would be the subject. */
const AWAY_MAX = 800 * DAY;
/** Far beyond the busiest start of a job, far below the smallest wait that a lost one would have: only a hang meets it. */
const LATE = 10 * SECOND;
/** Reasons of events that only a verb gives. */
const WORDS = new Set(['edit', 'start', 'resume', 'retry']);

interface Canary {
  readonly what: string;
  readonly body: object;
  /** ms from its submission to its end: at least, and at most. */
  readonly least: number;
  readonly most: number;
  readonly ends: 'completed' | 'failed';
  readonly attempts: number;
}

const canaries = (dueAt: number | null): Canary[] => [
  { what: 'a run with a timeout of 30 s', body: { input: { sleep: 2_000 }, timeout: 30_000, maxAttempts: 1 }, least: 2_000, most: 2_000, ends: 'completed', attempts: 1 },
  { what: 'a job with a deadline of 20 s', body: { input: { sleep: 1_500 }, deadline: 20_000 }, least: 1_500, most: 1_500, ends: 'completed', attempts: 1 },
  { what: 'a deadline of 2 s', body: { input: { sleep: 8_000 }, deadline: 2_000 }, least: 2_000, most: 2_000, ends: 'failed', attempts: 1 },
  { what: 'a delay of 1.5 s', body: { delay: 1_500 }, least: 1_500, most: 1_500, ends: 'completed', attempts: 1 },
  { what: 'a delay of 1 s with a time to live of 20 s', body: { delay: 1_000, ttl: 20_000 }, least: 1_000, most: 1_000, ends: 'completed', attempts: 1 },
  { what: 'a time to live of 2 s', body: { delay: 9_000, ttl: 2_000 }, least: 2_000, most: 2_000, ends: 'failed', attempts: 0 },
  { what: 'a backoff of 1.5 s', body: { input: { sleep: 5_000 }, timeout: 100, maxAttempts: 2, backoff: { kind: 'fixed', base: 1_500, cap: 1_500, jitter: false } }, least: 1_700, most: 1_700, ends: 'failed', attempts: 2 },
  ...(dueAt === null ? [] : [{ what: 'an instant that the step leaps over', body: { dueAt: new Date(dueAt).toISOString() }, least: 0, most: 2_000, ends: 'completed' as const, attempts: 1 }]),
];

export const createClock = (): Nemesis => {
  let file = '';
  let offset = 0;
  let steps = 0;
  let judged = 0;
  let touched = 0;
  const set = (by: number): void => {
    offset += by;
    steps += 1;
    writeFileSync(`${file}.new`, `${offset < 0 ? '-' : '+'}${Math.abs(offset) / SECOND}`);
    renameSync(`${file}.new`, file); // a half-written one is another time
  };
  const draw = (rng: Rng): number => {
    const size = rng.pick(STEPS);
    const by = rng.chance(0.5) ? size : -size;
    return Math.abs(offset + by) > AWAY_MAX ? -by : by;
  };
  const watch = async (canary: Canary, field: Field): Promise<() => Promise<void>> => {
    const sent = performance.now();
    const made = await field.driver.request({ method: 'POST', path: '/api/jobs', body: { type: 'noop', priority: 10, tags: ['canary'], ...canary.body } });
    if (made.kind !== 'answer' || made.status !== 201) return async () => { if (made.kind !== 'answer' || made.status !== 503) field.violation(`CLOCK: ${canary.what} was answered ${JSON.stringify(made).slice(0, 200)}`); };
    const id = made.body.id as string;
    field.driver.spare(id);
    return async () => {
      let job: any;
      const isOver = (): boolean => job?.state !== undefined && job.state !== 'PENDING';
      do {
        const answer = await field.driver.request({ method: 'GET', path: `/api/jobs/${id}?wait=2` });
        if (answer.kind === 'answer' && answer.status === 200) job = answer.body;
      } while (!isOver() && performance.now() - sent < canary.most + LATE);
      const took = Math.round(performance.now() - sent);
      const events = await field.driver.request({ method: 'GET', path: `/api/jobs/${id}/events?limit=100` });
      const told: any[] = events.kind === 'answer' && events.status === 200 ? (events.body.events ?? []) : [];
      // The load may have got hold of it before it was told to leave it alone.
      if (told.some(({ data }) => data?.status === 'paused' || data?.status === 'cancelled' || WORDS.has(data?.reason))) { touched += 1; return; }
      judged += 1;
      const say = (what: string): void => { field.violation(`CLOCK: ${canary.what} ${what} (job ${id}, ${took} ms after its submission, attempt ${job?.attempt}, due ${job?.dueAt}, error ${JSON.stringify(job?.error)})`); };
      if (!isOver()) return say('waits for ever');
      if (job.status !== canary.ends) return say(`${job.status}`);
      if (took < canary.least - 2) return say('ended too soon');
      if (job.attempt !== canary.attempts) return say(`had ${job.attempt} attempts, not ${canary.attempts}`);
    };
  };
  return {
    name: 'clock',
    feasible: cannotFake,
    now: () => Date.now() + offset,
    launch: () => ({ env: { LD_PRELOAD: FAKETIME ?? '', FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' } }),
    async setup({ folder }) {
      file = join(folder, 'clock');
      writeFileSync(file, '+0');
    },
    async inject(field) {
      const { rng, server, driver, log, violation } = field;
      const by = draw(rng);
      await new Promise((resolve) => { setTimeout(resolve, rng.int(50, 300)); });
      const leapt = by >= 10 * SECOND && by < 365 * DAY ? Date.now() + offset + by / 2 : null;
      const waits = await Promise.all(canaries(leapt).map((canary) => watch(canary, field)));
      await new Promise((resolve) => { setTimeout(resolve, rng.int(50, 300)); });
      set(by);
      log(`the clock was set by ${by / SECOND} s under load`);
      await Promise.all(waits.map((judge) => judge()));
      const metrics = await driver.request({ method: 'GET', path: '/metrics' });
      if (metrics.kind === 'answer') for (const line of String(metrics.body).split('\n')) if (/^[a-z].* -\d/.test(line)) violation(`CLOCK: a metric is below zero: ${line}`);
      if (!rng.chance(0.4)) return;
      await server().kill(rng.pick(['SIGKILL', 'SIGTERM'] as const));
      const away = draw(rng);
      const before = Date.now() + offset;
      set(away);
      if (away > 0) field.excuse(before, Date.now() + offset); // time in which nobody was there, as far as the server can know
      log(`the clock was set by ${away / SECOND} s while the server was down`);
    },
    async heal({ server, startServer }) { if (server().hasExited) await startServer(); },
    async teardown() {},
    facts: () => `the clock was set ${steps} times; ${judged} jobs timed, ${touched} left out for what the load did to them`,
  };
};
