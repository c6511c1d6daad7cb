// Death at every point: a scripted run is killed just before its n-th write, sync, truncation or removal, for every n there
// is; started again on what that left, everything acknowledged is there and everything comes to rest.
import { join } from 'node:path';
import type { RunOptions, RunResult } from '../kinds.ts';
import { runScript } from '../script.ts';
import { Stage } from '../stage.ts';
import { type CallName, CALLS, type Point, readPoints, spread, straced } from './strace.ts';

/** Points at once: one waits for its server while the other works, on two cores. */
const LANES = 2;
/** Calls that are no harm to die before: opening changes nothing that the next call does not show. */
const KILLED_AT: readonly CallName[] = CALLS.filter((call) => call !== 'openat');
/** A line of progress for so many points. */
const SAY_EVERY = 50;

/** What the scripted run does to the disk, from its start on an empty folder to its clean stop. Throws if it does not hold. */
export async function countPoints(seed: string, entry?: readonly string[]): Promise<Point[]> {
  const stage = new Stage(seed, entry);
  const out = join(stage.folder, 'trace');
  try {
    await stage.open();
    if (!(await stage.start(straced(stage.db, [], out)))) throw new Error(`the counting run did not start\n${stage.server?.log()}`);
    await runScript(stage);
    const { code } = await stage.stop();
    if (code !== 0) stage.violations.push(`the counting run ended with code ${code}\n${stage.server?.log()}`);
    stage.check(false);
    if (stage.violations.length > 0) throw new Error(`the counting run without any harm: ${stage.violations.join('\n')}`);
    return await readPoints(out);
  } finally {
    await stage.end();
  }
}

/** Which calls there are, for the report. */
export function tell(points: readonly Point[]): string {
  return CALLS.map((call) => [call, points.filter((point) => point.call === call).length] as const).filter(([, count]) => count > 0).map(([call, count]) => `${count} ${call}`).join(', ');
}

interface Death { readonly violations: readonly string[]; readonly reached: boolean; readonly acks: number; readonly starting: boolean; readonly ms: number }

async function killAt(point: Point, seed: string, entry?: readonly string[]): Promise<Death> {
  const stage = new Stage(seed, entry);
  const from = Date.now();
  let reached = false;
  let starting = false;
  try {
    await stage.open();
    starting = !(await stage.start(straced(stage.db, [`${point.call}:signal=SIGKILL:when=${point.n}`])));
    if (!starting) await runScript(stage);
    const { code, signal } = starting ? await stage.gone() : await stage.stop();
    reached = signal === 'SIGKILL';
    if (!reached && code !== 0) stage.violations.push(`it ended with code ${code}, signal ${signal}\n${stage.server?.log()}`);
    stage.hear();
    if (!starting) stage.check(false);
    if (!(await stage.start())) stage.violations.push(`it did not start again\n${stage.server?.log()}`);
    else if (stage.violations.length === 0) await stage.finish();
  } catch (error) {
    stage.violations.push(`the harness stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  await stage.end();
  return { violations: stage.violations.map((line) => `${point.call} ${point.n} (${point.file}): ${line} [kept in ${stage.folder}]`), reached, acks: stage.ledger.acks, starting, ms: Date.now() - from };
}

/** Works through a list in a few lanes; stops taking more once `isDone`. */
export async function inLanes<T, R>(list: readonly T[], work: (item: T, index: number) => Promise<R>, isDone: (result: R) => boolean): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let stop = false;
  await Promise.all(Array.from({ length: LANES }, async () => {
    while (!stop && next < list.length) {
      const index = next++;
      const result = await work(list[index]!, index);
      results.push(result);
      stop ||= isDone(result);
    }
  }));
  return results;
}

export async function runPoints({ cycles, seed, say }: RunOptions, entry?: readonly string[]): Promise<RunResult> {
  const all = (await countPoints(`${seed}/count`, entry)).filter(({ call }) => KILLED_AT.includes(call));
  say(`the run makes ${all.length} such calls: ${tell(all)}`);
  const chosen = spread(all, cycles);
  let done = 0;
  const deaths = await inLanes(chosen, async (point) => {
    const death = await killAt(point, `${seed}/points/${point.order}`, entry);
    done += 1;
    if (death.violations.length > 0) say(death.violations.join('\n'));
    else if (done % SAY_EVERY === 0) say(`points ${done}/${chosen.length}: nothing lost`);
    return death;
  }, ({ violations }) => violations.length > 0);
  const sum = (value: (death: Death) => number): number => deaths.reduce((total, death) => total + value(death), 0);
  const reached = sum((death) => Number(death.reached));
  // A run makes a few calls more or less, so the last points may be out of reach; a harness that kills nobody finds nothing.
  const blind = reached < deaths.length / 2 ? [`only ${reached} of ${deaths.length} points were reached`] : [];
  return {
    violations: [...deaths.flatMap(({ violations }) => violations), ...blind],
    facts: [
      `points                 ${all.length}: ${tell(all)}`,
      `tried                  ${deaths.length}: ${tell(chosen)}`,
      `killed there           ${reached}, ${sum(({ starting }) => Number(starting))} of them before it listened; the rest made fewer calls and stopped cleanly`,
      `acknowledged changes   ${sum(({ acks }) => acks)}`,
      `ms a point             ${Math.round(sum(({ ms }) => ms) / Math.max(1, deaths.length))}, ${LANES} at once`,
    ],
  };
}
