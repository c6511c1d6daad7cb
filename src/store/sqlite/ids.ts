// Ids: TypeIDs (job_, sched_ + UUIDv7 in base 32), sortable by creation, made by a maintained library.
import { typeidUnboxed } from 'typeid-js';

export const newJobId = (): string => typeidUnboxed('job');
export const newScheduleId = (): string => typeidUnboxed('sched');

/** The part behind the prefix: for ids whose prefix is somebody else's word. */
export const newSuffix = (): string => typeidUnboxed('x').slice(2);
