// How every container runs (RELIABILITY R21, R22, R26). The one place that makes what the engine is sent; nothing of it comes
// from a client but what container-input.ts let through.
import { createHash } from 'node:crypto';
import { type ContainerInput, DEFAULT_LIMITS, VOLUME, WORK } from './container-input.ts';

export const LABELS = { owner: 'muster.owner', job: 'muster.job', attempt: 'muster.attempt', profile: 'muster.profile' } as const;
/** Nobody: owns nothing on any system. */
const USER = '65534:65534';
const TMP_BYTES = 64 * 1024 * 1024;
/** One file on the volume; how much all of them may take only the engine's storage can say. */
const FILE_MAX = 104_857_600;

export const nameOf = (jobId: string, attempt: number): string => `${jobId}-${attempt}`;

export interface ProfileOptions {
  readonly owner: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly input: ContainerInput;
  readonly secrets: Readonly<Record<string, string>>;
  /** Another runtime than the engine's own, such as runsc. */
  readonly runtime: string | null;
}

export const needsWork = ({ files, artifacts }: ContainerInput): boolean => (files?.length ?? 0) + (artifacts?.length ?? 0) > 0;

export function createBody({ owner, jobId, attempt, input, secrets, runtime }: ProfileOptions): Record<string, unknown> {
  const memory = input.limits?.memory ?? DEFAULT_LIMITS.memory;
  const host = {
    AutoRemove: false, // its output and its exit code are collected first
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'], // with the engine's own seccomp profile
    ReadonlyRootfs: true,
    NetworkMode: input.network ?? 'none',
    IpcMode: 'private',
    CgroupnsMode: 'private',
    Init: true, // reaps, and passes TERM on
    PidsLimit: input.limits?.pids ?? DEFAULT_LIMITS.pids,
    Memory: memory,
    MemorySwap: memory,
    NanoCpus: Math.round((input.limits?.cpus ?? DEFAULT_LIMITS.cpus) * 1e9),
    Tmpfs: { '/tmp': `rw,noexec,nosuid,nodev,mode=1777,size=${TMP_BYTES}` },
    Mounts: needsWork(input) ? [{ Type: 'volume', Target: VOLUME }] : [], // of its own, without a name, removed with it
    Ulimits: [{ Name: 'nofile', Soft: 1_024, Hard: 1_024 }, { Name: 'core', Soft: 0, Hard: 0 }, { Name: 'fsize', Soft: FILE_MAX, Hard: FILE_MAX }],
    // Not json-file: it writes JSON strings, in which a byte that is no UTF-8 becomes U+FFFD (100,003 random bytes came back as
    // 185,623), and so does a character that stands at one of its cuts, each 16 KB of a line. What local does to long lines
    // docker/frames.ts mends; in a terminal's stream it could not. Never rotated: a rotation repeats and loses what a follower reads.
    LogConfig: input.tty === true ? { Type: 'json-file', Config: { 'max-size': '100g', 'max-file': '1' } }
      : { Type: 'local', Config: { 'max-size': '100g', 'max-file': '1', compress: 'false' } },
    RestartPolicy: { Name: 'no' },
    ...(runtime === null ? {} : { Runtime: runtime }),
  };
  const profile = createHash('sha256').update(JSON.stringify(host)).digest('hex').slice(0, 16);
  return {
    Image: input.image,
    ...(input.command === undefined ? {} : { Cmd: input.command }),
    ...(input.entrypoint === undefined ? {} : { Entrypoint: input.entrypoint }),
    Env: Object.entries({ HOME: '/tmp', ...input.env, ...secrets }).map(([name, value]) => `${name}=${value}`),
    ...(input.workingDir !== undefined ? { WorkingDir: input.workingDir } : needsWork(input) ? { WorkingDir: WORK } : {}),
    User: input.user ?? USER,
    Tty: input.tty ?? false,
    OpenStdin: input.stdin !== undefined,
    StdinOnce: input.stdin !== undefined,
    AttachStdin: false, AttachStdout: false, AttachStderr: false,
    Labels: { [LABELS.owner]: owner, [LABELS.job]: jobId, [LABELS.attempt]: String(attempt), [LABELS.profile]: profile },
    HostConfig: host,
  };
}

/** uid and gid that the work folder and its files belong to. */
export function ownerOf({ user = USER }: ContainerInput): { uid: number; gid: number } {
  const [uid = 65_534, gid = uid] = user.split(':').map(Number);
  return { uid, gid };
}
