// SIGKILL around the ticks of schedules. Patterns name whole minutes, so the server's clock is a false one (libfaketime) that
// stands shortly before a minute when it listens; it is killed within 100 ms of that minute, and the next one starts shortly
// before the next. Now and then the clock is set back by up to an hour first. What the file then says: one job for each schedule and minute, none twice, none left out.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkDatabase, openReadOnly, readPicture } from '../check.ts';
import type { RunOptions, RunResult } from '../kinds.ts';
import { createRng } from '../rng.ts';
import { ServerProcess } from '../server.ts';
import { FAKETIME } from './clock.ts';

const MINUTE = 60_000;
/** Spawned this long before the minute, ms: a start takes less, and is told how long it took. */
const LEAD = 4_000;
/** Around the minute. */
const AROUND = 100;
/** Schedules of every minute; a few more whose minutes are rarer. */
const SCHEDULES = 40;
/** One time in so many the server lives through its minute, and its clock is set back by up to so many minutes, and forth again at the next start. */
const BACK_EVERY = 4;
const BACK_MAX = 60;
/** Longer than the server takes to see that its clock was set, ms. */
const SEEN = 2_500;

export async function runSchedules({ cycles, seed, say }: RunOptions, entry: readonly string[] = ['src/start.mjs']): Promise<RunResult> {
  const rng = createRng(`${seed}/schedules`);
  const folder = mkdtempSync(join(tmpdir(), 'muster-fault-'));
  const db = join(folder, 'muster.db');
  const file = join(folder, 'clock');
  let offset = 0;
  const now = (): number => Date.now() + offset;
  /** From here on the clock is so far ahead. */
  const setTo = (wall: number): void => {
    offset = Math.round((wall - Date.now()) / 1_000) * 1_000;
    writeFileSync(`${file}.new`, `${offset < 0 ? '-' : '+'}${Math.abs(offset) / 1_000}`);
    renameSync(`${file}.new`, file);
  };
  const launch = { env: { LD_PRELOAD: FAKETIME ?? '', FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' } };
  const violations: string[] = [];
  let setBack = 0;
  let minute = (Math.floor(Date.now() / MINUTE) + 2) * MINUTE;
  let missedIt = 0;
  const start = async (): Promise<{ server: ServerProcess; url: string }> => {
    const server = new ServerProcess(entry, db, launch);
    return { server, url: (await server.ready).url };
  };
  setTo(minute - LEAD - 30_000);
  const first = await start();
  const made = now();
  const ids: string[] = [];
  try {
    for (let i = 0; i < SCHEDULES; i++) {
      const answer = await fetch(`${first.url}/api/schedules`, {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ cron: i % 8 === 7 ? '*/3 * * * *' : '* * * * *', job: i % 5 === 4 ? { type: 'batch', children: [{ type: 'noop' }, { type: 'noop' }] } : { type: 'noop' }, overlap: 'allow', catchUp: { policy: 'all' } }),
      });
      ids.push((await answer.json() as { id: string }).id);
    }
    await first.server.kill();
    for (let kills = 0; kills < cycles && violations.length === 0; kills++, minute += MINUTE) {
      setTo(minute - LEAD);
      const { server } = await start();
      const wait = minute - now() + rng.int(-AROUND, AROUND);
      if (wait < 0) missedIt += 1;
      const isSetBack = rng.int(1, BACK_EVERY) === 1;
      await new Promise((resolve) => { setTimeout(resolve, Math.max(0, isSetBack ? wait + 3 * AROUND : wait)); });
      if (isSetBack) {
        setBack += 1;
        setTo(now() - rng.int(1, BACK_MAX) * MINUTE);
        await new Promise((resolve) => { setTimeout(resolve, SEEN); });
      }
      await server.kill();
      violations.push(...server.complaints().map((line) => `the server complained: ${line}`));
      if (kills % 20 === 19 || kills === cycles - 1) {
        violations.push(...judge(db, null, made));
        say(`${kills + 1} kills around a tick, ${violations.length} violations`);
      }
    }
    setTo(minute - MINUTE + 20_000); // what the last one left is served by this one
    const { server, url } = await start();
    for (let tries = 0; tries < 100; tries++) {
      const answer = await fetch(`${url}/api/schedules?limit=200`).catch(() => null);
      if (answer === null) { // and what it leaves is judged all the same
        violations.push(`the server ended by itself while it served what was missed: ${server.log()}`);
        break;
      }
      const { schedules } = await answer.json() as { schedules: { nextRunAt: string }[] };
      if (schedules.every(({ nextRunAt }) => Date.parse(nextRunAt) > now())) break;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    await server.kill('SIGTERM');
    violations.push(...judge(db, minute - MINUTE, made));
  } finally {
    await first.server.kill();
    if (violations.length === 0) rmSync(folder, { recursive: true, force: true });
    else say(`the database is kept in ${folder}`);
  }
  return { violations: [...new Set(violations)], facts: [`${cycles} SIGKILLs within ${AROUND} ms of a minute (${missedIt} came later, for a slow start); the clock set back ${setBack} times under way; ${ids.length} schedules`] };
}

/** @param until every minute up to this one must have been served; null: only what there is too much of */
function judge(path: string, until: number | null, made: number): string[] {
  const db = openReadOnly(path);
  try {
    const found = checkDatabase(db, readPicture(db)); // I10: none twice, each with its run
    for (const { key, id, cron, fired, missed, dropped } of db.prepare("SELECT key, id, spec ->> '$.cron' AS cron, fired, missed, dropped FROM schedule").all() as { key: number; id: string; cron: string; fired: number; missed: number; dropped: number }[]) {
      const have = new Set(db.prepare('SELECT nominal_at FROM schedule_run WHERE schedule_key = ?').pluck().all(key) as number[]);
      if (fired !== have.size || missed + dropped > 0) found.push(`P7: schedule ${id} counts ${fired} fired, ${missed} missed, ${dropped} dropped, and has ${have.size} runs`);
      if (until === null) continue;
      const every = cron.startsWith('*/3') ? 3 * MINUTE : MINUTE;
      for (let at = Math.ceil((made + 1) / every) * every + every; at <= until; at += every) if (!have.has(at)) found.push(`P7: MISSED: schedule ${id} has no run for ${new Date(at).toISOString()}`);
    }
    return found.slice(0, 20);
  } finally {
    db.close();
  }
}
