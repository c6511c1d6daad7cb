// Cases 54 to 62 on real sockets of this machine, by the way out itself: whoever connects, and to which address.
import { describe, expect, it } from 'vitest';
import type { CallResult, EgressRequest } from '../../src/handlers/egress/client.ts';
import { EGRESS_REFUSED, guardedConnector, type Resolved } from '../../src/handlers/egress/connect.ts';
import { egressFor, type Listening, never, serve } from '../handlers/support.ts';

const get = (url: string, more: Partial<EgressRequest> = {}): EgressRequest => ({ url, method: 'GET', ...more });
const text = (result: CallResult): string => (result.kind === 'answer' ? result.body.toString() : `${result.kind}: ${result.message}`);

describe('the guard when connecting', () => {
  // 127.0.0.2 plays the public address (it alone is listed), 127.0.0.1 the forbidden one.
  const policy = { allowLoopback: false, allowCidrs: ['127.0.0.2/32'] };
  const v4 = (address: string): Resolved => ({ address, family: 4 });
  const forbidden = (): Promise<Listening> => serve((_, response) => response.end('secret'), '127.0.0.1');
  const allowed = (): Promise<Listening> => serve((_, response) => response.writeHead(200, { connection: 'close' }).end('good'), '127.0.0.2');

  it('case 61: refuses a literal, which no lookup would see', async () => {
    const [good, sentinel] = await Promise.all([allowed(), forbidden()]);
    const egress = egressFor({ policy });
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', 'localhost']) {
      expect(await egress.call(get(`http://${host}:${sentinel.port}/`), {}, never)).toMatchObject({ kind: 'refused', message: expect.stringContaining('MUSTER_EGRESS_ALLOW') });
    }
    expect(sentinel.connections()).toBe(0);
    expect(text(await egress.call(get(good.url), {}, never))).toBe('good');
  });

  it('case 61: judges what is connected to by itself, not only the URL before', async () => {
    const sentinel = await forbidden();
    const connect = guardedConnector({ allowLoopback: false, allowCidrs: ['0.0.0.0/32'] }, 1_000, async () => []);
    const attempt = (hostname: string): Promise<unknown> => new Promise((resolve) => {
      connect({ hostname, protocol: 'http:', port: String(sentinel.port) }, (error, socket) => { socket?.destroy(); resolve(error); });
    });
    for (const literal of ['127.0.0.1', '[::1]', '::ffff:127.0.0.1']) expect(await attempt(literal)).toMatchObject({ code: EGRESS_REFUSED });
    expect(sentinel.connections()).toBe(0);
    // 0.0.0.0 was listed by mistake; the kernel leads it to 127.0.0.1, and what was reached is judged again.
    expect(await attempt('0.0.0.0')).toMatchObject({ code: EGRESS_REFUSED, message: expect.stringContaining('led to 127.0.0.1') });
  });

  it.each([
    ['leads to a forbidden address', ['127.0.0.1']], ['has one forbidden address among good ones', ['127.0.0.2', '127.0.0.1']], ['has it first', ['127.0.0.1', '127.0.0.2']],
    ['has it in IPv6 clothes', ['127.0.0.2', '::ffff:127.0.0.1']], ['leads to metadata', ['169.254.169.254']], ['leads to a zone', ['fe80::1%lo']], ['leads to nonsense', ['x']],
  ])('case 55: refuses a name that %s', async (_, addresses) => {
    const sentinel = await forbidden();
    const egress = egressFor({ policy, resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })) });
    expect(await egress.call(get(`http://name.example:${sentinel.port}/`), {}, never)).toMatchObject({ kind: 'refused', message: expect.stringContaining('name.example leads to') });
    expect(sentinel.connections()).toBe(0);
  });

  it('case 54: never reaches the forbidden address of a name that changes its answer 1,000 times', async () => {
    const [good, sentinel] = await Promise.all([allowed(), forbidden()]);
    let seed = 54;
    let asked = 0;
    let bads = 0;
    const egress = egressFor({ policy, resolve: async () => {
      asked++;
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      const bad = seed >>> 31 === 1;
      if (bad) bads++;
      return [v4(bad ? '127.0.0.1' : '127.0.0.2')];
    } });
    // Half of the names point at the sentinel's port, where only the forbidden address listens.
    const kinds: Record<string, number> = {};
    for (let i = 0; i < 1_000; i++) {
      const port = i % 2 === 0 ? good.port : sentinel.port;
      const { kind } = await egress.call(get(`http://name.example:${port}/`), {}, never);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    expect(sentinel.connections()).toBe(0);
    expect(asked).toBe(1_000);
    expect(kinds.refused).toBe(bads);
    expect(bads).toBeGreaterThan(300);
  });

  it('case 54: connects to the vetted address with the name in the Host header', async () => {
    const server = await serve((request, response) => response.end(request.headers.host), '127.0.0.2');
    const egress = egressFor({ policy, resolve: async () => [v4('127.0.0.2')] });
    expect(text(await egress.call(get(`http://name.example:${server.port}/`), {}, never))).toBe(`name.example:${server.port}`);
  });

  it('case 60: refuses headers that would frame or split the message, before anything is sent', async () => {
    const server = await serve((_, response) => response.end('ok'));
    for (const headers of [{ Host: 'evil' }, { 'content-length': '0' }, { 'Transfer-Encoding': 'chunked' }, { connection: 'close' }, { x: 'a\r\nb: c' }, { 'x\r\nb': 'c' }]) {
      expect(await egressFor().call(get(server.url, { headers: headers as Record<string, string> }), {}, never)).toMatchObject({ kind: 'refused' });
    }
    expect(await egressFor().call({ url: server.url, method: 'GET / HTTP/1.1\r\nx: y\r\n' }, {}, never)).toMatchObject({ kind: 'unsendable' });
    expect(server.connections()).toBe(0);
  });

  it('case 56: the redirect is the answer, and nobody goes there', async () => {
    const target = await serve((_, response) => response.end('secret'));
    const server = await serve((_, response) => response.writeHead(302, { location: target.url }).end());
    expect(await egressFor().call(get(server.url), {}, never)).toMatchObject({ kind: 'answer', status: 302 });
    expect(target.connections()).toBe(0);
  });

  it('case 62: ignores the proxies of the environment', async () => {
    const proxy = await serve((_, response) => response.end('proxied'));
    const server = await serve((_, response) => response.end('direct'));
    const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    const before = names.map((name) => process.env[name]);
    for (const name of names) process.env[name] = name.startsWith('NODE') ? '1' : proxy.url;
    try {
      expect(text(await egressFor().call(get(server.url), {}, never))).toBe('direct');
      expect(proxy.connections()).toBe(0);
    } finally {
      names.forEach((name, i) => { if (before[i] === undefined) delete process.env[name]; else process.env[name] = before[i]; });
    }
  });
});
