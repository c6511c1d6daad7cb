// The ways in which broken-writer.ts breaks its word. Each must be caught, or the harness is blind.
export const BREAKS = [
  'event-left-out', 'final-event-left-out', 'gap-in-the-log', 'ack-before-commit', 'key-forgotten', 'lease-left-behind', 'kill-burns-a-retry', 'child-not-let-in',
] as const;
export type Break = (typeof BREAKS)[number];
/** Of schedules, which that load does not have: nemesis/schedules.ts. */
export type ScheduleBreak = 'advance-apart';

/** Breaks of the commit, each for one fault of the disk; see broken-commit.ts. */
export const COMMIT_BREAK_NAMES = ['events-apart', 'ack-when-full', 'carry-on', 'no-look', 'checkpoint-unheard'] as const;
export type CommitBreak = (typeof COMMIT_BREAK_NAMES)[number];
export const isCommitBreak = (way: string | undefined): way is CommitBreak => COMMIT_BREAK_NAMES.some((name) => name === way);
