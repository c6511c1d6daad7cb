// SIGKILL at a random moment: under load, and one time in six while the server is still starting.
import type { Nemesis } from './nemesis.ts';

/** Life of a server before it is killed, ms. Short lives are likelier: start and recovery are where it is weakest. */
const LIFE_MAX = 1_400;
/** Into the start, ms: reading code, checking the file, migrating, taking up what was running. */
const START_MAX = 900;
const KILL_STARTING = 1 / 6;

export const createKill = (): Nemesis & { readonly kills: () => number } => {
  let kills = 0;
  return {
    name: 'kill',
    kills: () => kills,
    feasible: () => Promise.resolve(null),
    async setup() {},
    async inject({ rng, server, log }) {
      const after = Math.round(LIFE_MAX * rng.next() ** 1.5);
      await new Promise((resolve) => { setTimeout(resolve, after); });
      const { signal, code } = await server().kill();
      kills += 1;
      log(`SIGKILL ${after} ms after it listened (${signal ?? code})`);
    },
    async heal({ rng, spawnServer, startServer, log }) {
      while (rng.chance(KILL_STARTING)) {
        const after = rng.int(0, START_MAX);
        const starting = spawnServer();
        await new Promise((resolve) => { setTimeout(resolve, after); });
        await starting.kill();
        kills += 1;
        log(`SIGKILL ${after} ms into its start`);
      }
      await startServer();
    },
    async teardown() {},
    facts: () => `${kills} SIGKILLs`,
  };
};
