// What runs as long as the process: start, stop, and how a loop reports that it could not do its work.

export interface Service {
  /** Idempotent. */
  start(): void | Promise<void>;
  /** Idempotent; resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

/** The few lines a runtime part may say to the operator. */
export interface Report {
  warn(facts: Record<string, unknown>, message: string): void;
  error(facts: Record<string, unknown>, message: string): void;
}
