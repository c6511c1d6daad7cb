// Brings a server to rest: no new work, everything held or paused on purpose let go, then waiting, within a bound, until
// nothing moves any more. What is left after that is stuck.
import type { Driver } from './driver.ts';
import type { Ledger } from './ledger.ts';
import { openReadOnly } from './check.ts';
import type { Reader } from './readers.ts';
import type { Rng } from './rng.ts';

/** RELIABILITY A1: nothing may be stuck a minute after the load ended. The longest job sleeps 3 s. */
const REST_MAX = 60_000;
const ROUND = 150;

export interface SettleOptions {
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly db: string;
  readonly firehose: Reader;
  readonly readers: readonly Reader[];
  readonly rng: Rng;
  readonly max?: number;
}

export async function settle({ driver, ledger, db, firehose, readers, rng, max = REST_MAX }: SettleOptions): Promise<void> {
  ledger.note('settling');
  await driver.settleUnanswered();
  const until = Date.now() + max;
  const file = openReadOnly(db);
  try {
    const paused = file.prepare("SELECT id FROM job WHERE status = 'paused'").pluck();
    const held = file.prepare("SELECT id FROM job WHERE status = 'queued' AND due_at IS NULL").pluck();
    const unsealed = file.prepare("SELECT id FROM job WHERE ended_at IS NULL AND spec ->> '$.sealed' = 0").pluck();
    const open = file.prepare('SELECT count(*) FROM job WHERE ended_at IS NULL').pluck();
    const newest = file.prepare('SELECT max(seq) FROM event').pluck();
    while (Date.now() < until) {
      for (const id of paused.all() as string[]) await driver.deed('resume', id, rng);
      for (const id of held.all() as string[]) await driver.deed('start', id, rng);
      for (const id of unsealed.all() as string[]) await driver.deed('edit', id, rng, { sealed: true });
      const isQuiet = open.get() === 0 && firehose.position >= Number(newest.get() ?? 0) && readers.every((reader) => reader.isOver);
      if (isQuiet) return;
      await new Promise((resolve) => { setTimeout(resolve, ROUND); });
    }
  } finally {
    file.close();
  }
}
