// Cases 48 to 63: addresses and headers that no job may use, as they are submitted.
import { type Attack, attacks, post } from './attack.ts';

type Urls = readonly (readonly [number: number, urls: readonly string[]])[];
export const CLOSED_URLS: Urls = [
  [48, ['http://127.0.0.1', 'http://localhost', 'http://localhost.', 'http://LOCALHOST..', 'http://a.localhost', 'http://%6c%6fcalhost', 'http://ｌｏｃａｌｈｏｓｔ/', 'http://[::1]/', 'http://0/', 'http://[::]/', 'http://127.255.255.254/']],
  [49, ['http://2130706433/', 'http://0x7f.1', 'http://0177.0.0.1', 'http://127.1', 'http://①②⑦.⓪.⓪.①', 'http://127。0。0。1', 'http://0x7f000001', 'http://127.0.0.1.', 'http://017700000001', 'http://１２７.0.0.1', 'http://127.0x0.0.01', 'http://%31%32%37.0.0.1', 'http://𝟏𝟐𝟕.𝟎.𝟎.𝟏']],
  [50, ['http://[::ffff:127.0.0.1]', 'http://[::ffff:a9fe:a9fe]', 'http://[64:ff9b::7f00:1]', 'http://[64:ff9b::169.254.169.254]', 'http://[2002:7f00:1::]', 'http://[::127.0.0.1]', 'http://[::7f00:1]', 'http://[0:0:0:0:0:FFFF:10.0.0.1]', 'http://[64:ff9b:1::1]', 'http://[2001:0:7f00:1::]', 'http://[::ffff:0:127.0.0.1]', 'http://[2a00::5efe:10.0.0.1]', 'http://[2a00::200:5efe:7f00:1]', 'http://[fe80::5efe:127.0.0.1]']],
  [51, ['http://169.254.169.254/latest/meta-data/', 'http://[fd00:ec2::254]', 'http://100.100.100.200', 'http://192.0.0.192', 'http://168.63.129.16', 'http://2852039166/']],
  [52, ['http://10.0.0.1', 'http://172.16.0.1', 'http://172.31.255.255', 'http://192.168.1.1', 'http://100.64.0.1', 'http://198.18.0.1', 'http://224.0.0.1', 'http://240.0.0.1', 'http://255.255.255.255', 'http://172.17.0.1', 'http://0.1.2.3', 'http://192.0.2.1', 'http://203.0.113.5', 'http://[fe80::1]', 'http://[fc00::1]', 'http://[ff02::1]', 'http://[2001:db8::1]', 'http://[3fff::1]', 'http://[100::1]', 'http://[4000::1]', 'http://[5f00::1]', 'http://[fec0::1]']],
  [53, ['http://good.com@127.0.0.1/', 'http://127.0.0.1#@good.com', 'http://127.0.0.1\\@good.com', 'http://a:b@good.com', 'http://@good.com', 'http://:@good.com/', 'http://good.com\\@evil.com/', 'http://good.com%40127.0.0.1@evil.com/']],
  [57, ['file:///etc/passwd', 'gopher://good.com/', 'ftp://good.com/', 'data:text/plain,x', 'unix:/run/docker.sock', 'http+unix://x/y', 'javascript:alert(1)', 'ws://good.com', '//good.com', '/relative', 'http:good.com', 'http:/good.com', 'https:///good.com', 'http:///a@good.com', 'blob:http://good.com/x', 'jar:http://good.com!/', 'about:blank']],
  [58, ['http://good.com:22', 'http://good.com:25', 'http://good.com:2375', 'http://good.com:6379', 'http://good.com:5432/', 'http://good.com:0/', 'https://good.com:10250', 'http://good.com:65536', 'http://good.com:０２２/', 'http://good.com:00022/', 'http://good.com:+22/', 'http://good.com:-1/']],
  [59, ['http://ex\tample.com', 'http://example.com\n', ' http://example.com', 'http://example.com/\r\nx: y', 'http://example.com/a b', 'http://exam\u200bple.com', 'http://exam\u00adple.com', 'http://example.com\\x', 'ht\ntp://example.com', '\u00a0http://example.com', 'http://example.com/\u2028', '\x01http://example.com', 'http://', 'http://[::1', 'http://a b', 'http://[fe80::1%25eth0]/', 'http://[fe80::1%eth0]/']],
];

/** What must be let through, so that no guard passes by refusing all. */
export const OPEN_URLS = [
  'http://example.com', 'https://example.com:443/', 'http://example.com:8080/a?b=c#d', 'https://93.184.215.14/', 'http://[2606:2800:21f:cb07::1]/',
  'HTTPS://Example.COM/%20', 'https://bücher.example/ü?q=ü', 'http://participant:3000/answer', 'http://[64:ff9b::5db8:d70e]/', 'http://[::ffff:93.184.215.14]', 'http://172.32.0.1/', 'http://example.com/?u=a@b.c', 'http://notlocalhost/',
] as const;

const shown = (url: string): string => JSON.stringify(url);
/** Each place of a submission that names an address. */
const PLACES: readonly (readonly [name: string, body: (url: string) => unknown, pointer: RegExp])[] = [
  ['a request', (url) => ({ type: 'request', input: { url } }), /#\/input\/url/],
  ['a callback', (url) => ({ type: 'noop', callback: url }), /#\/callback/],
  ['a participant', (url) => ({ type: 'verify', input: { participants: [{ id: 'a', url: 'http://example.com/' }, { id: 'b', url }] } }), /#\/input\/participants\/1\/url/],
  ['the call of a batch', (url) => ({ type: 'batch', input: { url } }), /#\/input\/url/],
  ['a grandchild', (url) => ({ type: 'batch', children: [{ type: 'batch', children: [{ type: 'noop' }, { type: 'request', input: { url } }] }] }), /#\/children\/0\/children\/1\/input\/url/],
];
const headers = (list: object) => post({ type: 'request', input: { url: 'http://example.com/', headers: list } });

export const EGRESS: readonly Attack[] = [
  ...CLOSED_URLS.flatMap(([number, urls]) => attacks(number, urls.map((url) => [`${shown(url)} in a request`, post({ type: 'request', input: { url } }), 422, /#\/input\/url/] as const))),
  ...PLACES.flatMap(([name, body, pointer]) => [
    ...attacks(48, [[`this machine in ${name}`, post(body('http://127.0.0.1/')), 422, pointer]]),
    ...attacks(51, [[`metadata in ${name}`, post(body('http://169.254.169.254/latest')), 422, pointer]]),
    ...attacks(57, [[`a file in ${name}`, post(body('file:///etc/passwd')), 422, pointer]]),
  ]),
  ...attacks(53, [
    ['this server by its own name after a user', post({ type: 'request', input: { url: '$ARENA$@good.com/' } }), 422, /#\/input\/url/],
    ['$ARENA$ in the middle of an address', post({ type: 'request', input: { url: 'http://example.com/?to=$ARENA$' } }), 422, /only at the start/],
    ['$ARENA$ twice', post({ type: 'noop', callback: '$ARENA$/$ARENA$' }), 422, /#\/callback/],
    ['an address that the job\'s id would complete', post({ type: 'request', input: { url: 'http://$JOB$@127.0.0.1/' } }), 422, /#\/input\/url/],
  ]),
  ...attacks(60, [
    ...[{ x: 'a\r\nb: c' }, { x: 'a\nb' }, { x: '✓' }, { x: 'a\u0085' }, { x: 'a\u007f' }, { 'x\r\ny': 'a' }, { 'x y': 'a' }, { '': 'a' }, { 'x:': 'a' }, { Host: 'evil' }, { HOST: 'evil' }, { 'Content-Length': '0' }, { 'transfer-encoding': 'chunked' },
      { Connection: 'close' }, { 'keep-alive': '1' }, { 'proxy-connection': 'x' }, { upgrade: 'h2c' }, { 'http2-settings': 'x' }, { TE: 'trailers' }, { Trailer: 'x' }, { Expect: '100-continue' }, { 'Muster-Job-Id': 'job_x' }, { 'proxy-authorization': 'x' }, { 'accept-encoding': 'br' },
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x${i}`, ''])), { x: 'a'.repeat(9_000) }].map((list) =>
      [`the header ${shown(JSON.stringify(list).slice(0, 60))}`, headers(list), 422, /#\/input\/headers/] as const),
    ['NUL in a header', headers({ x: 'a\0' }), 400, /NUL/, { why: 'NUL is refused in every string of a body' }],
    ['a method with a line break', post({ type: 'request', input: { url: 'http://example.com/', method: 'GET / HTTP/1.1\r\nx: y' } }), 422, /#\/input\/method/],
    ['CONNECT as a method', post({ type: 'request', input: { url: 'http://example.com/', method: 'CONNECT' } }), 422, /#\/input\/method/],
  ]),
];
