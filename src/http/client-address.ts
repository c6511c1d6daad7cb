// Whom a connection counts for, where clients have bounds of their own. The socket's own word: a header such as
// X-Forwarded-For is written by whoever sends the request.
import { isIPv6 } from 'node:net';

/** Groups of an IPv6 address that name a network: whoever has one address has all 2^64 of its /64. */
const NETWORK_GROUPS = 4;

/** An IPv4 address, or the /64 of an IPv6 one; an IPv4 address that comes as IPv6 is itself. */
export function clientOf(remoteAddress: string | undefined): string {
  const address = (remoteAddress ?? '').replace(/%.*$/, '').replace(/^::ffff:(?=[\d.]+$)/i, '');
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  const all = [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail ?? '').split(':')];
  return `${all.slice(0, NETWORK_GROUPS).map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
