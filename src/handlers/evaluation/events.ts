// One agent's events, judged as the official client judges them (schemas, chunks, order) and turned into steps.
// The client's library is loaded with the first evaluation: a server that never evaluates does not carry it.
import { addStep, type AgentEvent, type Step, StepConverter } from '../../domain/evaluation/steps.ts';
import { clipStep } from './clip.ts';

/** What an event came to be refused for; the run ends with it. */
export interface EventProblem { readonly message: string }

export interface EventReader {
  readonly steps: readonly Step[];
  readonly count: number;
  readonly runId: string | null;
  readonly finished: boolean;
  /** The message of RUN_ERROR. */
  readonly failed: string | null;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly cost: number | null } | null;
  /** Takes an event as it came; null, or why the stream is not worth reading on. */
  accept(value: unknown, now: number): EventProblem | null;
  /** The stream is over: what was held back is a step, too. */
  end(): void;
}

/** The official client's own names for what was called otherwise before 1.0. */
const RENAMED: Readonly<Record<string, string>> = {
  THINKING_START: 'REASONING_START', THINKING_END: 'REASONING_END', THINKING_TEXT_MESSAGE_START: 'REASONING_MESSAGE_START',
  THINKING_TEXT_MESSAGE_CONTENT: 'REASONING_MESSAGE_CONTENT', THINKING_TEXT_MESSAGE_END: 'REASONING_MESSAGE_END',
};
/** What older agents send as null where it is absent. */
const NULL_IS_ABSENT = ['rawEvent', 'parentMessageId', 'outcome', 'result', 'timestamp', 'usage', 'metadata', 'input', 'name', 'code', 'subagentRunId'];

class Renamer {
  #count = 0;
  #span: string | null = null;
  #message: string | null = null;

  rename(event: AgentEvent): AgentEvent {
    const nulls = NULL_IS_ABSENT.filter((name) => event[name] === null);
    const clean = nulls.length === 0 ? event : (Object.fromEntries(Object.entries(event).filter(([name]) => !nulls.includes(name))) as AgentEvent);
    const type = RENAMED[clean.type];
    if (type === undefined) return clean;
    if (clean.type === 'THINKING_START') this.#span = this.#newId();
    if (clean.type === 'THINKING_TEXT_MESSAGE_START') this.#message = this.#newId();
    const isSpan = clean.type === 'THINKING_START' || clean.type === 'THINKING_END';
    const { title: _title, ...rest } = clean;
    return { ...rest, type, messageId: (isSpan ? this.#span : this.#message) ?? 'thinking', ...(type === 'REASONING_MESSAGE_START' ? { role: 'reasoning' } : {}) };
  }

  #newId(): string { return `thinking-${++this.#count}`; }
}

const isEvent = (value: unknown): value is AgentEvent => typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

/** @param onStep told of each step as it becomes known; one with a known id replaces it */
export async function openEvents(onStep: (step: Step) => void): Promise<EventReader> {
  const [{ transformChunks, verifyEvents }, { EventSchema }, { Subject }] = await Promise.all([import('@ag-ui/client'), import('@ag-ui/core/schemas'), import('rxjs')]);
  const known = new Set(EventSchema.options.map((option) => String(option.shape.type.value)));
  const renamer = new Renamer();
  const converter = new StepConverter();
  const steps: Step[] = [];
  let count = 0;
  let at = 0;
  let problem: EventProblem | null = null;
  let usage: EventReader['usage'] = null;
  const keep = (list: readonly Step[]): void => {
    for (const whole of list) {
      const step = clipStep(whole);
      addStep(steps, step);
      onStep(step);
    }
  };
  const source = new Subject<never>();
  verifyEvents()(transformChunks()(source)).subscribe({
    next: (event) => keep(converter.accept(event as unknown as AgentEvent, at)),
    error: (error: Error) => { problem = { message: `The events are not in a legal order: ${error.message}` }; },
  });

  return {
    steps,
    get count() { return count; },
    get runId() { return converter.runId; },
    get finished() { return converter.finished; },
    get failed() { return converter.failed; },
    get usage() { return usage; },
    accept(value, now) {
      if (problem !== null) return problem;
      count += 1;
      at = now;
      if (!isEvent(value)) return (problem = { message: 'An event of the stream is not an object with a type.' });
      const event = renamer.rename(value);
      if (!known.has(event.type)) return null; // a later version's, or an extension: nothing is lost that we would use
      const checked = EventSchema.safeParse(event);
      if (!checked.success) {
        const [issue] = checked.error.issues;
        return (problem = { message: `An event ${event.type} is malformed: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim() });
      }
      usage = addUsage(usage, event['usage']);
      source.next(checked.data as never);
      return problem;
    },
    end() { keep(converter.end()); },
  };
}

const figure = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0);

/** As RUN_FINISHED and RUN_ERROR report it: one object, or a list with one for each model. */
function addUsage(before: EventReader['usage'], given: unknown): EventReader['usage'] {
  const list = (Array.isArray(given) ? given : [given]).filter((one): one is Record<string, unknown> => typeof one === 'object' && one !== null);
  return list.reduce<EventReader['usage']>((sum, one) => ({
    inputTokens: (sum?.inputTokens ?? 0) + figure(one['inputTokens']), outputTokens: (sum?.outputTokens ?? 0) + figure(one['outputTokens']),
    cost: one['cost'] === undefined ? (sum?.cost ?? null) : (sum?.cost ?? 0) + figure(one['cost']),
  }), before);
}
