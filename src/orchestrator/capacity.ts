// How many jobs of each type may run at once in this process: the dispatcher implements it, /api/types and explain read it.

export interface TypeCapacity {
  readonly type: string;
  readonly limit: number;
  readonly running: number;
}

export interface Capacity {
  list(): readonly TypeCapacity[];
  /** Takes effect at the next claim; what runs goes on. 0 stops the type. */
  set(type: string, limit: number): void;
}

/** What one process can hold in open calls; beyond it, memory and sockets run out before work does. */
export const MAX_CONCURRENCY = 10_000;
