// The stand-in for wrk, in a process of its own: N connections, each sends its next POST when it has its answer.
import { Pool } from 'undici';
import { quantile } from './figures.ts';

const [url = '', body = '', connections = '64', seconds = '3'] = process.argv.slice(2);
const { origin, pathname } = new URL(url);
const pool = new Pool(origin, { connections: Number(connections), pipelining: 1 });
const times: number[] = [];
let failed = 0;
const start = performance.now();
const end = start + Number(seconds) * 1_000;

await Promise.all(Array.from({ length: Number(connections) }, async () => {
  while (performance.now() < end) {
    const sent = performance.now();
    const answer = await pool.request({ method: 'POST', path: pathname, body, headers: { 'content-type': 'application/json' } });
    await answer.body.dump();
    if (answer.statusCode >= 400) failed += 1;
    times.push((performance.now() - sent) * 1_000);
  }
}));
process.send?.({ requests: times.length, us: (performance.now() - start) * 1_000, failed, p50: quantile(times, 0.5), p99: quantile(times, 0.99) });
await pool.close();
process.disconnect();
