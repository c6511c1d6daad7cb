// One run of an agent: the AG-UI payload out, the event stream in, until it has ended, broken or met a limit.
import type { Claim } from '../../domain/commands.ts';
import { demoStream } from '../../domain/evaluation/demo-agent.ts';
import { DEMO_ENDPOINT, type EvaluationInput } from '../../domain/evaluation/model.ts';
import { byTime, type Step } from '../../domain/evaluation/steps.ts';
import type { JobErrorCode } from '../../domain/job.ts';
import { clipText, stepSize } from './clip.ts';
import { openEvents, type EventReader } from './events.ts';
import type { StreamFlow } from '../egress/stream.ts';
import { type Frame, Frames } from './frames.ts';
import type { Pump } from './pump.ts';
import type { EvaluationTools } from './tools.ts';

/** From the request to the first event: an agent may load a model, but says RUN_STARTED before it thinks. */
const FIRST_EVENT = 60_000;
/** Between two events: a reasoning model that shows nothing of it is silent for half a minute at most; twice that. */
const SILENCE = 60_000;
/** The whole run, if neither the agent nor the run say otherwise: ten minutes, as a request may take. */
export const TOTAL = 600_000;
/** Of the stream: a thousand events of 32 KiB. */
const STREAM_BYTES = 32 * 1_048_576;
/** Raw events kept in a report, bytes of JSON; what comes after is counted and not kept. */
const RAW_BYTES = 4 * 1_048_576;
/** A trajectory longer than this is a loop. */
const STEPS_MAX = 1_000;
/** Text of all steps, characters; they are written to the log, to the report and to the judge. */
const STEPS_TEXT = 4 * 1_048_576;
const EVENTS_MAX = 200_000;
/** Events read before others have their turn: about a fifth of a millisecond. */
const PIECE = 20;

export interface AgentRun {
  readonly steps: readonly Step[];
  /** JSON text of the list. */
  readonly rawEvents: string;
  readonly rawDropped: number;
  readonly events: number;
  readonly runId: string | null;
  readonly usage: EventReader['usage'];
  readonly duration: number;
  /** A limit of the case that cut it short: not an error. */
  readonly limit: string | null;
  readonly error: { readonly code: JobErrorCode; readonly message: string } | null;
  readonly aborted: boolean;
}

export interface Payload {
  readonly threadId: string;
  readonly runId: string;
  readonly messages: readonly { readonly id: string; readonly role: 'user'; readonly content: string }[];
  readonly tools: readonly unknown[];
  readonly context: readonly unknown[];
  readonly state: object;
  readonly forwardedProps: object;
}

/** What agents of the seed's kind expect to be offered when a case names no tools. */
const DEFAULT_TOOLS = [{
  name: 'execute_ppl_query', description: 'Runs a PPL query',
  parameters: { type: 'object', properties: { query: { type: 'string' }, autoExecute: { type: 'boolean' }, description: { type: 'string' } }, required: ['query'] },
}];

/** Named after the attempt, so that a run that is done again is another run to the agent. */
export function payloadOf(input: EvaluationInput, job: Pick<Claim, 'id' | 'attempt' | 'claimedAt'>): Payload {
  const name = `${job.claimedAt}-${job.id.slice(-8)}-${job.attempt}`;
  return {
    threadId: `thread-${name}`, runId: `run-${name}`, messages: [{ id: `msg-${name}`, role: 'user', content: input.useCase.initialPrompt }],
    tools: input.useCase.tools ?? DEFAULT_TOOLS, context: input.useCase.context, state: {}, forwardedProps: {},
  };
}

export interface RunOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly onStep: (step: Step) => void;
  readonly signal: AbortSignal;
}

export async function runAgent(tools: EvaluationTools, pump: Pump, input: EvaluationInput, job: Claim, { headers, onStep, signal }: RunOptions): Promise<AgentRun> {
  const { clock } = tools;
  const limits = input.limits ?? {};
  const total = Math.min(limits.time ?? Infinity, input.agent.timeouts?.total ?? TOTAL, job.spec.timeout ?? Infinity);
  let textSize = 0;
  const reader = await openEvents((step) => {
    textSize += stepSize(step);
    onStep(step);
  });
  const frames = new Frames();
  const raw: string[] = [];
  let rawBytes = 0;
  let rawDropped = 0;
  let limit: string | null = null;
  let broken: string | null = null;

  const waiting: Frame[] = [];
  let flow: StreamFlow | null = null;
  let enough = false;
  let reading: Promise<void> | null = null;

  /** False: enough was read. */
  const take = (frame: Frame): boolean => {
    if (frame.kind === 'broken') broken = frame.message;
    else {
      if (rawBytes + frame.text.length <= RAW_BYTES) {
        raw.push(frame.text);
        rawBytes += frame.text.length + 1;
      } else rawDropped += 1;
      broken = reader.accept(frame.value, clock.now())?.message ?? null;
    }
    if (broken !== null || reader.finished || reader.failed !== null) return false;
    limit = limitOf(reader, limits, textSize);
    return limit === null;
  };
  /** A few events, then others have their turn. True: there is more. */
  const step = (): boolean => {
    for (let i = 0; i < PIECE && !enough; i++) {
      const frame = waiting.shift();
      if (frame === undefined) break;
      enough = !take(frame);
    }
    if (!enough && waiting.length > 0) return true;
    if (enough) flow?.stop();
    else flow?.resume();
    return false;
  };
  const read = (chunk: Buffer | null): void => {
    waiting.push(...frames.push(chunk));
    reading = pump.add(step).then(() => { reading = null; });
  };

  const since = clock.monotonic();
  const payload = payloadOf(input, job);
  tools.meter.streams(1);
  const end = input.agent.endpoint === DEMO_ENDPOINT
    ? (read(Buffer.from(demoStream(payload))), { kind: 'closed' } as const)
    : await tools.egress.stream({
      url: input.agent.endpoint, method: 'POST', body: JSON.stringify(payload), headers: { ...headers, accept: 'text/event-stream', 'content-type': 'application/json' },
      ownHeaders: { 'muster-job-id': job.id, 'muster-attempt': String(job.attempt) },
    }, { total, first: input.agent.timeouts?.first ?? FIRST_EVENT, silence: input.agent.timeouts?.silence ?? SILENCE, maxBytes: STREAM_BYTES }, signal, {
      head: (answered, given) => {
        flow = given;
        const type = String(answered['content-type'] ?? '');
        if (/^text\/event-stream\b/i.test(type) || type === '') return true;
        broken = `The agent answered with ${clipText(type, 100)}, not with text/event-stream.`;
        return false;
      },
      data: read,
    });
  tools.meter.streams(-1);
  if (end.kind === 'closed') read(null);
  while (reading !== null) await reading; // what arrived before the end counts
  reader.end();
  tools.meter.events(reader.count);
  const duration = Math.round(clock.monotonic() - since);
  if (end.kind === 'timeout' && limits.time !== undefined && total === limits.time && duration >= total) limit = 'time';
  limit ??= usageLimit(reader, limits);
  return {
    steps: byTime(reader.steps), rawEvents: `[${raw.join(',')}]`, rawDropped, events: reader.count, runId: reader.runId, usage: reader.usage, duration, limit,
    aborted: end.kind === 'aborted', error: limit !== null ? null : errorOf(end, reader, broken),
  };
}

function limitOf(reader: EventReader, limits: NonNullable<EvaluationInput['limits']>, textSize: number): string | null {
  if (reader.steps.length >= (limits.steps ?? STEPS_MAX)) return 'steps';
  if (textSize > STEPS_TEXT) return 'text';
  if (reader.count >= EVENTS_MAX) return 'events';
  return usageLimit(reader, limits);
}

function usageLimit({ usage }: EventReader, limits: NonNullable<EvaluationInput['limits']>): string | null {
  if (usage === null) return null;
  if (limits.tokens !== undefined && usage.inputTokens + usage.outputTokens > limits.tokens) return 'tokens';
  return limits.cost !== undefined && usage.cost !== null && usage.cost > limits.cost ? 'cost' : null;
}

function errorOf(end: Awaited<ReturnType<EvaluationTools['egress']['stream']>>, reader: EventReader, broken: string | null): AgentRun['error'] {
  if (broken !== null) return { code: 'invalid_answer', message: broken };
  if (reader.failed !== null) return { code: 'participant_failed', message: `The agent reported an error: ${clipText(reader.failed, 500)}` };
  if (reader.finished) return null;
  switch (end.kind) {
    case 'closed': case 'stopped': return { code: 'invalid_answer', message: `The stream ended after ${reader.count} events, before RUN_FINISHED.` };
    case 'status': return { code: 'http_status', message: `The agent answered ${end.status}${end.body.trim() === '' ? '.' : `: ${clipText(end.body.replace(/\s+/g, ' ').trim(), 300)}`}` };
    case 'refused': return { code: 'egress_refused', message: end.message };
    case 'timeout': return { code: 'timeout', message: end.message };
    case 'too_large': return { code: 'answer_too_large', message: end.message };
    case 'unsendable': return { code: 'egress_refused', message: end.message };
    case 'network': case 'aborted': return { code: 'network', message: end.message };
  }
}
