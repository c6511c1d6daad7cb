// The disk hangs under load: every write to it waits until it is thawed. Meanwhile nothing is acknowledged, whoever only
// reads or asks for health is answered, /ready says why not; afterwards it goes on, and nobody has paid for the hang.
import { openReadOnly } from '../check.ts';
import { percentile, type Sample, startProbe, told } from '../probe.ts';
import { LoopDisk } from './loop-disk.ts';
import type { Field, Nemesis } from './nemesis.ts';

/** RELIABILITY A11. */
const FREEZE = 10_000;
/** One freeze in so many outlasts the longest lease (30 s): nobody may lose one by it. */
const LONG_ONE_IN = 5;
const LONG_TIMES = 4;
const LIFE_MAX = 1_000;
const ASK_EVERY = 25;
/** Answers on their way when the disk froze; a submit may have asked to wait a second for its job. */
const ON_THE_WAY = 1_500;
/** From the freeze until /ready says no. */
const NOTICE_MAX = 4_000;
/** Of an answer that needs no disk; only a hang takes this long. */
const ANSWER_MAX = 2_000;
/** From the thaw until something is acknowledged again; RELIABILITY's figure is 2 s and is printed. */
const RECOVER_MAX = 15_000;
/** A no-op that sleeps at least this much less than its timeout allows can only be timed out by a clock that began too early, ms. */
const MARGIN = 150;

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

export interface Frozen extends Nemesis {
  /** From the thaw to the next acknowledgement, ms. */
  readonly recoveries: readonly number[];
  readonly health: readonly number[];
  /** From the freeze to the first refusal of /ready, ms. */
  readonly notices: readonly number[];
}

export function createFrozen({ freeze = FREEZE }: { readonly freeze?: number } = {}): Frozen {
  let disk: LoopDisk | null = null;
  let count = 0;
  const recoveries: number[] = [];
  const notices: number[] = [];
  const health: number[] = [];
  const reads: number[] = [];

  function judge(samples: readonly Sample[], job: string, from: number, to: number, { violation }: Field): void {
    const during = samples.filter(({ at }) => at >= from && at < to);
    for (const [path, list] of [['/health', health], [job, reads]] as const) {
      const asked = during.filter((sample) => sample.path === path);
      list.push(...asked.map(({ took }) => took));
      const worst = Math.max(...asked.map(({ took }) => took));
      if (asked.length === 0 || worst > ANSWER_MAX || asked.some(({ status }) => status !== 200)) {
        violation(`HANGS: ${path} while the disk was frozen: ${asked.length} asked, ${asked.filter(({ status }) => status === 200).length} answered 200, the slowest after ${Math.round(worst)} ms`);
      }
    }
    const ready = during.filter(({ path }) => path === '/ready');
    const first = ready.find(({ status }) => status === 503);
    if (first === undefined) violation(`/ready never said no while the disk was frozen for ${to - from} ms`);
    else notices.push(first.at - from);
    for (const { at, status, body } of ready) {
      if (at < from + NOTICE_MAX) continue;
      const text = JSON.stringify(body);
      if (status !== 503 || !text.includes('storage_stalled')) { violation(`/ready answered ${status} ${text} when the disk had been frozen for ${at - from} ms`); break; }
    }
    const last = samples.findLast(({ path }) => path === '/ready');
    if (last?.status !== 200) violation(`/ready still answers ${last?.status} ${JSON.stringify(last?.body)} after the thaw`);
  }

  /** Nobody died: no attempt was interrupted, and none was timed out that had not used its time. */
  function checkAttempts({ home, violation }: Field): void {
    const file = openReadOnly(`${home}/muster.db`);
    try {
      const interrupted = file.prepare("SELECT count(*) FROM attempt WHERE outcome = 'interrupted'").pluck().get() as number;
      if (interrupted > 0) violation(`C3: ${interrupted} attempts were interrupted, and only the disk stood still`);
      const burnt = file.prepare(`
        SELECT job.id || ' sleeps ' || (input.body ->> '$.sleep') || ' ms and may run ' || (job.spec ->> '$.timeout') || ' ms, began at ' || attempt.started_at FROM attempt
        JOIN job ON job.key = attempt.job_key JOIN input ON input.job_key = job.key
        WHERE attempt.outcome = 'timed_out' AND job.type = 'noop' AND (input.body ->> '$.sleep') + ? < (job.spec ->> '$.timeout')`).pluck().all(MARGIN) as string[];
      if (burnt.length > 0) violation(`C3: ${burnt.length} attempts were timed out that had not used their time, such as ${burnt[0]}`);
    } finally {
      file.close();
    }
  }

  return {
    name: 'frozen', recoveries, health, notices,
    feasible: () => LoopDisk.feasible(),
    async setup({ folder, home }) {
      disk = new LoopDisk(folder, home);
      await disk.create();
    },
    async inject(field) {
      const { rng, server, driver, acks, excuse, log, violation } = field;
      const { url } = await server().ready;
      const job = await driver.request({ method: 'POST', path: '/api/jobs', body: { type: 'noop' } });
      const path = job.kind === 'answer' && job.status === 201 ? `/api/jobs/${job.body.id}` : '/api/types';
      await pause(rng.int(100, LIFE_MAX));
      const stop = startProbe({ url, paths: [path, '/health', '/ready'], every: ASK_EVERY });
      await pause(200);
      const long = freeze * ((count += 1) % LONG_ONE_IN === 0 ? LONG_TIMES : 1);
      let from = Date.now();
      let frozen: [number, number];
      try {
        await disk?.freeze();
        from = Date.now();
        await pause(ON_THE_WAY);
        frozen = [acks(), 0];
        await pause(long - ON_THE_WAY);
        frozen[1] = acks();
      } finally {
        await disk?.thaw();
      }
      const to = Date.now();
      while (acks() === frozen[1] && Date.now() < to + RECOVER_MAX) await pause(5);
      const recovered = Date.now() - to;
      recoveries.push(recovered);
      await pause(500);
      excuse(from, to + recovered);
      log(`frozen for ${to - from} ms, ${frozen[1] - frozen[0]} acknowledged meanwhile, the first ${recovered} ms after`);
      if (frozen[1] !== frozen[0]) violation(`${frozen[1] - frozen[0]} changes were acknowledged while the disk was frozen`);
      if (recovered >= RECOVER_MAX) violation(`nothing is acknowledged ${RECOVER_MAX} ms after the thaw`);
      judge(await stop(), path, from, to, field);
      checkAttempts(field);
    },
    async heal() {},
    async teardown() { await disk?.destroy(); },
    facts: () => `ms to /ready 503 ${notices.join(' ')}; ms from the thaw to the next acknowledgement ${recoveries.join(' ')}; /health ${told(health)}, GET ${told(reads)}, worst ${percentile([...health, ...reads], 1).toFixed(0)} ms`,
  };
}
