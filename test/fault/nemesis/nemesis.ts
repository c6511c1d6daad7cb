// What harms the server. Each kind of harm is one file with this shape; run.ts knows nothing of any of them.
import type { Driver } from '../driver.ts';
import type { ReaderCounts } from '../readers.ts';
import type { Rng } from '../rng.ts';
import type { ServerProcess } from '../server.ts';

/** What a nemesis may see and do. */
export interface Field {
  readonly rng: Rng;
  readonly driver: Driver;
  readonly streams: ReaderCounts;
  readonly server: () => ServerProcess;
  /** Starts another server on the same file; resolves when it listens. */
  readonly startServer: () => Promise<ServerProcess>;
  /** Spawns one without waiting for it. */
  readonly spawnServer: () => ServerProcess;
  /** Where the database lives: a nemesis may prepare it (a mount, a limit). */
  readonly folder: string;
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
  /** Does the harm once, at a moment drawn from the seed. Afterwards the server is dead, and its file is checked. */
  inject(field: Field): Promise<void>;
  /** Ends the harm: the server listens again. */
  heal(field: Field): Promise<void>;
  teardown(field: Field): Promise<void>;
  /** Figures of its own for the summary. */
  facts?(): string;
}
