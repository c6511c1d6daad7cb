// The ways in which broken-writer.ts breaks its word. Each must be caught, or the harness is blind.
export const BREAKS = ['event-left-out', 'final-event-left-out', 'gap-in-the-log', 'ack-before-commit'] as const;
export type Break = (typeof BREAKS)[number];
