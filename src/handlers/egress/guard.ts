// What may be called, judged before anything is sent: the URL as it was written, and the headers. Pure functions,
// used when a job is submitted (422) and again at every call. The address of a name is judged when connecting.
import { isIP } from 'node:net';
import { checkAddress, type EgressPolicy, isCidr, type Refusal } from './addresses.ts';

export { checkAddress, type EgressPolicy, type Refusal } from './addresses.ts';

/** Longer URLs are cut or refused by common servers and proxies (8 KiB request lines at most). */
export const URL_LENGTH_MAX = 2_048;

/** Ports below 1024 other than these belong to mail, shells, name service and the like. */
const LOW_PORTS_OPEN = [80, 443];
/**
 * Ports from 1024 that speak to infrastructure rather than to participants: databases, caches, brokers, cluster and
 * container APIs, and the rest of the list that browsers block. Many of them obey whoever can connect.
 */
const CLOSED_PORTS: ReadonlySet<number> = new Set([
  1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2377, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 4369, 5060, 5061,
  5432, 5672, 5900, 5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 8500, 9042, 9092, 9200, 9300,
  10080, 10250, 10255, 11211, 25672, 27017, 27018, 27019, 61616,
]);

export type UrlVerdict = { readonly ok: true; readonly url: URL } | { readonly ok: false; readonly message: string };

/** Judges a URL in the spelling it was given: the parser would silently repair much of what must be refused. */
export function checkUrl(raw: string, policy: EgressPolicy): UrlVerdict {
  if (raw.length > URL_LENGTH_MAX) return no(`The URL is longer than ${URL_LENGTH_MAX} characters.`);
  if (/[\s\p{Cc}\p{Cf}\\]/u.test(raw)) return no('The URL contains a space, a control character or a backslash; percent-encode what belongs to it.');
  const [, authority] = /^https?:\/\/([^/?#]+)/i.exec(raw) ?? [];
  if (authority === undefined) return no('The URL must begin with http:// or https:// and a host.');
  if (authority.includes('@')) return no('The URL holds a user name or password (the part before @); send credentials in "headers".');
  const url = URL.parse(raw);
  if (url === null || url.hostname === '' || url.username !== '' || url.password !== '') return no('This is not a valid URL.');
  return checkPort(url, policy) ?? checkHost(url, policy) ?? { ok: true, url };
}

const no = (message: string): { readonly ok: false; readonly message: string } => ({ ok: false, message });

function checkPort(url: URL, policy: EgressPolicy): UrlVerdict | null {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (policy.allowPorts?.includes(port) === true) return null;
  const open = `If a participant really listens there, start the server with MUSTER_EGRESS_ALLOW=port:${port}.`;
  if ((port < 1_024 && !LOW_PORTS_OPEN.includes(port)) || CLOSED_PORTS.has(port)) {
    return no(`Port ${port} is used by infrastructure, so jobs may not call it. ${open}`);
  }
  // 80 and 443 are everybody's: closing them because we listen there ourselves would close the web.
  if (port === policy.ownPort && !policy.allowLoopback && !LOW_PORTS_OPEN.includes(port)) {
    return no(`Port ${port} is the one this server listens on, so jobs may not call it. ${open}`);
  }
  return null;
}

function checkHost(url: URL, policy: EgressPolicy): UrlVerdict | null {
  const host = hostOf(url.hostname);
  if (isIP(host) !== 0) {
    const refusal = checkAddress(host, policy);
    return refusal === null ? null : no(refusal.message);
  }
  let end = host.length; // not /\.+$/: squared in the dots of a name, half a minute for a bulk of names made of them
  while (host[end - 1] === '.') end--;
  const name = host.slice(0, end);
  if (name !== 'localhost' && !name.endsWith('.localhost')) return null; // judged by its addresses, when connecting
  const refusal = checkAddress('127.0.0.1', policy);
  return refusal === null ? null : no(`${url.hostname} is refused: ${refusal.message}`);
}

/** The host without the brackets of an IPv6 literal. */
export const hostOf = (hostname: string): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname);

/** These frame the message or route it; whoever sets them decides what the other side takes for the next request. */
const CLOSED_HEADERS: ReadonlySet<string> = new Set([
  'host', 'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'proxy-authorization',
  'upgrade', 'te', 'trailer', 'expect', 'http2-settings', 'accept-encoding',
]);
/** Far above real use; together with names and the URL they stay within what servers accept (16 KiB by default). */
export const HEADERS_MAX = 64;
const HEADER_BYTES_MAX = 8_192;

/** Refuses headers that a job must not set, or that cannot be sent as they are. */
export function checkHeaders(headers: Readonly<Record<string, string>>): Refusal | null {
  const entries = Object.entries(headers);
  if (entries.length > HEADERS_MAX) return { message: `There are ${entries.length} headers; at most ${HEADERS_MAX} are sent.` };
  let bytes = 0;
  for (const [name, value] of entries) {
    bytes += name.length + value.length + 4;
    const shown = JSON.stringify(name.slice(0, 60));
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) return { message: `${shown} is not a header name.` };
    const lower = name.toLowerCase();
    if (CLOSED_HEADERS.has(lower)) return { message: `The header ${shown} is set by the server itself; leave it out.` };
    if (lower.startsWith('muster-')) return { message: `The header ${shown} is refused: muster-* headers are the server's own.` };
    // Not U+0080 to U+009F either: Python's header parsers have taken U+0085 for the end of a line.
    if (!/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return { message: `The value of header ${shown} holds a line break, a control character or one outside Latin-1.` };
  }
  return bytes > HEADER_BYTES_MAX ? { message: `The headers have ${bytes} bytes; at most ${HEADER_BYTES_MAX} are sent.` } : null;
}

export type EgressAllow = { readonly ok: true; readonly cidrs: readonly string[]; readonly ports: readonly number[] } | { readonly ok: false; readonly message: string };

/** Reads MUSTER_EGRESS_ALLOW: addresses, ranges and ports, e.g. `10.0.0.0/8, 192.168.1.7, port:9200`. */
export function parseEgressAllow(text: string): EgressAllow {
  const cidrs: string[] = [];
  const ports: number[] = [];
  for (const entry of text.split(',').map((part) => part.trim()).filter((part) => part !== '')) {
    const [, port] = /^port:(\d{1,5})$/.exec(entry) ?? [];
    const cidr = isIP(entry) === 4 ? `${entry}/32` : isIP(entry) === 6 ? `${entry}/128` : entry;
    if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) ports.push(Number(port));
    else if (isCidr(cidr)) cidrs.push(cidr);
    else return no(`MUSTER_EGRESS_ALLOW: "${entry}" is neither an address, a range like 10.0.0.0/8, nor a port like port:9200.`);
  }
  return { ok: true, cidrs, ports };
}
