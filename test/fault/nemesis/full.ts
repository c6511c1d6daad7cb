// The disk fills up under load: new work is refused, reads, streams and the ends of running jobs go on; then there is room
// again, or the server is stopped, killed and started while there is none.
import { createAgent, exchange } from '../client.ts';
import { closeSync, openSync, rmSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Submission } from '../ledger.ts';
import { cannotMount, mountMemory } from './disks.ts';
import type { Field, Nemesis } from './nemesis.ts';

/** Room for the database of a few rounds and the reserve; what is left of it is filled. */
const SIZE = '96m';
const LIFE_MAX = 600;
/** Bytes left for the load to fill by itself, so that the last of them goes at a write of its own. */
const SPARE_MAX = 1024 * 1024;
/** ms for the load to do so; what is left then is taken too. */
const FILL_MAX = 1_500;
/** ms until the server says that it is full: the log has room to reuse until a checkpoint fails. */
const NOTICE_MAX = 30_000;
/** ms from room to ready: 5 s is the promise (RELIABILITY A6), the rest is for a loaded machine. */
const BACK_MAX = 10_000;
const EXIT_IO = 74;
/** What the server sets aside; committer.ts. */
const RESERVE = 4 * 1024 * 1024;
const PAGE = 4_096;
/** The job that is to end while there is no room. */
const RUN = 1_500;

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

export const createFull = ({ noticeMax = NOTICE_MAX }: { /** A control that never says it is full is not waited for so long. */ readonly noticeMax?: number } = {}): Nemesis => {
  let undo = (): void => {};
  const back: number[] = [];
  const counts = { rounds: 0, ended: 0, stops: 0, kills: 0, opened: 0, refused: 0, unfilled: 0 };
  const agent = createAgent();
  const filler = (home: string): string => join(home, 'filler');
  /** @returns bytes that it took */
  const fill = (home: string, spare: number): number => {
    const file = openSync(filler(home), 'a');
    const { bavail, bsize } = statfsSync(home);
    const room = Math.max(0, bavail * bsize - spare);
    let left = room;
    for (let size = 256 * 1024; size >= 1 && left > 0; ) {
      try {
        left -= writeSync(file, Buffer.alloc(Math.min(size, left)));
      } catch {
        size = Math.floor(size / 2);
      }
    }
    closeSync(file);
    return room - left;
  };
  const free = (home: string): void => rmSync(filler(home), { force: true });
  const get = async (url: string, path: string) => {
    const answer = await exchange(url, { method: 'GET', path }, agent);
    return answer.kind === 'answer' ? answer : null;
  };
  const isFull = async (url: string): Promise<boolean> => JSON.stringify((await get(url, '/ready'))?.body ?? '').includes('storage_full');
  const waitFor = async (condition: () => Promise<boolean>, max: number): Promise<number | null> => {
    const from = Date.now();
    while (Date.now() - from < max) {
      if (await condition()) return Date.now() - from;
      await pause(25);
    }
    return null;
  };
  /** There is room again: how long until it is ready. */
  const recover = async (url: string, { home, violation, server }: Field): Promise<void> => {
    free(home);
    const took = await waitFor(async () => (await get(url, '/ready'))?.status === 200, BACK_MAX);
    if (took === null) violation(`it is not ready ${BACK_MAX} ms after there was room again\n${server().log()}`);
    else back.push(took);
  };
  /** A start without room: it serves reads, or says why it does not. */
  const startFull = async (field: Field): Promise<void> => {
    const { home, spawnServer, log, violation } = field;
    fill(home, 0);
    const next = spawnServer();
    const ready = await next.ready.catch(() => null);
    if (ready === null) {
      const { code } = await next.exited;
      counts.refused += 1;
      if (code !== EXIT_IO || !/is full/.test(next.log())) violation(`a start on a full disk ended with code ${code} and said\n${next.log()}`);
      log(`a start on the full disk: code ${code}`);
      free(home);
      return;
    }
    counts.opened += 1;
    log('a start on the full disk: it listens');
    for (const path of ['/health', '/api/jobs?limit=5']) if ((await get(ready.url, path))?.status !== 200) violation(`GET ${path} after a start on a full disk is not answered`);
    await recover(ready.url, field);
    await next.kill(); // the harness has its clients come back to one that it started itself
  };
  return {
    name: 'full',
    feasible: cannotMount,
    async setup({ home }) { undo = mountMemory(home, SIZE); },
    async inject(field) {
      const { rng, driver, home, server, log, violation, excuse } = field;
      await pause(rng.int(50, LIFE_MAX));
      const from = Date.now();
      const process = server();
      const { url } = await process.ready;
      const token = `full${from}`;
      const runner: Submission = { token, size: 1, key: `key-${token}`, call: { path: '/api/jobs', body: { type: 'noop', tags: [token], priority: 10, input: { sleep: RUN } } }, tries: 0, ids: null, refused: false };
      await driver.send(runner);
      await waitFor(async () => (await get(url, `/api/jobs/${runner.ids?.[0]}`))?.body.status === 'running', RUN);
      const spare = rng.int(0, SPARE_MAX);
      fill(home, spare);
      let noticed = await waitFor(() => isFull(url), FILL_MAX);
      if (noticed === null) {
        // More than was spared is the server's reserve, given up just now: that room is its own.
        if (fill(home, 0) > spare + PAGE) truncateSync(filler(home), statSync(filler(home)).size - RESERVE);
        noticed = await waitFor(() => isFull(url), noticeMax);
      }
      counts.rounds += 1;
      if (process.hasExited) return violation(`a full disk ended the server\n${process.log()}`);
      if (noticed === null) counts.unfilled += 1;
      else await look(url, runner, field);
      const end = rng.weighted({ room: 50, stop: 30, kill: 20 });
      log(`full with ${spare} bytes left to the load; then ${end}`);
      if (end === 'room') {
        await recover(url, field);
        if (process.hasExited) violation(`it ended when there was room again\n${process.log()}`);
      } else {
        const { code } = await process.kill(end === 'stop' ? 'SIGTERM' : 'SIGKILL');
        counts[end === 'stop' ? 'stops' : 'kills'] += 1;
        if (end === 'stop' && code !== 0) violation(`SIGTERM on a full disk ended with code ${code}\n${process.log()}`);
        await startFull(field);
      }
      excuse(from, Date.now());
    },
    async heal({ server, startServer }) { if (server().hasExited) await startServer(); },
    async teardown() {
      agent.destroy();
      undo();
    },
    excuses: (line) => /^The disk that holds .* is full \(/.test(line), // of a start that was refused; startFull has judged it
    facts: () => `${counts.rounds} times full (${counts.unfilled} not noticed); ${counts.ended} ends recorded meanwhile; ${counts.stops} stops and ${counts.kills} kills while full, then ${counts.opened} starts that served reads and ${counts.refused} that said why not; ms to ready again ${back.length === 0 ? 'none' : `${Math.max(...back)} at most of ${back.length}`}`,
  };

  /** What must go on, and what must be refused. */
  async function look(url: string, runner: Submission, { violation, driver, server }: Field): Promise<void> {
    for (const path of ['/health', '/metrics', '/api/jobs?limit=5', ...(runner.ids === null ? [] : [`/api/jobs/${runner.ids[0]}`])]) {
      const answer = await get(url, path);
      if (answer?.status !== 200) violation(`GET ${path} on a full disk: ${JSON.stringify(answer).slice(0, 300)}`);
    }
    const more = await driver.request({ method: 'POST', path: '/api/jobs', body: { type: 'noop' } });
    if (more.kind !== 'answer' || (await isFull(url) && (more.status !== 503 || more.body.code !== 'storage_full' || more.headers['retry-after'] === undefined))) violation(`a submission on a full disk: ${JSON.stringify(more).slice(0, 300)}`);
    if (runner.ids === null) return;
    const ended = await waitFor(async () => (await get(url, `/api/jobs/${runner.ids?.[0]}`))?.body.state !== 'PENDING', RUN + BACK_MAX);
    if (ended === null && !server().hasExited) violation(`a running job could not record its end on a full disk: ${JSON.stringify((await get(url, `/api/jobs/${runner.ids[0]}`))?.body)}`);
    else if (await isFull(url)) counts.ended += 1;
  }
};
