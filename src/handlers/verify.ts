// `verify`: one `request` child per participant, in their order. The children's roll-up decides it.
import type { NewJob } from '../domain/commands.ts';
import { EMPTY_SPEC } from '../domain/job.ts';
import { readJson } from '../domain/read-json.ts';
import type { Handler } from './handler.ts';
import { type RequestInput, verifyInput } from './inputs.ts';

export const createVerify = (): Handler => async (job) => {
  // Taken up again with all its children there: nothing is asked twice, the roll-up decides.
  if (job.children.total > 0) return { kind: 'spawn', children: [] };
  const { participants } = verifyInput.parse(readJson(job.input));
  return { kind: 'spawn', children: participants.map(({ id: _name, ...call }) => child(call)) };
};

const child = (input: RequestInput): NewJob => ({ type: 'request', input: JSON.stringify(input), spec: EMPTY_SPEC });
