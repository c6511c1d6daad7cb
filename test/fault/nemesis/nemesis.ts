// What harms a server under load. Each kind of harm is one file with this shape; kinds.ts lists them.
import type { Driver } from '../driver.ts';
import type { Reader, ReaderCounts } from '../readers.ts';
import type { Rng } from '../rng.ts';
import type { Launch, ServerProcess } from '../server.ts';

/** What a nemesis may see and do. */
export interface Field {
  readonly rng: Rng;
  readonly driver: Driver;
  readonly streams: ReaderCounts;
  /** Follows everything; no client of ours cuts it. */
  readonly firehose: Reader;
  /** Changes that the server has acknowledged so far. */
  readonly acks: () => number;
  readonly server: () => ServerProcess;
  /** Starts another server on the same file; resolves when it listens. */
  readonly startServer: () => Promise<ServerProcess>;
  /** Spawns one without waiting for it. */
  readonly spawnServer: () => ServerProcess;
  /** Scratch space of this campaign; the ledger lives here, out of harm's way. */
  readonly folder: string;
  /** Where the database lives, and nothing else: a nemesis may mount something there. */
  readonly home: string;
  /** Wall-clock ms in which no deadline could be kept: the server lived, but could not write. */
  readonly excuse: (from: number, to: number) => void;
  /** For the failure message. */
  readonly log: (what: string) => void;
  /** Something that must not happen did. */
  readonly violation: (what: string) => void;
}

export interface Nemesis {
  readonly name: string;
  /** null, or why this machine cannot do it. A skip is said loudly. */
  feasible(): Promise<string | null>;
  setup(field: Field): Promise<void>;
  /** Asked before each start of a server. */
  launch?(): Launch;
  /**
   * Does the harm once, at a moment drawn from the seed. If the server is dead afterwards, its file is readable and is
   * checked; if it lives, the file is checked when the campaign has come to rest.
   */
  inject(field: Field): Promise<void>;
  /** Ends the harm: the server listens again. */
  heal(field: Field): Promise<void>;
  /** Also after a failure, and after a setup that failed half-way. */
  teardown(field: Field): Promise<void>;
  /** What the server's wall clock says, if it is not this one's. */
  now?(): number;
  /** A line of the server's log at level error that this harm explains. Default: none is. */
  excuses?(line: string): boolean;
  /** Figures of its own for the summary. */
  facts?(): string;
}
