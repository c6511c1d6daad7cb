// Job ids: TypeIDs (job_ + UUIDv7 in base 32), sortable by creation, made by a maintained library.
import { typeidUnboxed } from 'typeid-js';

export const newJobId = (): string => typeidUnboxed('job');
