// Every regular expression of the source, and a check that none of them can be made to take more than linear time:
// each runs against long texts made of its own letters, in a thread that is given up when it sticks.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

const SRC = new URL('../../src', import.meta.url).pathname;
/** Squared it is 4 * 10^10 steps, half a minute; once through takes less than a millisecond. */
const LENGTH = 200_000;

export interface Found {
  readonly where: string;
  readonly source: string;
  readonly flags: string;
}

const LITERAL = /(?<=(?:^|[=(,:?!&|;{}[]|=>|return)\s*)\/(?![*/])((?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([dgimsuvy]*)(?=[\s.,;)\]}?:]|$)/gm;

export function regexesIn(where: string, text: string): Found[] {
  const plain = text.replace(/^\s*\/\/.*$/gm, '').replace(/^\s*\/?\*.*$/gm, '').replace(/ \/\/ .*$/gm, '');
  return [...plain.matchAll(LITERAL)].map(([, source = '', flags = '']) => ({ where, source, flags }));
}

export const regexesOfSource = (): Found[] => readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).sort()
  .flatMap((name) => regexesIn(name, readFileSync(join(SRC, name), 'utf8')));

const THREAD = `
const { workerData: { list, length, at } } = require('node:worker_threads');
const seen = new Int32Array(at);
const OPENINGS = ['', 'http://', 'application/json', 'application/json;charset=utf-8', 'wait=1', '"', '[', 'identity', 'Invalid input: '];
list.forEach(({ source, flags }, i) => {
  const regex = new RegExp(source, flags.replace(/[gy]/g, ''));
  const letters = [...new Set([...source.replace(/\\\\s/g, ' ').replace(/\\\\d/g, '0').replace(/\\\\[wpPbB]/g, 'a').replace(/\\\\./g, (x) => x[1])].filter((c) => !'^$()|*+?{}'.includes(c)).concat(['a', ' ', '0']))].slice(0, 24);
  const pumps = [...letters, 'a ', ' ;', '; ', '0.', 'ab'];
  for (const opening of OPENINGS) for (const pump of pumps) {
    Atomics.store(seen, 0, i);
    Atomics.add(seen, 1, 1);
    regex.test(opening + pump.repeat(length / pump.length) + '\\u0001');
  }
});
Atomics.store(seen, 0, -2);
`;

/** The expressions that one text took longer than `patience` ms to go through. */
export async function sticking(list: readonly Found[], patience: number): Promise<Found[]> {
  const stuck: Found[] = [];
  let left = [...list];
  while (left.length > 0) {
    const at = new SharedArrayBuffer(8);
    const seen = new Int32Array(at);
    Atomics.store(seen, 0, -1);
    const worker = new Worker(THREAD, { eval: true, workerData: { list: left, length: LENGTH, at } });
    const failed = new Promise<never>((_, reject) => { worker.on('error', reject); });
    failed.catch(() => {});
    let [step, since] = [-1, performance.now()];
    for (;;) {
      await Promise.race([failed, new Promise((resolve) => { setTimeout(resolve, 50); })]);
      if (Atomics.load(seen, 0) === -2) { left = []; break; }
      const now = Atomics.load(seen, 1);
      if (now !== step) [step, since] = [now, performance.now()];
      if (performance.now() - since < patience || Atomics.load(seen, 0) < 0) continue;
      const i = Atomics.load(seen, 0);
      stuck.push(left[i] as Found);
      left = left.slice(i + 1);
      break;
    }
    await worker.terminate();
  }
  return stuck;
}
