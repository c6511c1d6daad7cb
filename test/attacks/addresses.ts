// Generated spellings of addresses against a guard, judged by the second opinion. As a command, for many:
//   node test/attacks/addresses.ts --count 1000000 --seed 7
import { parseArgs } from 'node:util';
import { checkAddress, checkUrl, type EgressPolicy } from '../../src/handlers/egress/guard.ts';
import { judge, OPEN_RANGES, type Opening, readHost, show } from './oracle.ts';
import { dice, type Spelling, spelling } from './spellings.ts';

/** The host that would be connected to; null if it is refused. */
export type UrlGuard = (url: string, opening: Opening) => string | null;
/** Whether an address may be connected to. */
export type AddressGuard = (ip: string, opening: Opening) => boolean;
export interface Guard {
  readonly url: UrlGuard;
  readonly address: AddressGuard;
}

const POLICY: Readonly<Record<Opening, EgressPolicy>> = {
  nothing: { allowLoopback: false, allowCidrs: [] }, loopback: { allowLoopback: true, allowCidrs: [] }, ranges: { allowLoopback: false, allowCidrs: OPEN_RANGES },
};
export const OURS: Guard = {
  url: (url, opening) => { const verdict = checkUrl(url, POLICY[opening]); return verdict.ok ? verdict.url.hostname : null; },
  address: (ip, opening) => checkAddress(ip, POLICY[opening]) === null,
};

export interface Figures {
  count: number;
  allowed: number;
  /** Let through though it must not be: the defect this looks for. */
  readonly leaks: string[];
  /** Refused though any parser reads it and it is public. */
  readonly wronged: string[];
  /** By form of spelling: [let through, refused]. */
  readonly forms: Record<string, [number, number]>;
}
const KEPT = 50;

function leakOf({ kind, address, url }: Spelling, host: string, opening: Opening): string | null {
  const say = (why: string): string => `${JSON.stringify(url)} means ${show(address)} (${opening} open): ${why}`;
  if (kind === 'never') return say('this spelling is refused whatever it means');
  if (judge(address, opening) === 'closed') return say(`is closed, and ${host} would be connected to`);
  const reached = readHost(host);
  if (reached === null) return kind === 'plain' ? say(`became the name ${host}`) : null; // judged by its addresses when connecting
  if (judge(reached, opening) === 'closed') return say(`leads to ${host}, which is closed`);
  return reached.value === address.value ? null : say(`became ${host}`);
}

export function run(count: number, seed: number, guard: Guard): Figures {
  const d = dice(seed);
  const figures: Figures = { count, allowed: 0, leaks: [], wronged: [], forms: {} };
  const keep = (list: string[], text: string): void => { if (list.length < KEPT) list.push(text); else list[KEPT] = '…'; };
  for (let i = 0; i < count; i++) {
    const opening: Opening = (['nothing', 'nothing', 'loopback', 'ranges'] as const)[d.below(4)] ?? 'nothing';
    const one = spelling(d);
    const host = guard.url(one.url, opening);
    const form = (figures.forms[one.form] ??= [0, 0]);
    form[host === null ? 1 : 0] += 1;
    const should = judge(one.address, opening);
    if (host === null) {
      if (one.kind === 'plain' && should === 'open') keep(figures.wronged, `${JSON.stringify(one.url)} means ${show(one.address)} (${opening} open)`);
    } else {
      figures.allowed++;
      const leak = leakOf(one, host, opening);
      if (leak !== null) keep(figures.leaks, leak);
    }
    const may = guard.address(show(one.address), opening);
    if (may && should === 'closed') keep(figures.leaks, `connecting to ${show(one.address)} (${opening} open)`);
    if (!may && should === 'open') keep(figures.wronged, `connecting to ${show(one.address)} (${opening} open)`);
  }
  return figures;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { count: { type: 'string', default: '1000000' }, seed: { type: 'string', default: String(Date.now() % 4_294_967_296) } } });
  const began = performance.now();
  const { forms, leaks, wronged, ...sums } = run(Number(values.count), Number(values.seed), OURS);
  console.log(`seed ${values.seed}: ${sums.count} spellings, ${sums.allowed} let through, in ${Math.round((performance.now() - began) / 1_000)} s`);
  console.table(Object.fromEntries(Object.entries(forms).sort().map(([form, [through, refused]]) => [form, { through, refused }])));
  console.log(`${leaks.length} let through that must not be, ${wronged.length} refused that must not be`);
  for (const line of [...leaks, ...wronged]) console.log(line);
  process.exitCode = leaks.length + wronged.length > 0 ? 1 : 0;
}
