// A disk of our own: an ext4 image behind a loop device, mounted where the database lives. It can lose power, flip to
// read-only and hang. Whatever happens to the harness, it is let go: a frozen mount would hang everything that touches it.
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { undoAtExit } from '../undo.ts';
import { missing } from './disks.ts';

const run = promisify(execFile);

/** Sparse. A campaign's database, its log of up to 16 MiB and the server's reserve stay below half of it. */
const IMAGE_BYTES = 256 * 1024 * 1024;
/** A process that was killed lets go of its files a moment after it is gone. */
const UMOUNT_TRIES = 100;
/**
 * And who copied our mounts meanwhile (a container, a test in a namespace of its own) keeps the file system alive, as broken as
 * it is: to mount the image again is to get that one back (seen: a shut-down one, on which no file opens). Half a minute.
 */
const RELEASE_TRIES = 1_500;
const UMOUNT_EVERY = 20;
/** FS_IOC_SHUTDOWN = _IOR('X', 125, __u32), flag 2 = NOLOGFLUSH: from here on nothing reaches the image, not even the journal. By perl because every Debian has it. */
const CUT = 'open(my $at, "<", $ARGV[0]) or die "open: $!"; my $flag = pack("L", 2); defined(ioctl($at, 0x8004587D, $flag)) or die "ioctl: $!"';

const TOOLS = ['perl', 'mkfs.ext4', 'e2fsck', 'mount', 'umount', 'losetup', 'fsfreeze'] as const;

export class LoopDisk {
  readonly #image: string;
  readonly #at: string;
  #undo: () => void = () => {};

  /** @param at the folder it is mounted on */
  constructor(folder: string, at: string) {
    this.#image = join(folder, 'disk.img');
    this.#at = at;
  }

  /** null, or what this machine lacks; tried, not guessed. What the kernel lacks begins with "the kernel". */
  static async feasible(): Promise<string | null> {
    const tool = await missing(...TOOLS);
    if (tool !== null) return `${tool} is not installed`;
    const folder = mkdtempSync(join(tmpdir(), 'muster-disk-'));
    const at = join(folder, 'home');
    mkdirSync(at);
    const disk = new LoopDisk(folder, at);
    try {
      await disk.create();
      await disk.freeze();
      await disk.thaw();
      await disk.flip();
      await disk.mend();
      await disk.cut();
      return null;
    } catch (error) {
      const why = String(error instanceof Error ? error.message : error).trim().replaceAll('\n', ' ');
      if (!/ loop$/m.test(await read('/proc/devices'))) return `the kernel has no loop devices (${why})`;
      if (!/\text4$/m.test(await read('/proc/filesystems'))) return `the kernel has no ext4 (${why})`;
      return `a disk of our own cannot be mounted, frozen or cut off: ${why}`;
    } finally {
      await disk.destroy().catch(() => {});
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async create(): Promise<void> {
    writeFileSync(this.#image, '');
    truncateSync(this.#image, IMAGE_BYTES);
    await run('mkfs.ext4', ['-qF', this.#image]);
    this.#undo = undoAtExit(() => { this.#abandon(); }); // before: a half-made mount is let go too
    await this.mount();
  }

  async mount(): Promise<void> {
    await run('mount', ['-o', 'loop,errors=remount-ro', this.#image, this.#at]);
  }

  /** The power fails: what was not synced is gone after the next mount. */
  async cut(): Promise<void> {
    await run('perl', ['-e', CUT, this.#at]);
  }

  /** The kernel finds the filesystem inconsistent and makes it read-only under the server. */
  async flip(): Promise<void> {
    const { stdout } = await run('losetup', ['-n', '-O', 'NAME', '-j', this.#image]);
    writeFileSync(`/sys/fs/ext4/${stdout.trim().replace('/dev/', '')}/trigger_fs_error`, '1');
  }

  /** Writes hang until it is thawed. */
  async freeze(): Promise<void> {
    await run('fsfreeze', ['-f', this.#at]);
  }

  async thaw(): Promise<void> {
    await run('fsfreeze', ['-u', this.#at]);
  }

  async umount(): Promise<void> {
    for (let i = 1; ; i++) {
      try {
        await run('umount', [this.#at]);
        break;
      } catch (error) {
        if (i === UMOUNT_TRIES) throw error;
        await pause();
      }
    }
    for (let i = 1; (await run('losetup', ['-n', '-O', 'NAME', '-j', this.#image])).stdout !== ''; i++) {
      if (i === RELEASE_TRIES) throw new Error(`${this.#image} is unmounted here, and somebody else's copy of the mount keeps it`);
      await pause();
    }
  }

  /** Off and on again: the journal is replayed. */
  async remount(): Promise<void> {
    await this.umount();
    await this.mount();
  }

  /** Off, mended as an operator would, on again. */
  async mend(): Promise<void> {
    await this.umount();
    await run('e2fsck', ['-fp', this.#image]).catch((error: { code?: number }) => { if (error.code !== 1) throw error; }); // 1 = mended
    await this.mount();
  }

  /** For a teardown: whatever state it is in. */
  async destroy(): Promise<void> {
    await this.thaw().catch(() => {}); // it is not frozen
    if ((await read('/proc/self/mountinfo')).includes(` ${this.#at} `)) await this.umount();
    this.#undo();
  }

  /** For a harness that ends at once: what still uses it keeps it until it ends too. */
  #abandon(): void {
    for (const [command, ...args] of [['fsfreeze', '-u', this.#at], ['umount', '-l', this.#at]] as const) {
      try {
        execFileSync(command, args, { stdio: 'ignore' });
      } catch {
        // not frozen, not mounted
      }
    }
  }
}

const pause = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve, UMOUNT_EVERY); });
const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
