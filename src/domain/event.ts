// The log's words. Every change appends here in the same commit; every reader (polling, SSE, callbacks) follows it.

export const EVENT_TYPES = ['job:status', 'job:progress', 'job:trajectory', 'job:log', 'job:complete', 'job:error', 'job:gap'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** An event to append. `data` is JSON text of an object, or null for an empty one. */
export interface NewEvent {
  readonly jobId: string;
  readonly rootId: string;
  readonly type: EventType;
  readonly at: number;
  readonly data: string | null;
}

/** Longest log text kept per job, bytes: the figure of the container seed (10 MB, decimal). */
export const LOG_BYTES_MAX = 10_000_000;
