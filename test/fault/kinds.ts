// The faults that `npm run crash -- --nemesis NAME` knows. Each has a control: the same harm where one promise is broken
// on purpose, or where the harm is not survivable. A control in which nothing is found means a blind harness.
import { campaigns } from './campaigns.ts';
import { createEio } from './nemesis/eio.ts';
import { createCheckpoint } from './nemesis/checkpoint.ts';
import { createFrozen } from './nemesis/frozen.ts';
import { damage } from './damage/damage.ts';
import { createFull } from './nemesis/full.ts';
import { runFullPoints } from './nemesis/full-points.ts';
import { cannotFake, createClock } from './nemesis/clock.ts';
import { createKill } from './nemesis/kill.ts';
import { SERVER } from './campaign.ts';
import { createOwners } from './nemesis/owners.ts';
import { runPoints } from './nemesis/points.ts';
import { createPowercut } from './nemesis/powercut.ts';
import { createReadonly } from './nemesis/readonly.ts';
import { runSchedules } from './nemesis/schedules.ts';
import { createSlow } from './nemesis/slow.ts';
import { cannotTrace } from './nemesis/strace.ts';
import { createTerm } from './nemesis/term.ts';

export interface RunOptions {
  /** Harms, images or points. */
  readonly cycles: number;
  readonly seed: string;
  /** Progress, one line each. */
  readonly say: (line: string) => void;
}

export interface RunResult {
  /** Empty: everything held. */
  readonly violations: readonly string[];
  /** Figures, one a line. */
  readonly facts: readonly string[];
}

export interface Kind {
  readonly what: string;
  /** null, or what this machine lacks for it. */
  feasible(): Promise<string | null>;
  run(options: RunOptions): Promise<RunResult>;
  readonly control: {
    readonly what: string;
    readonly cycles: number;
    run(options: RunOptions): Promise<RunResult>;
    /** What must be found, in at least one violation. */
    readonly sign: RegExp;
  };
}

/** The server with one promise broken; see broken-server.ts. */
export const broken = (way: string): readonly string[] => ['test/fault/broken-server.ts', way];

export const KINDS: Readonly<Record<string, Kind>> = {
  kill: {
    what: 'SIGKILL at a random moment under load, one in six while it starts',
    ...campaigns(createKill),
    control: { what: 'answers before it commits', cycles: 8, sign: /LOST/, ...campaigns(createKill, { entry: broken('ack-before-commit'), restMax: 5_000 }) },
  },
  term: {
    what: 'SIGTERM under load: exit 0 in 10 s, nobody reset, streams told to come back',
    ...campaigns(createTerm),
    control: { what: 'drops every connection at once', cycles: 4, sign: /reset by a clean stop|cut by a clean stop/, ...campaigns(createTerm, { entry: broken('abrupt-stop'), restMax: 5_000 }) },
  },
  powercut: {
    what: 'the disk loses what was not synced, under load: ext4 on a loop device, shut down by ioctl',
    ...campaigns(createPowercut),
    control: { what: 'synchronous NORMAL', cycles: 6, sign: /LOST/, ...campaigns(createPowercut, { entry: broken('synchronous-normal'), synchronous: 1, restMax: 5_000 }) },
  },
  readonly: {
    what: 'ext4 finds itself inconsistent and goes read-only under load',
    ...campaigns(createReadonly),
    control: { what: 'answers before it commits', cycles: 6, sign: /LOST/, ...campaigns(createReadonly, { entry: broken('ack-before-commit'), restMax: 5_000 }) },
  },
  owners: {
    what: 'two servers on one file: rivals by every path, and eight at once after a kill',
    ...campaigns(() => createOwners(SERVER)),
    control: { what: 'the lock is not taken', cycles: 1, sign: /TWO OWNERS/, ...campaigns(() => createOwners(broken('no-lock')), { entry: broken('no-lock'), restMax: 5_000 }) },
  },
  slow: {
    what: 'each sync takes 300 ms more: who only reads must not notice',
    ...campaigns(createSlow),
    control: { what: 'the writer on the main thread', cycles: 1, sign: /BLOCKED/, ...campaigns(createSlow, { entry: broken('inline-writer'), restMax: 5_000 }) },
  },
  frozen: {
    what: 'the disk hangs for 10 s, one time in five for 40: nothing is acknowledged, reads and /health are answered, /ready says no',
    ...campaigns(createFrozen, { perCampaign: 5 }),
    control: { what: 'the writer on the main thread', cycles: 1, sign: /HANGS/, ...campaigns(() => createFrozen({ freeze: 4_000 }), { entry: broken('inline-writer'), restMax: 5_000 }) },
  },
  points: {
    what: 'SIGKILL just before the n-th write, sync, truncation or removal of a scripted run of 40 acts; all of them with --cycles 2000',
    feasible: cannotTrace,
    run: (options) => runPoints(options),
    control: { what: 'commits rows and their events apart', cycles: 16, sign: /I3: .* its last event says/, run: (options) => runPoints(options, broken('events-apart')) },
  },
  damage,
  clock: {
    what: 'the clock is set by a second to a year, both ways, under load and while the server is down',
    ...campaigns(createClock, { perCampaign: 10 }),
    control: { what: 'everything follows the clock of the machine', cycles: 3, sign: /CLOCK: .*(waits for ever|failed|too soon|attempts)/, ...campaigns(createClock, { entry: broken('follows-the-clock'), restMax: 5_000 }) },
  },
  schedules: {
    what: 'SIGKILL within 100 ms of a minute of 40 schedules, the clock set back by up to an hour now and then: each minute makes one job of each, none twice, none left out',
    feasible: cannotFake,
    run: (options) => runSchedules(options),
    control: { what: 'a schedule moves on in a commit of its own, after that of the job', cycles: 6, sign: /TWICE|no run names/, run: (options) => runSchedules(options, broken('advance-apart')) },
  },
  eio: {
    what: 'the disk fails every write for 50 to 500 ms: nothing more is acknowledged, exit 74, no start while it is bad (nbdkit, loop, ext4)',
    ...campaigns(createEio),
    control: { what: 'goes on after the error (not every window meets a commit; it loses jobs or breaks the file)', cycles: 40, sign: /LOST|disk image is malformed/, ...campaigns(() => createEio({ survives: true }), { entry: broken('carry-on'), restMax: 5_000 }) },
  },
  checkpoint: {
    what: 'the disk fails only where the log is moved into the database: the server ends with 74, and does not start there (strace)',
    ...campaigns(createCheckpoint),
    control: { what: 'checkpoints that fail are not heard of', cycles: 1, sign: /GOES ON/, ...campaigns(createCheckpoint, { entry: broken('checkpoint-unheard'), restMax: 5_000 }) },
  },
  full: {
    what: 'the disk fills up under load: refusals, reads, ends of running jobs; room again, or stopped, killed and started without any',
    ...campaigns(createFull, { perCampaign: 10 }),
    control: { what: 'acknowledges although the commit found no room', cycles: 4, sign: /LOST|I1: key .* stood for/, ...campaigns(() => createFull({ noticeMax: 3_000 }), { entry: broken('ack-when-full'), restMax: 5_000 }) },
  },
  'full-points': {
    what: 'ENOSPC from the n-th write of a scripted run on, for some writes or until it is stopped (strace)',
    feasible: cannotTrace,
    run: (options) => runFullPoints(options),
    control: { what: 'acknowledges although the commit found no room', cycles: 8, sign: /LOST/, run: (options) => runFullPoints(options, broken('ack-when-full')) },
  },
};
