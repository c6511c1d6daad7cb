// Goal 9: bench/sse.ts, in a process of its own, round by round.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { owned } from '../lib/servers.ts';
import type { Context } from './context.ts';

const READERS = 1_000;
const RATE = 100;

function figure(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`bench/sse.ts said nothing of use: ${text}`);
  return Number(found);
}

export async function goal9({ report, rounds, quick, round: begin }: Context): Promise<void> {
  const [delivered, memory, peak, cores]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    const disk = await begin();
    const script = fileURLToPath(new URL('../sse.ts', import.meta.url));
    const child = owned(spawn(process.execPath, [script, '--readers', String(READERS), '--rate', String(RATE), '--seconds', quick ? '4' : '10'], { stdio: ['ignore', 'pipe', 'inherit'] }));
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => { text += part; });
    await once(child, 'close');
    report.line(`${text.trim().replaceAll(/^/gm, '  ')}; ${disk}`);
    delivered.push(figure(text, /delivered ratio ([\d.]+)/));
    memory.push(figure(text, /KiB a client ([-\d.]+) open/));
    peak.push(figure(text, /open, ([-\d.]+) at the peak/));
    cores.push(figure(text, /cores ([\d.]+)/));
  }
  const shape = `${READERS.toLocaleString('en')} readers of ${RATE} events/s`;
  report.gate({ goal: '9', what: `share delivered, ${shape}`, rounds: delivered, gate: 0.99, better: 'more' });
  report.gate({ goal: '9', what: `KiB of memory an open reader, ${shape}`, rounds: memory, gate: 80, stretch: 40, better: 'less' });
  report.gate({ goal: '9', what: `KiB of memory a reader at the peak of the load, garbage included, ${shape}`, rounds: peak, gate: 80, stretch: 40, better: 'less' });
  report.gate({ goal: '9', what: `cores used, ${shape} (a stretch only)`, rounds: cores, gate: Infinity, stretch: 0.5, better: 'less' });
}
