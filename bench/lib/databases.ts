// PostgreSQL and Redis for the peers: Debian's programs, a data folder of their own, a unix socket and nothing else.
// They are direct children: ended and removed with the bench however it ends. A cluster of the system is never touched.
import { execFileSync, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { owned } from './servers.ts';

const PEERS = fileURLToPath(new URL('../peers', import.meta.url));
const DEBIAN = '/usr/lib/postgresql';
const START_MAX = 20_000;

export interface Database {
  /** What a client connects to: PostgreSQL's socket folder, Redis's socket file. */
  readonly socket: string;
  stop(): Promise<void>;
}

function run(command: string, args: readonly string[], options: SpawnOptions = {}): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], ...options }).toString().trim();
  } catch {
    return null;
  }
}

/** The newest PostgreSQL that Debian put there, or null. */
function postgresBin(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).map(Number).filter((version) => version > 0).sort((a, b) => b - a) : [];
  const found = versions.map((version) => join(DEBIAN, String(version), 'bin')).find((bin) => existsSync(join(bin, 'postgres')));
  return found ?? null;
}

export function databaseFacts(): string[] {
  const bin = postgresBin();
  return [bin === null ? null : run(join(bin, 'postgres'), ['--version']), run('redis-server', ['--version'])?.replace(/ sha=.*/, '') ?? null].filter((fact) => fact !== null);
}

/** Debian packages that are not there. */
export function missingPackages(wanted: readonly ('postgresql' | 'redis-server')[]): string[] {
  return wanted.filter((name) => (name === 'postgresql' ? postgresBin() === null : run('redis-server', ['--version']) === null));
}

/** bench/peers, installed from its lockfile if it is not there as the lockfile says. */
export function installPeers(line: (text: string) => void): void {
  if (['bullmq', 'graphile-worker', 'pg-boss', 'pg', 'ioredis'].every((name) => existsSync(join(PEERS, 'node_modules', name)))) return;
  line('Installing bench/peers (npm ci)');
  execFileSync('npm', ['ci', '--prefix', PEERS], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** initdb and postgres refuse root; as root they run as Debian's postgres user. */
function account(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = [run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])];
  if (uid === null || gid === null) throw new Error('There is no user postgres, and PostgreSQL does not run as root.');
  return { uid: Number(uid), gid: Number(gid) };
}

/** What stays on: fsync, synchronous_commit, full_page_writes. What differs from stock is in the peers' favour. */
export const POSTGRES_SETTINGS = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on', shared_buffers: '1GB', max_wal_size: '4GB' };
const DYNAMIC = { listen_addresses: '', unix_socket_permissions: '0777', dynamic_shared_memory_type: 'mmap', logging_collector: 'off' };

export async function postgres(folder: string): Promise<Database> {
  const bin = postgresBin();
  if (bin === null) throw new Error('postgresql is not installed.');
  const who = account();
  mkdirSync(folder, { mode: 0o700 });
  if (who.uid !== undefined && who.gid !== undefined) {
    chownSync(folder, who.uid, who.gid);
    for (const above of [dirname(folder), dirname(dirname(folder))]) if (above.includes('muster-bench-')) chmodSync(above, 0o711);
  }
  const data = join(folder, 'data');
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-instructions'], { ...who, cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] });
  const settings = Object.entries({ ...POSTGRES_SETTINGS, ...DYNAMIC, unix_socket_directories: folder }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // SIGQUIT where others are killed: it leaves no shared memory behind.
  const child = owned(spawn(join(bin, 'postgres'), ['-D', data, ...settings], { ...who, cwd: '/', stdio: 'ignore' }), 'SIGQUIT');
  await reachable(join(folder, '.s.PGSQL.5432'));
  return { socket: folder, stop: () => ended(child, 'SIGINT') };
}

/** No snapshots and no rewriting of the log while we measure; each append synced as `fsync` says. */
export async function redis(folder: string, fsync: 'always' | 'everysec'): Promise<Database> {
  mkdirSync(folder);
  const socket = join(folder, 'redis.sock');
  const child = owned(spawn('redis-server', [
    '--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', fsync,
    '--auto-aof-rewrite-percentage', '0', '--maxmemory-policy', 'noeviction',
  ], { stdio: 'ignore' }));
  await reachable(socket);
  return { socket, stop: () => ended(child, 'SIGTERM') };
}

async function ended(child: ReturnType<typeof spawn>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

async function reachable(path: string): Promise<void> {
  for (const start = performance.now(); performance.now() - start < START_MAX; ) {
    const socket = connect(path);
    const up = await new Promise<boolean>((resolve) => { socket.once('connect', () => resolve(true)).once('error', () => resolve(false)); });
    socket.destroy();
    if (up) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`Nothing answers at ${path}.`);
}
