// A power cut under load: the filesystem loses everything that was not synced, the server dies, the disk comes back.
import { LoopDisk } from './loop-disk.ts';
import type { Nemesis } from './nemesis.ts';

/** Life of a server before the cut, ms; short lives are likelier. */
const LIFE_MAX = 1_200;
/** One cut in so many: the server lives on for a moment on a disk that is gone, and must not acknowledge anything then. */
const ALIVE_ONE_IN = 3;
const ALIVE_MAX = 250;
/** In one restart of so many the power fails again while the server starts. */
const CUT_STARTING = 1 / 6;
const START_MAX = 900;

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

export const createPowercut = (): Nemesis & { readonly cuts: () => number } => {
  let disk: LoopDisk | null = null;
  let cuts = 0;
  let failStops = 0;
  return {
    name: 'powercut',
    cuts: () => cuts,
    feasible: () => LoopDisk.feasible(),
    async setup({ folder, home }) {
      disk = new LoopDisk(folder, home);
      await disk.create();
    },
    async inject({ rng, server, excuse, log }) {
      const after = Math.round(LIFE_MAX * rng.next() ** 1.5);
      await pause(after);
      const at = Date.now();
      await disk?.cut();
      const alive = rng.int(1, ALIVE_ONE_IN) === 1 ? rng.int(1, ALIVE_MAX) : 0;
      if (alive > 0) await Promise.race([pause(alive), server().exited]);
      const { code, signal } = await server().kill();
      if (code === 74) failStops += 1;
      cuts += 1;
      log(`power cut ${after} ms after it listened, the server ${code === null ? `was ended by ${signal}` : `ended itself with code ${code}`} within ${alive} ms`);
      await disk?.remount();
      excuse(at, Date.now());
    },
    async heal({ rng, spawnServer, startServer, log }) {
      while (rng.chance(CUT_STARTING)) {
        const after = rng.int(0, START_MAX);
        const starting = spawnServer();
        await pause(after);
        await disk?.cut();
        await starting.kill();
        cuts += 1;
        log(`power cut ${after} ms into its start`);
        await disk?.remount();
      }
      await startServer();
    },
    async teardown() { await disk?.destroy(); },
    // After the cut every read and write of the dying server may fail; what it does then is to stop, and it may say so.
    excuses: (line) => /"msg":"(The disk failed|the store failed)|SQLITE_(IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN)/.test(line),
    facts: () => `${cuts} power cuts, ${failStops} times the server noticed first`,
  };
};
