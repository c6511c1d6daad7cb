// Ids: TypeIDs (job_, sched_ + UUIDv7 in base 32), sortable by creation, made by a maintained library.
import { createHash } from 'node:crypto';
import { typeidUnboxed } from 'typeid-js';

export const newJobId = (): string => typeidUnboxed('job');
export const newScheduleId = (): string => typeidUnboxed('sched');

/** The part behind the prefix: for ids whose prefix is somebody else's word. */
export const newSuffix = (): string => typeidUnboxed('x').slice(2);

/**
 * Names an installation to others: what the file was made with, at the place where it is. A backup that was restored beside it is
 * another one, or each would take the other's containers for its own and remove them.
 */
export const instanceAt = (made: string, path: string): string => createHash('sha256').update(`${made} ${path}`).digest('hex').slice(0, 32);
