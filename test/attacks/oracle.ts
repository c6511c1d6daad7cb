// A second opinion on addresses, from the registries and in big integers: IANA's special-purpose registries for IPv4 and
// IPv6 (RFC 6890 and its updates) and the RFCs that hide an IPv4 address in an IPv6 one. Shares nothing with the guard.

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}
/** What a server opens besides the public addresses. */
export type Opening = 'nothing' | 'loopback' | 'ranges';
/** For Opening 'ranges'. */
export const OPEN_RANGES = ['10.1.0.0/16', 'fd12::/16'] as const;

/** closed: no call may go there. open: it must be possible to. either: the registry calls it reachable and nobody serves there. */
export type Judgement = 'closed' | 'open' | 'either';

export interface Block {
  readonly first: bigint;
  readonly last: bigint;
  readonly name: string;
}

function v4(text: string): bigint {
  return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

/** Groups in hexadecimal with at most one `::`. */
function v6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function block(cidr: string, bits: 32n | 128n): Block {
  const [ip = '', length = ''] = cidr.split('/');
  const first = bits === 32n ? v4(ip) : v6(ip);
  return { first, last: first + (1n << (bits - BigInt(length))) - 1n, name: cidr };
}

export const CLOSED_4 = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24',
  '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32'].map((cidr) => block(cidr, 32n));
const EITHER_4 = ['192.0.0.9/32', '192.0.0.10/32'].map((cidr) => block(cidr, 32n));
export const CLOSED_6 = ['::/128', '::1/128', '64:ff9b:1::/48', '100::/64', '100:0:0:1::/64', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10',
  'ff00::/8'].map((cidr) => block(cidr, 128n));
const EITHER_6 = ['2001:1::1/128', '2001:1::2/128', '2001:1::3/128', '2001:3::/32', '2001:4:112::/48', '2001:20::/28', '2001:30::/28'].map((cidr) => block(cidr, 128n));
const GLOBAL_6 = block('2000::/3', 128n);
export const MAPPED = block('::ffff:0:0/96', 128n);
export const NAT64 = block('64:ff9b::/96', 128n);
const METADATA_4 = ['169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192', '168.63.129.16'].map(v4);
const LOOPBACK_4 = block('127.0.0.0/8', 32n);
const RANGE_4 = block(OPEN_RANGES[0], 32n);
const RANGE_6 = block(OPEN_RANGES[1], 128n);

const isIn = (value: bigint, { first, last }: Block): boolean => value >= first && value <= last;
const isInAny = (value: bigint, blocks: readonly Block[]): boolean => blocks.some((one) => isIn(value, one));
/** RFC 5214: an interface identifier 0000:5efe or 0200:5efe says that the last 32 bits are an IPv4 address to tunnel to. */
const isIsatap = (value: bigint): boolean => [0x5efen, 0x0200_5efen].includes((value >> 32n) & 0xffff_ffffn);

function judge4(value: bigint, opening: Opening): Judgement {
  if (opening === 'loopback' && isIn(value, LOOPBACK_4)) return 'open';
  if (METADATA_4.includes(value)) return 'closed';
  if (opening === 'ranges' && isIn(value, RANGE_4)) return 'open';
  if (isInAny(value, EITHER_4)) return 'either';
  return isInAny(value, CLOSED_4) ? 'closed' : 'open';
}

export function judge({ family, value }: Address, opening: Opening): Judgement {
  if (family === 4) return judge4(value, opening);
  if (isIn(value, MAPPED)) return judge4(value & 0xffff_ffffn, opening);
  // A translator elsewhere: its loopback is not ours to open.
  if (isIn(value, NAT64)) return judge4(value & 0xffff_ffffn, opening === 'loopback' ? 'nothing' : opening);
  if (value === 1n && opening === 'loopback') return 'open';
  if (opening === 'ranges' && isIn(value, RANGE_6)) return 'open';
  if (isInAny(value, EITHER_6)) return 'either';
  if (isInAny(value, CLOSED_6) || !isIn(value, GLOBAL_6) || isIsatap(value)) return 'closed';
  return 'open';
}

/** An IP literal as a URL's host has it, in canonical spelling; null if it is a name. */
export function readHost(host: string): Address | null {
  if (host.startsWith('[')) return { family: 6, value: v6(host.slice(1, -1)) };
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) ? { family: 4, value: v4(host) } : null;
}

export const showV4 = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
export const showV6 = (value: bigint): string => Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(':');
export const show = ({ family, value }: Address): string => (family === 4 ? showV4(value) : showV6(value));
