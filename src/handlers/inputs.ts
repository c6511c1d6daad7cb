// What each job type takes. One schema per type: what a submission is checked against is what the handler reads.
import { z } from 'zod';
import { containerInput, type ContainerRules } from './container-input.ts';
import { checkHeaders, HEADERS_MAX, URL_LENGTH_MAX } from './egress/guard.ts';

/** A POST of this many participants still shows on one page; more are a batch. */
export const PARTICIPANTS_MAX = 1_000;
/** Ten minutes: what one slow answer of an agent may take. Longer work should answer PENDING and be asked again. */
export const CALL_TIMEOUT_MAX = 600_000;
/** A day: longest sleep of a no-op, so that a typing error does not hold its place for ever. */
const SLEEP_MAX = 86_400_000;

const url = z.string().min(1).max(URL_LENGTH_MAX)
  .describe('Where to call: http or https. $JOB$ stands for the id of the job, $ARENA$, at the start only, for the base URL of this server.');
const method = z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).describe('POST if there is a body, else GET.');
const body = z.unknown().describe('Sent as JSON. A string is sent as it is if "headers" names a content-type that is not JSON.');
const headers = z.record(z.string(), z.string()).check((context) => {
  const bad = checkHeaders(context.value);
  if (bad !== null) context.issues.push({ code: 'custom', input: context.value, message: bad.message });
}).describe(`At most ${HEADERS_MAX}. Headers that frame the message (Host, Content-Length, …) are refused.`);
const timeout = z.int().min(1).max(CALL_TIMEOUT_MAX).describe('One call, ms: from connecting to the end of the answer.');

export const requestInput = z.strictObject({
  url, method: method.optional(), headers: headers.optional(), body: body.optional(), timeout: timeout.optional(),
});
/** As stored: a callback names the job it reports, and its body is made when it runs. Never accepted from outside. */
export const requestStored = requestInput.extend({ about: z.string().optional() });

export const verifyInput = z.strictObject({
  participants: z.array(z.strictObject({
    id: z.string().min(1).max(200).describe('Your name for it; comes back in the result.'),
    url, method: method.optional(), body: body.optional(),
  })).min(1).max(PARTICIPANTS_MAX),
});

export const batchInput = z.strictObject({
  url: url.optional().describe('Called when the children have ended; its answer decides the batch.'),
  method: method.optional().describe('POST if absent.'),
  body: body.optional().describe('Sent along as "data" in that call.'),
});

export const noopInput = z.strictObject({
  result: z.unknown().optional().describe('What the job comes to.'),
  sleep: z.int().min(0).max(SLEEP_MAX).optional().describe('ms before it ends.'),
  fail: z.string().max(1_000).optional().describe('Fails with this message instead.'),
});

export const INPUTS = { request: requestInput, verify: verifyInput, batch: batchInput, noop: noopInput } as const;

/** With what may run here. */
export const inputsFor = (rules: ContainerRules) => ({ ...INPUTS, container: containerInput(rules) });

export type RequestInput = z.infer<typeof requestInput>;
export type RequestStored = z.infer<typeof requestStored>;
export type VerifyInput = z.infer<typeof verifyInput>;
export type BatchInput = z.infer<typeof batchInput>;
export type NoopInput = z.infer<typeof noopInput>;

/** Fills in what a URL may leave open. The base URL loses its last slash, so that `$ARENA$/api` reads well. */
export const expandUrl = (raw: string, jobId: string, arenaUrl: string): string =>
  raw.replaceAll('$JOB$', () => encodeURIComponent(jobId)).replace(/^\$ARENA\$/, () => arenaUrl.replace(/\/+$/, ''));
