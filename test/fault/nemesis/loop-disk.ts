// A disk of our own: an ext4 image behind a loop device, mounted where the database lives. It can lose power, flip to
// read-only and hang. Whatever happens to the harness, it is let go: a frozen mount would hang everything that touches it.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Sparse. A campaign's database, its log of up to 16 MiB and the server's reserve stay below half of it. */
const IMAGE_BYTES = 256 * 1024 * 1024;
/** A process that was killed lets go of its files a moment after it is gone. */
const UMOUNT_TRIES = 100;
const UMOUNT_EVERY = 20;
/** FS_IOC_SHUTDOWN = _IOR('X', 125, __u32), flag 2 = NOLOGFLUSH: from here on nothing reaches the image, not even the journal. By perl because every Debian has it. */
const CUT = 'open(my $at, "<", $ARGV[0]) or die "open: $!"; my $flag = pack("L", 2); defined(ioctl($at, 0x8004587D, $flag)) or die "ioctl: $!"';

const TOOLS = ['perl', 'mkfs.ext4', 'e2fsck', 'mount', 'umount', 'losetup', 'fsfreeze'] as const;

/** Disks that are mounted now. */
const mounted = new Set<LoopDisk>();
let isGuarded = false;

function guard(): void {
  if (isGuarded) return;
  isGuarded = true;
  const letGo = (): void => { for (const disk of mounted) disk.abandon(); };
  process.on('exit', letGo);
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) process.once(signal, () => { letGo(); process.exit(code); });
}

export class LoopDisk {
  readonly #image: string;
  readonly #at: string;
  #isFrozen = false;

  /** @param at the folder it is mounted on */
  constructor(folder: string, at: string) {
    this.#image = join(folder, 'disk.img');
    this.#at = at;
  }

  /** null, or what this machine lacks. */
  static async feasible(): Promise<string | null> {
    if (process.platform !== 'linux') return 'loop devices with ext4 are Linux’s';
    if (process.getuid?.() !== 0) return 'mounting needs root';
    for (const tool of TOOLS) {
      const found = await run('sh', ['-c', `command -v ${tool}`]).catch(() => null);
      if (found === null) return `${tool} is not installed`;
    }
    if (!existsSync('/dev/loop-control')) return 'the kernel has no loop devices';
    if (!existsSync('/sys/fs/ext4')) return 'the kernel has no ext4';
    return null;
  }

  async create(): Promise<void> {
    guard();
    writeFileSync(this.#image, '');
    truncateSync(this.#image, IMAGE_BYTES);
    await run('mkfs.ext4', ['-qF', this.#image]);
    await this.mount();
  }

  async mount(): Promise<void> {
    mounted.add(this); // before: a half-made mount is let go too
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
    this.#isFrozen = true; // before: thawing what is not frozen does no harm
    await run('fsfreeze', ['-f', this.#at]);
  }

  async thaw(): Promise<void> {
    await run('fsfreeze', ['-u', this.#at]);
    this.#isFrozen = false;
  }

  async umount(): Promise<void> {
    for (let i = 1; ; i++) {
      try {
        await run('umount', [this.#at]);
        mounted.delete(this);
        return;
      } catch (error) {
        if (i === UMOUNT_TRIES) throw error;
        await new Promise((resolve) => { setTimeout(resolve, UMOUNT_EVERY); });
      }
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
    if (!mounted.has(this)) return;
    if (this.#isFrozen) await this.thaw().catch(() => {});
    await this.umount();
  }

  /** For a harness that ends at once: what still uses it keeps it until it ends too. */
  abandon(): void {
    for (const [command, ...args] of [['fsfreeze', '-u', this.#at], ['umount', '-l', this.#at]] as const) {
      try {
        execFileSync(command, args, { stdio: 'ignore' });
      } catch {
        // not frozen, not mounted
      }
    }
    mounted.delete(this);
  }
}
