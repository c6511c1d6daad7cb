// SIGTERM under load: the clean stop. Exit 0 in time, nobody's request reset, every stream told to come back.
import { Agent } from 'node:http';
import { exchange } from '../client.ts';
import type { Nemesis } from './nemesis.ts';

const LIFE_MAX = 1_200;
/** New connections in the last moment: what the kernel holds and the server has not accepted yet is in flight too. */
const BURST = 40;
/** RELIABILITY H4: what supervisors give before they kill. */
const STOP_MAX = 10_000;

export const createTerm = (): Nemesis & { /** How long each stop took, ms. */ readonly stops: readonly number[] } => {
  const stops: number[] = [];
  return {
    name: 'term',
    stops,
    feasible: () => Promise.resolve(null),
    async setup() {},
    async inject({ rng, server, driver, streams, firehose, log, violation }) {
      const after = rng.int(50, LIFE_MAX);
      await new Promise((resolve) => { setTimeout(resolve, after); });
      const brokenBefore = streams.broken;
      const goodbyesBefore = streams.goodbyes;
      const resetsBefore = driver.resets.length;
      const process = server();
      const { url } = await process.ready;
      const agent = new Agent({ keepAlive: false });
      const burst = Array.from({ length: BURST }, () => exchange(url, { method: 'GET', path: '/health' }, agent));
      await new Promise((resolve) => { setTimeout(resolve, rng.int(1, 10)); });
      const at = Date.now();
      driver.watchFrom(at);
      const isFollowed = firehose.isOpen;
      const timer = setTimeout(() => { violation(`the stop took longer than ${STOP_MAX} ms`); void process.kill('SIGKILL'); }, STOP_MAX);
      const { code, signal } = await process.kill('SIGTERM');
      clearTimeout(timer);
      const took = Date.now() - at;
      stops.push(took);
      await new Promise((resolve) => { setTimeout(resolve, 20); }); // what the sockets still had for us
      log(`SIGTERM ${after} ms after it listened: code ${code}, ${took} ms, ${streams.goodbyes - goodbyesBefore} streams told to come back`);
      if (code !== 0) violation(`SIGTERM ended with code ${code}, signal ${signal}`);
      if (streams.broken > brokenBefore) violation(`${streams.broken - brokenBefore} streams were cut by a clean stop instead of told to come back`);
      if (isFollowed && streams.goodbyes === goodbyesBefore) violation('the stream of everything was open and was not told to come back');
      for (const lost of await Promise.all(burst)) if (lost.kind === 'lost' && lost.sent && lost.sentAt < at) violation(`a new connection was reset by a clean stop, ${at - lost.sentAt} ms after its request was sent: ${lost.why}`);
      for (const reset of driver.resets.slice(resetsBefore)) violation(`a request in flight was reset by a clean stop: ${reset}`);
    },
    async heal({ startServer }) { await startServer(); },
    async teardown() {},
    facts: () => `ms to stop ${[...stops].sort((a, b) => a - b).join(' ')}`,
  };
};
