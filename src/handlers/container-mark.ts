// Where a container job stands, as it is kept with its output: whoever takes the attempt up goes on exactly there.
import type { Claim } from '../domain/commands.ts';
import type { Outcome } from '../domain/outcome.ts';
import { type CapState, EMPTY_CAP } from './container-cap.ts';
import type { Cursor } from './container-output.ts';

export interface Mark {
  /** null: it was not created yet, as far as anybody knows; its name tells. */
  readonly container: string | null;
  /** The engine as it was when the container was started. */
  readonly engine: string | null;
  readonly cursor: Cursor;
  /** Of the whole job: what earlier attempts printed counts. */
  readonly cap: CapState;
  /** All of its standard input was written. */
  readonly fed: boolean;
  /** All is collected; what is left to do is to remove it and to answer this. */
  readonly outcome: Outcome | null;
}

const START: Cursor = { stdout: 0, stderr: 0 };

export function markOf({ kept, attempt }: Claim): Mark {
  const mark = kept === null ? null : (JSON.parse(kept.mark) as Mark);
  if (mark !== null && kept?.attempt === attempt) return mark;
  return { container: null, engine: null, cursor: START, cap: mark?.cap ?? EMPTY_CAP, fed: false, outcome: null };
}
