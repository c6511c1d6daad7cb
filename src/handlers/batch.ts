// `batch`: its work is its children. This runs only for the call of its own that it makes when they have ended.
// The call carries what a callback would (the batch so far and its children's final results), and the original data
// as `data`; the answer decides the batch exactly as it decides a `request`.
import { readJson } from '../domain/read-json.ts';
import type { Handler } from './handler.ts';
import { batchInput } from './inputs.ts';
import { ask, type AskTools, terminal } from './request.ts';

export const createBatch = (tools: AskTools): Handler => async (job, context) => {
  const input = batchInput.parse(readJson(job.input));
  if (input.url === undefined) return { kind: 'done', result: null };
  const final = await context.finalBody(job.id);
  if (final === null) return terminal('handler_error', `Batch ${job.id} was deleted before its final call.`);
  return await ask(tools, { url: input.url, method: input.method ?? 'POST', body: { ...final, data: input.body ?? null } }, job, context);
};
