// The ways in which broken-writer.ts breaks its word. Each must be caught, or the harness is blind.
export const BREAKS = [
  'event-left-out', 'final-event-left-out', 'gap-in-the-log', 'ack-before-commit', 'key-forgotten', 'lease-left-behind', 'kill-burns-a-retry', 'child-not-let-in',
] as const;
export type Break = (typeof BREAKS)[number];
