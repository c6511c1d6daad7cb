// The kernel makes the filesystem read-only under the server, as ext4 does when it finds itself inconsistent: the server
// acknowledges nothing more and stops, does not start on such a disk, and starts cleanly once it was mended.
import { LoopDisk } from './loop-disk.ts';
import type { Nemesis } from './nemesis.ts';

const LIFE_MAX = 1_200;
/** RELIABILITY A7: from the flip until writes are refused. */
const NOTICE_MAX = 5_000;
/** A start that cannot succeed ends by itself; only a hang takes this long. */
const REFUSE_MAX = 20_000;
/** In one cycle of so many, and in the first, a start on the read-only disk is tried. */
const START_ONE_IN = 3;
/** From sysexits.h: the server's own words for a disk that failed, and for a file that cannot be written. */
const IO = 74;
const CONFIG = 78;

const pause = (ms: number): Promise<null> => new Promise((resolve) => { setTimeout(resolve, ms, null); });

export const createReadonly = (): Nemesis & { /** From the flip to the exit, ms. */ readonly noticed: readonly number[]; readonly refusals: () => number } => {
  let disk: LoopDisk | null = null;
  const noticed: number[] = [];
  let refusals = 0;
  return {
    name: 'readonly',
    noticed,
    refusals: () => refusals,
    feasible: () => LoopDisk.feasible(),
    async setup({ folder, home }) {
      disk = new LoopDisk(folder, home);
      await disk.create();
    },
    async inject({ rng, server, spawnServer, excuse, log, violation }) {
      const after = rng.int(50, LIFE_MAX);
      await pause(after);
      const at = Date.now();
      await disk?.flip();
      const exit = await Promise.race([server().exited, pause(NOTICE_MAX)]);
      const took = Date.now() - at;
      noticed.push(took);
      log(`read-only ${after} ms after it listened: ${exit === null ? 'the server goes on' : `ended by itself, code ${exit.code}`} after ${took} ms`);
      if (exit === null) violation(`the server goes on ${NOTICE_MAX} ms after its disk became read-only`);
      else if (exit.code !== IO) violation(`the server ended with code ${exit.code}, signal ${exit.signal} when its disk became read-only, not with ${IO}`);
      await server().kill();
      if (exit !== null && (noticed.length === 1 || rng.int(1, START_ONE_IN) === 1)) {
        const vain = spawnServer();
        const refused = await Promise.race([vain.exited, vain.ready.then(() => 'listens' as const, () => vain.exited), pause(REFUSE_MAX)]);
        await vain.kill();
        if (refused === null || refused === 'listens' || refused.code !== CONFIG) violation(`a start on a read-only disk ${refused === null ? 'hangs' : refused === 'listens' ? 'listens' : `ends with code ${refused.code}, not ${CONFIG}: ${vain.log()}`}`);
        else if (!vain.log().includes('cannot be opened for writing')) violation(`a start on a read-only disk does not say why it ends: ${vain.log()}`);
        refusals += 1;
      }
      await disk?.mend();
      excuse(at, Date.now()); // nobody has been there since
    },
    async heal({ startServer }) { await startServer(); },
    async teardown() { await disk?.destroy(); },
    excuses: (line) => /"msg":"(The disk failed|the store failed)|cannot be opened for writing/.test(line),
    facts: () => `ms from read-only to the end of the process ${[...noticed].sort((a, b) => a - b).join(' ')}; ${refusals} starts refused meanwhile`,
  };
};
