// A judge behind an OpenAI-compatible endpoint, through the official client. It never retries: each try is an attempt of
// the job, with its own error and backoff. The key is looked up here, sent, and cut out of everything that comes back.
import { randomUUID } from 'node:crypto';
import type { APIError as OpenAIError } from 'openai';
import type { JudgeInput, Usage, Verdict } from '../../domain/evaluation/model.ts';
import type { Step } from '../../domain/evaluation/steps.ts';
import type { JobError } from '../../domain/job.ts';
import { retryAfter } from '../answer.ts';
import { EgressError, guardedFetch } from '../egress/fetch.ts';
import { clipText } from './clip.ts';
import { promptOf, PROMPT_VERSION, VERDICT_SCHEMA } from './prompt.ts';
import { redactJson, redactor } from './redact.ts';
import type { EvaluationTools } from './tools.ts';
import { readVerdict } from './verdict.ts';

/** A long trajectory takes a large model about a minute. */
const JUDGE_TIMEOUT = 120_000;
const TOKENS_MAX = 4_096;
const TEMPERATURE = 0.1;

export type JudgeAnswer =
  | { readonly ok: true; readonly verdict: Verdict }
  | { readonly ok: false; readonly error: JobError; readonly delay?: number | undefined };

export async function askModel(tools: EvaluationTools, input: JudgeInput, trajectory: readonly Step[], signal: AbortSignal): Promise<JudgeAnswer> {
  const { judge } = input;
  const secret = JSON.parse((await tools.secret('model', judge.modelId)) ?? '{}') as { apiKey?: string; headers?: Record<string, string> };
  const redact = redactor([...(secret.apiKey === undefined ? [] : [secret.apiKey]), ...Object.values(secret.headers ?? {})]);
  const { default: OpenAI, APIError } = await import('openai');
  const timeout = judge.timeout ?? JUDGE_TIMEOUT;
  // Everything is named: what is left out the client would look for in the environment.
  const client = new OpenAI({
    apiKey: secret.apiKey ?? 'none', baseURL: judge.baseUrl ?? '', organization: null, project: null, webhookSecret: null, maxRetries: 0, timeout: timeout + 1_000, logLevel: 'off',
    defaultHeaders: { ...secret.headers }, fetch: guardedFetch(tools.egress, { total: timeout, body: timeout, headers: timeout }, signal),
  });
  const { system, user } = promptOf(input, trajectory, randomUUID());
  const since = tools.clock.monotonic();
  try {
    const answer = await client.chat.completions.create({
      model: judge.model ?? judge.modelId, max_tokens: TOKENS_MAX, temperature: TEMPERATURE, messages: [{ role: 'system', content: system }, { role: 'user', content: user }],
      response_format: { type: 'json_schema', json_schema: { name: 'verdict', strict: true, schema: VERDICT_SCHEMA } },
    }, { signal });
    const usage = usageOf(answer.usage, judge.prices);
    if (usage !== null) tools.meter.tokens(usage.inputTokens, usage.outputTokens);
    const text = (answer as { choices?: typeof answer.choices }).choices?.[0]?.message?.content;
    const read = readVerdict(typeof text === 'string' ? text : '');
    if (!read.ok) return { ok: false, error: { code: 'judge_invalid', message: redact(read.message), retryable: true } };
    return {
      ok: true, verdict: redactJson(redact, {
        ...read.verdict, judge: { kind: 'openai', modelId: judge.modelId, model: judge.model ?? null, prompt: PROMPT_VERSION }, usage, duration: Math.round(tools.clock.monotonic() - since),
      }),
    };
  } catch (error) {
    return failureOf(error, APIError, (text) => clipText(redact(text), 500), tools.clock.now());
  }
}

function usageOf(given: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | undefined, prices: JudgeInput['judge']['prices']): Usage | null {
  if (given === undefined || given === null) return null;
  const [inputTokens, outputTokens] = [given.prompt_tokens ?? 0, given.completion_tokens ?? 0];
  return { inputTokens, outputTokens, cost: prices === undefined ? null : (inputTokens * prices.input + outputTokens * prices.output) / 1_000_000 };
}

/** Worth another try: too many, gone for the moment, or a defect over there. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 409, 425, 429]);

function failureOf(error: unknown, APIError: typeof OpenAIError, say: (text: string) => string, now: number): JudgeAnswer {
  const cause = findCause(error);
  if (cause !== null) {
    const terminal = cause.kind === 'refused' || cause.kind === 'unsendable';
    const code = terminal ? 'egress_refused' : cause.kind === 'timeout' ? 'timeout' : cause.kind === 'too_large' ? 'answer_too_large' : 'network';
    return { ok: false, error: { code, message: say(`The judge could not be asked: ${cause.message}`), retryable: !terminal }, delay: cause.retryAfter };
  }
  if (error instanceof APIError && typeof error.status === 'number') {
    const retryable = RETRYABLE.has(error.status) || error.status >= 500;
    return { ok: false, error: { code: 'http_status', message: say(`The judge answered ${error.status}: ${error.message}`), retryable }, delay: retryAfter({ headers: { 'retry-after': error.headers?.get('retry-after') ?? undefined } }, now) };
  }
  // The client could not read the answer.
  return { ok: false, error: { code: 'judge_invalid', message: say(`The judge's answer cannot be read: ${error instanceof Error ? error.message : String(error)}`), retryable: true } };
}

function findCause(error: unknown): EgressError | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof EgressError) return at;
  return null;
}
