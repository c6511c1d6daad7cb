// Spellings of addresses, drawn from a seed: what a URL can hold that somebody, somewhere, reads as an address.
import { type Address, CLOSED_4, CLOSED_6, MAPPED, NAT64, showV4 } from './oracle.ts';

/** Uniform whole numbers from a 32-bit seed. */
export interface Dice {
  /** 0 to n - 1. */
  below(n: number): number;
  bits(n: number): bigint;
}
export function dice(seed: number): Dice {
  let state = seed >>> 0;
  const next = (): number => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    below: (n) => Math.floor((next() / 4_294_967_296) * n),
    bits(n) {
      let value = 0n;
      for (let left = n; left > 0; left -= 32) value = (value << 32n) | BigInt(next());
      return value & ((1n << BigInt(n)) - 1n);
    },
  };
}

export interface Spelling {
  readonly url: string;
  readonly form: string;
  /** What it means to a reader of URLs. */
  readonly address: Address;
  /** never: refused whatever the address. plain: any parser reads it, so a public one must get through. */
  readonly kind: 'never' | 'plain' | 'odd';
}

const pick = <T>(d: Dice, list: readonly T[]): T => list[d.below(list.length)] as T;

/** Half at random, half inside of a special block or one beside its edges. */
function value(d: Dice, blocks: typeof CLOSED_4, bits: 32 | 128): bigint {
  if (d.below(2) === 0) return bits === 32 ? d.bits(32) : (1n << 125n) | (d.bits(125) >> BigInt(d.below(90))); // 2000::/3, some sparse
  const { first, last } = pick(d, blocks);
  const max = (1n << BigInt(bits)) - 1n;
  const at = pick(d, [first, last, first - 1n, last + 1n, first + (d.bits(bits) % (last - first + 1n)), first + (d.bits(bits) % (last - first + 1n))]);
  return at < 0n || at > max ? first : at;
}

const number = (d: Dice, n: bigint, plain: boolean): string => {
  if (plain) return String(n);
  switch (d.below(6)) {
    case 0: return `0x${n.toString(16)}`;
    case 1: return `0X${'0'.repeat(d.below(9))}${n.toString(16).toUpperCase()}`;
    case 2: return `0${n.toString(8)}`;
    case 3: return `${'0'.repeat(1 + d.below(9))}${n.toString(8)}`;
    case 4: return n === 0n ? '0x' : String(n);
    default: return String(n);
  }
};
function numeric(d: Dice, address: bigint, plain = false, dot = '.'): string {
  const parts = plain ? 4 : 1 + d.below(4);
  const texts: string[] = [];
  for (let i = 0; i < parts - 1; i++) texts.push(number(d, (address >> BigInt(24 - 8 * i)) & 255n, plain));
  texts.push(number(d, address & ((1n << BigInt(32 - 8 * (parts - 1))) - 1n), plain));
  return texts.join(dot);
}

/** First digit of an alphabet whose ten digits stand in a row. */
const ALPHABETS: Readonly<Record<string, number>> = { 'full-width': 0xff10, subscript: 0x2080, 'bold digits': 0x1d7ce, 'double-struck': 0x1d7d8, monospace: 0x1d7f6, segmented: 0x1fbf0 };
const circled = (digit: number): string => String.fromCodePoint(digit === 0 ? 0x24ea : 0x245f + digit);
const raised = (digit: number): string => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit] as string;
const inAlphabet = (text: string, name: string): string => text
  .replace(/\d/g, (digit) => (name === 'circled' ? circled(Number(digit)) : name === 'superscript' ? raised(Number(digit)) : String.fromCodePoint((ALPHABETS[name] as number) + Number(digit))))
  .replace(/[a-zA-Z]/g, (letter) => (name === 'full-width' ? String.fromCodePoint(letter.charCodeAt(0) + 0xfee0) : letter));
const ALPHABET_NAMES = [...Object.keys(ALPHABETS), 'circled', 'superscript'];
const DOTS = ['。', '．', '｡', '.'];
const percent = (d: Dice, text: string): string => [...text].map((c) => (d.below(2) === 0 ? c : [...Buffer.from(c)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''))).map((c) => (d.below(2) === 0 ? c.toUpperCase() : c)).join('');

/** Groups with a run of zeros left out, capitals, padding, and the last 32 bits dotted. */
function groups(d: Dice, address: bigint, dotted: boolean): string {
  const list = Array.from({ length: dotted ? 6 : 8 }, (_, i) => ((address >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  const texts = list.map((text) => (d.below(3) === 0 ? text.padStart(4, '0') : text)).map((text) => (d.below(3) === 0 ? text.toUpperCase() : text));
  if (dotted) texts.push(showV4(address & 0xffff_ffffn));
  const start = d.below(list.length);
  let end = start;
  while (end < list.length && list[end] === '0') end++;
  if (end === start || d.below(4) === 0) return texts.join(':');
  return `${texts.slice(0, start).join(':')}::${texts.slice(end).join(':')}`;
}

const HIDDEN: Readonly<Record<string, (v4: bigint, d: Dice) => bigint>> = {
  mapped: (ip) => MAPPED.first | ip,
  compatible: (ip) => ip,
  translated: (ip) => (0xffffn << 48n) | ip,
  '6to4': (ip, d) => (0x2002n << 112n) | (ip << 80n) | (d.below(2) === 0 ? 0n : d.bits(80)),
  teredo: (ip, d) => (0x2001n << 112n) | (d.bits(32) << 64n) | (d.bits(32) << 32n) | (ip ^ 0xffff_ffffn),
  'teredo server': (ip, d) => (0x2001n << 112n) | (ip << 64n) | d.bits(64),
  nat64: (ip) => NAT64.first | ip,
  'local nat64': (ip) => (0x64_ff9b_0001n << 80n) | ip,
  isatap: (ip, d) => (((1n << 61n) | d.bits(61)) << 64n) | ((d.below(2) === 0 ? 0x5efen : 0x0200_5efen) << 32n) | ip,
  'link-local isatap': (ip) => (0xfe80n << 112n) | (0x5efen << 32n) | ip,
};
const SPOILS: Readonly<Record<string, (host: string, d: Dice) => string>> = {
  'user info': (host, d) => `${pick(d, ['good.example', 'a:b', '', ':', '93.184.215.14:80', '%40'])}@${host}`,
  'user info after': (host) => `${host}@good.example`,
  backslash: (host, d) => pick(d, [`${host}\\`, `\\${host}`, `${host}\\@good.example`]),
  blank: (host, d) => { const at = d.below(host.length + 1); return host.slice(0, at) + pick(d, ['\t', '\n', '\r', ' ', '\u00a0', '\u0085', '\u2028', '\u3000']) + host.slice(at); },
  invisible: (host, d) => { const at = d.below(host.length + 1); return host.slice(0, at) + pick(d, ['\u00ad', '\u200b', '\u200d', '\u2060', '\ufeff', '\u202e', '\0', '\x7f']) + host.slice(at); },
};
const V4_FORMS = ['quad', 'numbers', 'trailing dot', 'dots', 'alphabet', 'mixed alphabets', 'percent'] as const;

export function spelling(d: Dice): Spelling {
  const scheme = pick(d, ['http', 'https', 'HTTP', 'hTTps']);
  const rest = pick(d, ['', '/', ':80/', ':443', ':8080/a?b=c#d', ':3000/@x', '/?u=a@b', '#@good.example']);
  const made = hostOf(d);
  if (d.below(10) === 0) {
    const [name, spoil] = pick(d, Object.entries(SPOILS));
    return { ...made, form: name, kind: 'never', url: `${scheme}://${spoil(made.host, d)}${rest}` };
  }
  return { ...made, url: `${scheme}://${made.host}${rest}` };
}

function hostOf(d: Dice): Omit<Spelling, 'url'> & { host: string } {
  if (d.below(3) > 0) {
    const ip = value(d, CLOSED_4, 32);
    const address: Address = { family: 4, value: ip };
    const form = pick(d, V4_FORMS);
    switch (form) {
      case 'quad': return { host: numeric(d, ip, true), form, address, kind: 'plain' };
      case 'numbers': return { host: numeric(d, ip), form, address, kind: 'plain' };
      case 'trailing dot': return { host: `${numeric(d, ip)}.`, form, address, kind: 'plain' };
      case 'dots': return { host: numeric(d, ip, d.below(2) === 0, pick(d, DOTS)), form, address, kind: 'plain' };
      case 'alphabet': { const name = pick(d, ALPHABET_NAMES); return { host: inAlphabet(numeric(d, ip, d.below(2) === 0, pick(d, DOTS)), name), form: name, address, kind: 'odd' }; }
      case 'mixed alphabets': return { host: [...numeric(d, ip)].map((c) => (d.below(2) === 0 ? c : inAlphabet(c, pick(d, ALPHABET_NAMES)))).join(''), form, address, kind: 'odd' };
      case 'percent': return { host: percent(d, d.below(2) === 0 ? numeric(d, ip) : inAlphabet(numeric(d, ip), 'full-width')), form, address, kind: 'odd' };
    }
  }
  if (d.below(2) === 0) {
    const [form, hide] = pick(d, Object.entries(HIDDEN));
    const ip = hide(value(d, CLOSED_4, 32), d);
    return { host: `[${groups(d, ip, d.below(2) === 0)}]`, form, address: { family: 6, value: ip }, kind: 'plain' };
  }
  const ip = value(d, CLOSED_6, 128);
  const text = groups(d, ip, d.below(4) === 0);
  const address: Address = { family: 6, value: ip };
  switch (d.below(8)) {
    case 0: return { host: `[${text}${pick(d, ['%25eth0', '%eth0', '%251', '%25', '%lo'])}]`, form: 'zone', address, kind: 'never' };
    case 1: return { host: pick(d, [`%5b${text}%5d`, `[${text}`, text, `[[${text}]]`, `[${text}].`, `[${inAlphabet(text, 'full-width')}]`]), form: 'bad brackets', address, kind: 'never' };
    default: return { host: `[${text}]`, form: 'groups', address, kind: 'plain' };
  }
}
