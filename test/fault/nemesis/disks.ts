// Disks made for the harness: a small one in memory that can fill up, and ext4 on a loop device whose reads and writes fail
// while a file exists. Each is taken down by its own undo, also when the process is interrupted.
import { execFileSync, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { undoAtExit } from '../undo.ts';

/** The image; ext4 needs some of it for itself. */
const IMAGE_BYTES = 96 * 1024 * 1024;
/** ms for a daemon to come up; far beyond the 100 it takes. */
const DAEMON_MAX = 10_000;

const run = (command: string, ...args: readonly string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The first of these programs that is not on the PATH, or null. */
export async function missing(...programs: readonly string[]): Promise<string | null> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const program of programs) {
    const found = await Promise.all(folders.map((folder) => access(join(folder, program), constants.X_OK).then(() => true, () => false)));
    if (!found.includes(true)) return program;
  }
  return null;
}

/** null, or why nothing can be mounted here. */
export async function cannotMount(): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-mount-'));
  try {
    mountMemory(folder, '1m')();
    return null;
  } catch (error) {
    return `this process may not mount (${String(error instanceof Error ? error.message : error).split('\n')[0]}): it needs root with CAP_SYS_ADMIN`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A process that was killed lets go of its files a moment after it is gone (seen with io_uring, whose rings the kernel ends later). */
const UMOUNT_TRIES = 250;
const UMOUNT_EVERY = 20;

/** Really: a file system that is only out of sight lives on, and whoever mounts its disk again gets it as it was. */
function unmount(path: string): void {
  for (let tries = 1; ; tries++) {
    try {
      run('umount', path);
      return;
    } catch (error) {
      if (tries === UMOUNT_TRIES) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, UMOUNT_EVERY);
    }
  }
}

/** Somebody's copy of the mount, in a namespace of their own, keeps the file system alive: it would come back as it is. */
function released(device: string): void {
  for (let tries = 1; run('losetup', '-n', '-O', 'NAME', '-j', device) !== ''; tries++) {
    if (tries === UMOUNT_TRIES) throw new Error(`${device} is unmounted here, and somebody else's copy of the mount keeps it`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, UMOUNT_EVERY);
  }
}

/** For the end of the harness: what still uses it keeps it until it ends too. */
function abandon(path: string): void {
  try {
    run('umount', path);
  } catch {
    run('umount', '-l', path);
  }
}

/** @returns its undo */
export function mountMemory(path: string, size: string): () => void {
  run('mount', '-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path);
  return undoAtExit(() => { abandon(path); });
}

export interface FailingDisk {
  /** Every write to it fails from now on, or none does; and every read, if asked for. */
  fail(what: 'writes' | 'reads and writes' | 'nothing'): void;
  /** What was only in memory is gone, the file system is checked, and it is there again. */
  remount(): void;
  /** Unmounted, the daemon ended. */
  undo(): void;
}

/** ext4 at `path`, over loop over FUSE over nbdkit's error filter. Without a journal the file system lives on after an error, as a raw device does, and may lose what was synced before. */
export async function mountFailing(folder: string, path: string, { journal }: { readonly journal: boolean }): Promise<FailingDisk> {
  const image = join(folder, 'disk.img');
  const device = join(folder, 'disk');
  const flags = { writes: join(folder, 'fail-writes'), reads: join(folder, 'fail-reads') };
  await mkdir(folder, { recursive: true });
  await writeFile(image, '');
  await truncate(image, IMAGE_BYTES);
  await writeFile(device, '');
  const daemon = spawn('nbdfuse', [
    device, '[', 'nbdkit', '--exit-with-parent', '--filter=error', 'file', image,
    'error=EIO', 'error-pwrite-rate=100%', `error-pwrite-file=${flags.writes}`, 'error-pread-rate=100%', `error-pread-file=${flags.reads}`, ']',
  ], { stdio: 'ignore' });
  let isGone = false;
  daemon.on('exit', () => { isGone = true; });
  daemon.on('error', () => { isGone = true; });
  const end = undoAtExit(() => {
    for (const flag of Object.values(flags)) rmSync(flag, { force: true });
    daemon.kill('SIGTERM');
    try { run('fusermount3', '-uz', device); } catch { /* it went with its daemon */ }
  });
  let isMounted = false;
  let leave: (() => void) | null = null;
  const mount = (): void => {
    run('mount', '-t', 'ext4', '-o', 'loop,noatime', device, path);
    isMounted = true;
    leave ??= undoAtExit(() => { if (isMounted) abandon(path); });
  };
  try {
    for (const until = Date.now() + DAEMON_MAX; statSync(device).size !== IMAGE_BYTES; await pause(20)) {
      if (isGone || Date.now() > until) throw new Error('nbdfuse did not serve its file');
    }
    run('mkfs.ext4', '-q', '-F', ...(journal ? [] : ['-O', '^has_journal']), device);
    mount();
  } catch (error) {
    end();
    throw error;
  }
  return {
    fail(what) {
      for (const [name, flag] of Object.entries(flags)) {
        if (what.includes(name)) writeFileSync(flag, '');
        else if (existsSync(flag)) rmSync(flag);
      }
    },
    remount() {
      unmount(path);
      isMounted = false;
      released(device);
      repair(device);
      mount();
    },
    undo() {
      leave?.();
      end();
    },
  };
}

/** e2fsck: 0 = sound, 1 = put right; anything above is beyond it. */
function repair(device: string): void {
  try {
    run('e2fsck', '-f', '-y', device);
  } catch (error) {
    if ((error as { status?: number }).status !== 1) throw error;
  }
}
