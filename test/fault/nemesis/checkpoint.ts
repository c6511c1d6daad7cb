// The disk fails only where the log is moved into the database: every commit works, what follows one does not. SQLite's own
// checkpoint keeps that to itself; Muster's must end the server with 74, and so must a start on such a disk.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { undoAtExit } from '../undo.ts';
import type { Launch } from '../server.ts';
import { cannotTrace } from './strace.ts';
import type { Field, Nemesis } from './nemesis.ts';

/** Load before, ms. */
const LIFE_MAX = 600;
/** ms for strace to be there, and for the server to be gone after the log was long enough; far beyond what either takes. */
const ATTACH_MAX = 20_000;
const GONE_MAX = 20_000;
/** Characters of a job that fills the log: 100 pages with its result, of the 1,000 from which the log is moved. */
const FILLER = 200_000;
/** Three times what it takes; then nobody moves the log. */
const FILLERS_MAX = 30;
const EXIT_IO = 74;
/** A restart meets a disk that is still bad, one time in so many. */
const STILL_BAD_ONE_IN = 3;
/** The main file is written by checkpoints alone; its log has a name of its own. */
const failing = (db: string, call: string): readonly string[] => ['-f', '-P', db, '-e', `trace=${call}`, '-e', `inject=${call}:error=EIO`, '-e', 'signal=none'];

const pause = (ms: number): Promise<null> => new Promise((resolve) => { setTimeout(resolve, ms, null); });

/** Lays strace on a running server; resolves when each of its threads is held by it. */
async function attach(pid: number, db: string, call: string): Promise<ChildProcess> {
  const tracer = spawn('strace', [...failing(db, call), '-o', '/dev/null', '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const over = undoAtExit(() => { tracer.kill('SIGKILL'); });
  tracer.once('exit', over);
  await new Promise<void>((resolve, reject) => {
    let said = '';
    const late = setTimeout(() => reject(new Error(`strace does not attach: ${said}`)), ATTACH_MAX);
    tracer.once('exit', () => { clearTimeout(late); reject(new Error(`strace ended: ${said}`)); });
    tracer.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (!said.includes('attached')) return;
      clearTimeout(late);
      resolve();
    });
  });
  return tracer;
}

export const createCheckpoint = (): Nemesis => {
  let launch: Launch = {};
  const counts = { moves: 0, refused: 0, fillers: 0 };
  const dbOf = ({ home }: Field): string => join(home, 'muster.db');
  return {
    name: 'checkpoint',
    feasible: cannotTrace,
    async setup() {},
    launch: () => launch,
    async inject(field) {
      const { rng, server, driver, log, violation } = field;
      await pause(rng.int(50, LIFE_MAX));
      const process = server();
      // Its writes, or the sync behind them: after a sync that failed the pages are gone, and a second one says that all is well.
      const call = rng.pick(['pwrite64', 'fsync']);
      const tracer = await attach(process.pid, dbOf(field), call);
      for (let i = 0; i < FILLERS_MAX && !process.hasExited; i++) {
        counts.fillers += 1;
        await driver.request({ method: 'POST', path: '/api/jobs', body: { type: 'noop', input: { result: 'x'.repeat(FILLER) } } });
      }
      const exit = await Promise.race([process.exited, pause(process.hasExited ? GONE_MAX : GONE_MAX / 4)]);
      log(`EIO on each ${call} of a checkpoint: ${exit === null ? 'the server goes on' : `ended with ${exit.code}`}`);
      if (exit === null) violation(`GOES ON: the server goes on although its checkpoints fail (EIO on each ${call})`);
      else if (exit.code !== EXIT_IO) violation(`a checkpoint that failed ended the server with code ${exit.code}, signal ${exit.signal}, not ${EXIT_IO}\n${process.log()}`);
      else counts.moves += 1;
      await process.kill();
      tracer.kill('SIGKILL');
    },
    async heal(field) {
      const { rng, spawnServer, startServer, violation, log } = field;
      if (rng.int(1, STILL_BAD_ONE_IN) === 1) {
        launch = { wrap: ['strace', '-D', ...failing(dbOf(field), 'pwrite64'), '-qq', '-o', '/dev/null'] };
        const process = spawnServer();
        launch = {};
        const isUp = await process.ready.then(() => true, () => false);
        const { code } = await process.kill();
        if (isUp) violation('it started although the log could not be moved into the database');
        else if (code !== EXIT_IO || !/disk/.test(process.log())) violation(`a start whose checkpoint failed ended with code ${code}, not ${EXIT_IO}, and said\n${process.log()}`);
        counts.refused += 1;
        log(`a start on the bad disk: code ${code}`);
      }
      await startServer();
    },
    async teardown() {},
    excuses: (line) => /SQLITE_IOERR|disk I\/O error|The disk (that holds .* )?failed|^strace: /.test(line),
    facts: () => `${counts.moves} servers ended by a checkpoint that failed, after ${counts.fillers} large jobs; ${counts.refused} starts refused`,
  };
};
