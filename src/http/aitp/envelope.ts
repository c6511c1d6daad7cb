// How this dialect says no: `{"detail": "<text>"}`, for every refusal under its prefixes. It answers 200 to whatever went well.
import { z } from 'zod';
import type { RefusalSchema } from '../answers.ts';
import type { Envelope } from '../deps.ts';
import { hintWithoutErrors, type Problem } from '../problem.ts';

/** Tasks and their schedules; the agents' own prefix is another one of this dialect. */
export const PREFIX = '/aitp/';

const JSON_TYPE = 'application/json; charset=utf-8';

/** What a schema finds wrong, it names the place of: 422, as is a body that is no JSON. What only the server can judge is 400. */
function statusOf({ code, status, errors }: Problem): number {
  if (code === 'malformed_body') return 422;
  if (code === 'invalid_request' || code === 'invalid') return errors === undefined ? 400 : 422;
  return status;
}

function render(problem: Problem): { status: number; contentType: string; text: string } {
  const detail = problem.status === 404 ? problem.detail : `${problem.detail} ${hintWithoutErrors(problem)}`;
  return { status: statusOf(problem), contentType: JSON_TYPE, text: JSON.stringify({ detail }) };
}

export const aitpEnvelopes: readonly Envelope[] = [{ prefix: PREFIX, headers: {}, render }];

export const errorSchema = z.object({ detail: z.string().describe('What is wrong, and what to do') });
export const refusalSchema: RefusalSchema = { contentType: 'application/json', schema: errorSchema, statusOf: (status) => status };
