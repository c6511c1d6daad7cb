// Runs alone in a network namespace in which every address there is leads to one listener of ours: whatever gets out of
// the server is seen, with the address it was sent to. Says what happened as one line of JSON. Started by namespace.test.ts.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEgress } from '../../src/handlers/egress/client.ts';
import { guardedConnector, type Resolved } from '../../src/handlers/egress/connect.ts';
import type { EgressPolicy } from '../../src/handlers/egress/guard.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { CLOSED_URLS } from './egress.ts';
import { CLOSED_4, CLOSED_6, judge, show } from './oracle.ts';
import { dice } from './spellings.ts';

export interface Report {
  /** Addresses called on purpose, past the guard, and whether the listener saw it. */
  readonly controls: Record<string, boolean>;
  /** What each step came to, and every address:port that was reached meanwhile. */
  readonly steps: Record<string, { readonly said: Record<string, number>; readonly reached: string[] }>;
}

const PUBLIC = '93.184.215.14';
const PUBLIC_6 = '2606:2800:21f:cb07::1';
const PORTS = [80, 443, 22, 2375, 3128, 6379, 8080];
const SERVER_PORT = 8_123;
const folder = mkdtempSync(join(tmpdir(), 'muster-namespace-'));

/** Every address leads here, and no name server answers. */
function setUp(): void {
  const run = (...command: string[]): void => { execFileSync(command[0] as string, command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] }); };
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'route', 'add', 'local', '0.0.0.0/0', 'dev', 'lo');
  run('ip', '-6', 'route', 'add', 'local', '::/0', 'dev', 'lo');
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, [
    '127.0.0.1 localhost', `${PUBLIC} good.example`, `${PUBLIC_6} good6.example`, '127.0.0.1 loop.example', '169.254.169.254 metadata.example', '10.0.0.1 private.example', '::1 loop6.example', 'fd00:ec2::254 metadata6.example',
    '::ffff:10.0.0.1 mapped.example', '64:ff9b::a00:1 nat64.example', '0.0.0.0 zero.example', `${PUBLIC} mixed.example`, '127.0.0.1 mixed.example', `${PUBLIC} mixed6.example`, 'fe80::1 mixed6.example', '10.1.2.3 listed.example', '10.2.2.3 unlisted.example', '',
  ].join('\n'));
  run('mount', '--bind', hosts, '/etc/hosts');
}

let reached: string[] = [];
const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
const answer: RequestListener = (request, response) => {
  if (request.url?.startsWith('/302') === true) response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
  else response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end('{"data":"reached"}');
};
const listen = (port: number): Promise<void> => new Promise((resolve) => {
  const server = createServer(answer);
  server.on('connection', (socket: Socket) => { reached.push(`${plain(socket.localAddress)}:${socket.localPort}`); });
  server.listen(port, '::', resolve);
});

const steps: Report['steps'] = {};
async function step(name: string, act: (say: (what: string) => void) => Promise<void>): Promise<void> {
  reached = [];
  const said: Record<string, number> = {};
  await act((what) => { said[what] = (said[what] ?? 0) + 1; });
  steps[name] = { said, reached: [...new Set(reached)].sort() };
}

const touch = (host: string, port = 80): Promise<void> => new Promise((resolve) => {
  const socket: Socket = connect(port, host);
  socket.on('connect', () => { socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'); });
  socket.on('data', () => {}).on('error', () => {}).on('close', () => resolve());
});

async function controls(): Promise<Report['controls']> {
  const seen: Record<string, boolean> = {};
  for (const host of ['169.254.169.254', '10.0.0.1', '127.0.0.1', '::1', 'fd00:ec2::254', '100.100.100.200', PUBLIC, PUBLIC_6]) {
    reached = [];
    await touch(host);
    seen[host] = reached.includes(`${host}:80`);
  }
  return seen;
}

/** The server that users run, listening on all addresses; each job's end, as the code of its error or its status. */
async function withServer(env: Record<string, string>, act: (run: (body: object) => Promise<string>) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, ['src/start.mjs'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOST: '0.0.0.0', PORT: String(SERVER_PORT), LOG_LEVEL: 'info', MUSTER_ENV: 'production', MUSTER_DB: join(folder, `${Date.now()}.db`), ...env },
  });
  const exited = once(child, 'exit');
  await new Promise<void>((resolve) => { child.stdout.on('data', (part: Buffer) => { if (part.includes('Muster listens on')) resolve(); }); });
  try {
    await act(async (body) => {
      const answer = await fetch(`http://127.0.0.1:${SERVER_PORT}/api/jobs`, { method: 'POST', headers: { 'content-type': 'application/json', prefer: 'wait=30' }, body: JSON.stringify({ maxAttempts: 1, ...body }) });
      const job = await answer.json() as { status: string; error: { code: string } | null };
      return answer.ok ? job.error?.code ?? job.status : String(answer.status);
    });
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
/** The end of the job that makes this call. */
async function ended(url: string): Promise<string> {
  for (;;) {
    const { jobs } = await (await fetch(`http://127.0.0.1:${SERVER_PORT}/api/jobs?type=request`)).json() as { jobs: { input: { url: string }; endedAt: string | null; error: { code: string } | null }[] };
    const job = jobs.find(({ input, endedAt }) => input.url === url && endedAt !== null);
    if (job !== undefined) return job.error?.code ?? 'completed';
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
const request = (url: string): object => ({ type: 'request', input: { url } });

async function servers(): Promise<void> {
  const closed = ['loop', 'metadata', 'private', 'loop6', 'metadata6', 'mapped', 'nat64', 'zero', 'mixed', 'mixed6', 'unlisted'];
  await withServer({ HTTP_PROXY: 'http://10.9.9.9:3128', http_proxy: 'http://10.9.9.9:3128', HTTPS_PROXY: 'http://10.9.9.9:3128', ALL_PROXY: 'http://10.9.9.9:3128', NODE_USE_ENV_PROXY: '1' }, async (run) => {
    await step('case 51: names that lead to closed addresses', async (say) => { for (const name of [...closed, 'listed']) say(await run(request(`http://${name}.example/`))); });
    await step('case 48: closed addresses as they are', async (say) => { for (const [, urls] of CLOSED_URLS) for (const url of urls) say(await run(request(url))); });
    await step('case 62: public addresses, past the proxies of the environment', async (say) => {
      for (const host of ['good.example', 'good6.example', PUBLIC, `[${PUBLIC_6}]`]) say(await run(request(`http://${host}/`)));
    });
    await step('case 56: a redirect to metadata', async (say) => { say(await run(request(`http://${PUBLIC}/302`))); });
    await step('case 51: a callback to a name that leads to metadata', async (say) => {
      say(await run({ type: 'noop', callback: 'http://metadata.example/callback' }));
      say(await ended('http://metadata.example/callback'));
    });
  });
  await withServer({ MUSTER_EGRESS_ALLOW: '10.1.0.0/16' }, async (run) => {
    await step('case 63: only the listed range', async (say) => { for (const name of [...closed, 'listed']) say(await run(request(`http://${name}.example/`))); });
  });
}

const POLICY: EgressPolicy = { allowLoopback: false, allowCidrs: [] };
const never = new AbortController().signal;

async function scripted(): Promise<void> {
  const asV = (address: string): Resolved => ({ address, family: address.includes(':') ? 6 : 4 });
  const calls = async (say: (what: string) => void, count: number, resolve: () => Resolved[]): Promise<void> => {
    const egress = createEgress({ policy: POLICY, clock: systemClock, resolve: async () => resolve() });
    for (let i = 0; i < count; i++) say((await egress.call({ url: 'http://name.example/', method: 'GET' }, {}, never)).kind);
    await egress.close();
  };
  await step('case 54: a name that answers public and private in turns', async (say) => {
    let n = 0;
    await calls(say, 1_000, () => [asV(n++ % 2 === 0 ? PUBLIC : pickClosed(n))]);
  });
  await step('case 55: a name with one private address among public ones', async (say) => {
    let n = 0;
    await calls(say, 300, () => { const list = [asV(PUBLIC), asV(PUBLIC_6)]; list.splice(n % 3, 0, asV(pickClosed(n++))); return list; });
  });
  await step('case 61: literals, which no lookup sees', async (say) => {
    const guard = guardedConnector(POLICY, 2_000, async () => [asV('127.0.0.1')]);
    const d = dice(61);
    for (const { first, last } of [...CLOSED_4, ...CLOSED_6]) {
      for (let i = 0; i < 20; i++) {
        const value = i === 0 ? first : i === 1 ? last : first + (d.bits(128) % (last - first + 1n));
        const address = { family: last < 1n << 32n && first !== last ? 4 : CLOSED_6.some((one) => one.first === first) ? 6 : 4, value } as const;
        if (judge(address, 'nothing') !== 'closed') continue;
        const host = address.family === 6 ? `[${show(address)}]` : show(address);
        say(await new Promise((resolve) => { guard({ hostname: host, protocol: 'http:', port: '80' }, (error, socket) => { socket?.destroy(); resolve(error === null ? `connected ${host}` : 'refused'); }); }));
      }
    }
  });
}
const SOME = ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1', 'fd00:ec2::254', '::ffff:127.0.0.1', '192.168.0.1', '64:ff9b::7f00:1', '100.64.0.1', '0.0.0.0'];
const pickClosed = (n: number): string => SOME[Math.floor(n / 3) % SOME.length] as string;

try {
  setUp();
  await Promise.all(PORTS.map(listen));
  const seen = await controls();
  await servers();
  await scripted();
  process.stdout.write(`${JSON.stringify({ controls: seen, steps } satisfies Report)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
