// npm run fuzz -- --requests 200000 --seed 7: as many requests as wanted from the server's own OpenAPI document.
import { fuzz } from './campaign.ts';

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? fallback : Number(process.argv[at + 1]);
  if (Number.isInteger(value)) return value;
  console.log('usage: npm run fuzz -- [--requests N] [--seed S]');
  process.exit(64);
}

const requests = option('requests', 20_000);
const seed = option('seed', Date.now() % 1_000_000);
console.log(`seed ${seed}`);
const { failures, missing, coverage, facts } = await fuzz({ requests, seed, progress: (done) => { if (done % 60_000 === 0) console.log(`${done} requests`); } });
console.log(`${facts}\n${coverage.table()}`);
for (const line of missing) console.log(`NOT MET: ${line}`);
for (const failure of failures) console.log(`FAILED: ${failure}`);
process.exitCode = failures.length + missing.length > 0 ? 1 : 0;
