// Which IP addresses jobs may call. Pure: an address and a policy in, a refusal or null out.
// IPv6 is an allow-list: what is not known to be public is refused, because parsers disagree on the odd corners
// (::127.0.0.1 is "unicast" to one library and IPv4 to another) and new special ranges keep being assigned.
import { isIP } from 'node:net';

/** What this server may call. Built once from the configuration and shared by submission (422) and connection. */
export interface EgressPolicy {
  /** 127.0.0.0/8 and ::1 may be called. Only sensible while the server itself listens on loopback. */
  readonly allowLoopback: boolean;
  /** Ranges opened on purpose, e.g. 10.0.0.0/8; everything else special stays closed. */
  readonly allowCidrs: readonly string[];
  /** Ports opened on purpose, over the closed list of guard.ts. */
  readonly allowPorts?: readonly number[];
  /** The port this server listens on: closed unless loopback is open, so that jobs cannot drive the API from inside. */
  readonly ownPort?: number;
  /** Addresses of this machine: a public one of them is reachable from here past any firewall in front. */
  readonly ownAddresses?: readonly string[];
}

export interface Refusal {
  /** What was refused, why, and which setting opens it. */
  readonly message: string;
}

/** 4 or 16 numbers. */
type Bytes = readonly number[];
interface Range {
  readonly text: string;
  readonly bytes: Bytes;
  readonly prefix: number;
  readonly why: string;
}

/** The bytes of an address in its usual spelling; null if it is none (zones are none: they only name local links). */
export function addressBytes(ip: string): Bytes | null {
  const family = isIP(ip);
  if (family === 4) return ip.split('.').map(Number);
  if (family !== 6 || ip.includes('%')) return null;
  // The URL parser turns every spelling, dotted tails included, into the one canonical form.
  const [head = '', tail] = new URL(`http://[${ip}]/`).hostname.slice(1, -1).split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((part) => Number.parseInt(part, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return all.flatMap((group) => [group >> 8, group & 0xff]);
}

/** A CIDR as a range, or null if it is not one. */
function parseRange(text: string, why: string): Range | null {
  const [ip = '', length, more] = text.split('/');
  const bytes = addressBytes(ip);
  if (bytes === null || more !== undefined || length === undefined || !/^\d{1,3}$/.test(length)) return null;
  const prefix = Number(length);
  return prefix > bytes.length * 8 ? null : { text, bytes, prefix, why };
}

export const isCidr = (text: string): boolean => parseRange(text, '') !== null;

function within(bytes: Bytes, range: Range): boolean {
  if (bytes.length !== range.bytes.length) return false;
  for (let i = 0, bits = range.prefix; bits > 0; i++, bits -= 8) {
    const mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
    if (((bytes[i] ?? 0) & mask) !== ((range.bytes[i] ?? 0) & mask)) return false;
  }
  return true;
}

const table = (rows: readonly (readonly [string, string])[]): readonly Range[] =>
  rows.flatMap(([text, why]) => parseRange(text, why) ?? []);

const LOOPBACK = table([['127.0.0.0/8', ''], ['::1/128', '']]);

/** Credentials of the machine are handed out here: a wide range never opens these, only the very address does. */
const METADATA = table([
  ['169.254.169.254/32', 'AWS, Azure, GCP and others'], ['169.254.170.2/32', 'AWS containers'], ['169.254.170.23/32', 'AWS containers'],
  ['100.100.100.200/32', 'Alibaba'], ['192.0.0.192/32', 'Oracle'], ['168.63.129.16/32', 'Azure'], ['fd00:ec2::254/128', 'AWS'],
  ['fd00:ec2::23/128', 'AWS containers'], ['fd20:ce::254/128', 'GCP'],
]);

/** IANA's special-purpose registry, without what is reachable from everywhere anyway. */
const CLOSED_V4 = table([
  ['0.0.0.0/8', 'means this machine'], ['10.0.0.0/8', 'private'], ['100.64.0.0/10', 'shared with the provider (CGNAT)'],
  ['169.254.0.0/16', 'link-local'], ['172.16.0.0/12', 'private'], ['192.0.0.0/24', 'reserved for protocols'],
  ['192.0.2.0/24', 'for documentation'], ['192.88.99.0/24', 'a retired relay'], ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'for benchmarks'], ['198.51.100.0/24', 'for documentation'], ['203.0.113.0/24', 'for documentation'],
  ['224.0.0.0/4', 'multicast'], ['240.0.0.0/4', 'reserved or broadcast'],
]);

const PUBLIC_V6 = table([['2000::/3', 'public']]);
const CLOSED_V6 = table([
  ['2001::/23', 'reserved for protocols, Teredo among them'], ['2001:db8::/32', 'for documentation'],
  ['2002::/16', '6to4, which hides an IPv4 address'], ['3fff::/20', 'for documentation'],
]);
const MAPPED = table([['::ffff:0:0/96', '']]);
const NAT64 = table([['64:ff9b::/96', '']]);

/** RFC 5214: an interface identifier 0000:5efe or 0200:5efe, in any network, says that an IPv4 address to tunnel to follows. */
const isIsatap = (bytes: Bytes): boolean => bytes.length === 16 && ((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;

const find = (ranges: readonly Range[], bytes: Bytes): Range | undefined => ranges.find((range) => within(bytes, range));

/** Refuses an address that jobs must not call; null means it may be connected to. */
export function checkAddress(ip: string, policy: EgressPolicy): Refusal | null {
  const bytes = addressBytes(ip);
  if (bytes === null) return { message: `"${ip.slice(0, 100)}" is not an IP address that can be called.` };
  return judge(bytes, ip, policy);
}

function judge(bytes: Bytes, ip: string, policy: EgressPolicy): Refusal | null {
  // These are IPv4 addresses in other clothes, and it is the IPv4 address that is reached.
  if (find(MAPPED, bytes) !== undefined) return judge(bytes.slice(12), ip, policy);
  if (find(NAT64, bytes) !== undefined) return judge(bytes.slice(12), ip, { ...policy, allowLoopback: false });

  const single = `${bytes.length === 4 ? bytes.join('.') : ip}/${bytes.length * 8}`;
  const listed = policy.allowCidrs.flatMap((text) => parseRange(text, '') ?? []).filter((range) => within(bytes, range));
  const metadata = find(METADATA, bytes);
  if (metadata !== undefined) {
    if (listed.some((range) => range.prefix === bytes.length * 8)) return null;
    return { message: `${ip} serves the credentials of this machine (${metadata.why}), so no job may call it. Only MUSTER_EGRESS_ALLOW=${single}, the address itself, opens it; a wider range does not.` };
  }
  if (listed.length > 0) return null;
  if (find(LOOPBACK, bytes) !== undefined) {
    if (policy.allowLoopback) return null;
    return { message: `${ip} is this machine itself. Jobs may call it while the server listens on loopback only (HOST=127.0.0.1), or with MUSTER_EGRESS_ALLOW=${single}.` };
  }
  const open = `To let jobs call it, start the server with MUSTER_EGRESS_ALLOW=${single}, or with the range it lies in.`;
  if (policy.ownAddresses?.some((own) => addressBytes(own)?.join() === bytes.join()) === true && !policy.allowLoopback) {
    return { message: `${ip} is an address of this machine itself. ${open}` };
  }
  const closed = find(bytes.length === 4 ? CLOSED_V4 : CLOSED_V6, bytes);
  if (closed !== undefined) return { message: `${ip} is not public: ${closed.text} is ${closed.why}. ${open}` };
  if (bytes.length === 16 && find(PUBLIC_V6, bytes) === undefined) {
    return { message: `${ip} is not a public IPv6 address (2000::/3). ${open}` };
  }
  if (isIsatap(bytes)) return { message: `${ip} is not public: ISATAP (…:5efe:…) hides an IPv4 address. ${open}` };
  return null;
}
