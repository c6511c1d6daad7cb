// A full disk from every point: a scripted run meets ENOSPC from its n-th write on, until it is stopped or for some writes
// only. What was acknowledged is there, reads go on, and with room again it works without a restart.
import { exchange, createAgent } from '../client.ts';
import type { RunOptions, RunResult } from '../kinds.ts';
import { runScript } from '../script.ts';
import { Stage } from '../stage.ts';
import { countPoints, inLanes, tell } from './points.ts';
import { type Point, spread, straced } from './strace.ts';

/** Writes that fail before there is room again, in the half of the points where that happens. A server that waits may try one a second. */
const PASSES_MAX = 8;
/** Probes of the server that find no room, one a second. */
const PROBES_MAX = 2;
/** ms for it to say that it is ready again: a second for each write and probe that still fails, and as much for a loaded machine. */
const READY_MAX = 30_000;
const EXIT_IO = 74;
/** SHMSIZE: SQLite's shared memory found no room. The server asks the disk whether that is why; an injected error leaves it as it was. */
const isAboutSpace = (line: string): boolean => /is full|SQLITE_IOERR_SHMSIZE/.test(line);
const SAY_EVERY = 25;

interface Outcome { readonly violations: readonly string[]; readonly what: 'refused to start' | 'stopped while full' | 'went on by itself' | 'not reached' | 'ended with 74'; readonly acks: number; readonly refusals: number; readonly back: number }

async function fillAt(point: Point, all: readonly Point[], seed: string, entry?: readonly string[]): Promise<Outcome> {
  const stage = new Stage(seed, entry);
  const passes = stage.rng.chance(0.5);
  const before = (call: Point['call']): number => all.filter((each) => each.call === call && each.order < point.order).length + 1;
  const range = (from: number, count: number): string => (passes ? `${from}..${from + count - 1}` : `${from}+`);
  const injections = [
    `pwrite64:error=ENOSPC:when=${range(before('pwrite64'), stage.rng.int(1, PASSES_MAX))}`,
    `write:error=ENOSPC:when=${range(before('write'), stage.rng.int(1, PROBES_MAX))}`,
  ];
  let what: Outcome['what'] = 'not reached';
  let refusals = 0;
  let back = 0;
  const get = (path: string) => exchange(stage.url, { method: 'GET', path }, createAgent());
  try {
    await stage.open();
    if (!(await stage.start(straced(stage.db, injections)))) {
      what = 'refused to start';
      const { code } = await stage.gone();
      if (code !== EXIT_IO) stage.violations.push(`a start on a full disk ended with code ${code}, not ${EXIT_IO}\n${stage.server?.log()}`);
      else if (!isAboutSpace(stage.server?.log() ?? '')) stage.violations.push(`a start on a full disk does not say so\n${stage.server?.log()}`);
    } else {
      const from = Date.now();
      await runScript(stage);
      refusals = stage.driver.counts.overloaded;
      const ready = await get('/ready');
      const isFull = ready.kind === 'answer' && ready.status === 503 && JSON.stringify(ready.body).includes('storage_full');
      if (stage.server?.hasExited === true) {
        what = 'ended with 74';
        const { code } = await stage.gone();
        stage.violations.push(`a full disk ended the server with code ${code}\n${stage.server.log()}`);
      } else {
        for (const path of ['/health', '/api/jobs?limit=5', '/metrics']) {
          const answer = await get(path);
          if (answer.kind !== 'answer' || answer.status !== 200) stage.violations.push(`GET ${path} on a full disk: ${JSON.stringify(answer).slice(0, 300)}`);
        }
        if (isFull || refusals > 0) what = passes ? 'went on by itself' : 'stopped while full';
        if (passes) {
          const since = Date.now();
          while ((back = Date.now() - since) < READY_MAX) {
            const now = await get('/ready');
            if (now.kind === 'answer' && now.status === 200) break;
            await new Promise((resolve) => { setTimeout(resolve, 100); });
          }
          if (back >= READY_MAX) stage.violations.push(`it is not ready ${READY_MAX} ms after there was room again\n${stage.server?.log()}`);
          stage.excuse(from, Date.now());
          await stage.rest();
        }
        const stop = await stage.stop();
        if (stop.code !== 0) stage.violations.push(`SIGTERM ${passes ? 'after' : 'on'} a full disk ended with code ${stop.code}, signal ${stop.signal}\n${stage.server?.log()}`);
        stage.excuse(from, Date.now());
        stage.hear();
        stage.check(passes);
      }
    }
    if (stage.violations.length === 0) {
      if (!(await stage.start())) stage.violations.push(`it did not start with room again\n${stage.server?.log()}`);
      else await stage.finish();
    }
  } catch (error) {
    stage.violations.push(`the harness stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  await stage.end();
  const name = `ENOSPC at ${point.call} ${point.n} (${point.file}), ${injections.join(' ')}`;
  return { violations: stage.violations.map((line) => `${name}: ${line} [kept in ${stage.folder}]`), what, acks: stage.ledger.acks, refusals, back };
}

export async function runFullPoints({ cycles, seed, say }: RunOptions, entry?: readonly string[]): Promise<RunResult> {
  const all = (await countPoints(`${seed}/count`, entry)).filter(({ call }) => call === 'pwrite64' || call === 'write');
  say(`the run makes ${all.length} such calls: ${tell(all)}`);
  const chosen = spread(all, cycles);
  let done = 0;
  const outcomes = await inLanes(chosen, async (point) => {
    const outcome = await fillAt(point, all, `${seed}/full-points/${point.order}`, entry);
    done += 1;
    if (outcome.violations.length > 0) say(outcome.violations.join('\n'));
    else if (done % SAY_EVERY === 0) say(`full-points ${done}/${chosen.length}: nothing lost`);
    return outcome;
  }, ({ violations }) => violations.length > 0);
  const sum = (value: (outcome: Outcome) => number): number => outcomes.reduce((total, outcome) => total + value(outcome), 0);
  const of = (what: Outcome['what']): number => outcomes.filter((outcome) => outcome.what === what).length;
  const blind = of('not reached') > outcomes.length / 2 ? [`${of('not reached')} of ${outcomes.length} points were not reached`] : [];
  return {
    violations: [...outcomes.flatMap(({ violations }) => violations), ...blind],
    facts: [
      `points                 ${all.length}: ${tell(all)}; tried ${outcomes.length}`,
      `full from there        ${(['refused to start', 'stopped while full', 'went on by itself', 'ended with 74', 'not reached'] as const).map((what) => `${of(what)} ${what}`).join(', ')}`,
      `acknowledged changes   ${sum(({ acks }) => acks)}; ${sum(({ refusals }) => refusals)} requests refused with 503`,
      `ms to ready again      ${Math.max(0, ...outcomes.map(({ back }) => back))} at most, after the last act`,
    ],
  };
}
