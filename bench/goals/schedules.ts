// 10,000 schedules due in the same minute: how late each is, with nothing else to do and under full load; once each.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { muster, type Server } from '../lib/servers.ts';
import { type Context, JOB } from './context.ts';

const SCHEDULES = 10_000;
const MINUTE = 60_000;
/** At once while they are made. */
const AT_ONCE = 64;
/** Load begins so long before the minute, ms. */
const BEFORE = 3_000;
const GIVEN_UP = 50_000;

async function make(server: Server, count: number): Promise<void> {
  let left = count;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) {
      const answer = await fetch(`${server.url}/api/schedules`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"cron":"* * * * *","overlap":"allow","job":{"type":"noop"}}' });
      if (answer.status !== 201) throw new Error(await answer.text());
    }
  }));
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
const at = (sorted: readonly number[], p: number): string => `${sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN}`;
const figures = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return `p50 ${at(sorted, 0.5)}, p99 ${at(sorted, 0.99)}, max ${at(sorted, 1)} ms`;
};

/** What the file says of one minute, once all of its jobs have begun. */
async function judge(folder: string, minute: number): Promise<{ readonly made: number[]; readonly begun: number[]; readonly twice: number }> {
  for (const until = performance.now() + GIVEN_UP; ; await sleep(100)) {
    const db = new Database(join(folder, 'muster.db'), { readonly: true });
    try {
      const rows = db.prepare('SELECT j.created_at - r.nominal_at, j.started_at - r.nominal_at FROM schedule_run r JOIN job j ON j.id = r.job_id WHERE r.nominal_at = ?').raw().all(minute) as [number, number | null][];
      if ((rows.length < SCHEDULES || rows.some(([, begun]) => begun === null)) && performance.now() < until) continue;
      const twice = db.prepare("SELECT count(*) FROM (SELECT 1 FROM job WHERE created_at >= @minute AND spec ->> '$.schedule.at' = @minute GROUP BY spec ->> '$.schedule.id' HAVING count(*) > 1)").pluck().get({ minute }) as number;
      return { made: rows.map(([made]) => made), begun: rows.map(([, begun]) => begun ?? Infinity), twice };
    } finally {
      db.close();
    }
  }
}

export async function schedules(context: Context): Promise<void> {
  const { report, folder } = context;
  const server = await muster(folder);
  try {
    const from = performance.now();
    await make(server, SCHEDULES);
    report.line(`  ${SCHEDULES} schedules made in ${((performance.now() - from) / 1_000).toFixed(1)} s; all are due in every minute`);
    for (const isLoaded of [false, true]) {
      const minute = (Math.floor((Date.now() + BEFORE + 1_000) / MINUTE) + 1) * MINUTE;
      await sleep(minute - BEFORE - Date.now());
      const load = isLoaded ? await context.load(`${server.url}/api/jobs`, JOB, AT_ONCE, 8) : null;
      if (load === null) await sleep(minute - Date.now() + 1);
      const { made, begun, twice } = await judge(folder, minute);
      report.line(`  ${load === null ? 'nothing else to do' : `beside ${Math.round(load.perSecond)} POSTs/s (p99 ${load.p99.toFixed(0)} ms, ${load.failed} refused)`}: ${made.length} of ${SCHEDULES} fired, ${twice} twice; job made ${figures(made)} after the minute; begun ${figures(begun)}`);
    }
  } finally {
    await server.stop();
  }
}
