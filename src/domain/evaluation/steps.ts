// AG-UI events → trajectory steps, by the table of the contract (4.6). Pure: it gets events in a legal order, chunks
// expanded and old names renamed, and the time; it says which steps they add.

export const STEP_TYPES = ['tool_result', 'assistant', 'action', 'response', 'thinking'] as const;
export type StepType = (typeof STEP_TYPES)[number];

export interface Step {
  readonly id: string;
  /** Epoch ms: the event's own where it has one. */
  readonly timestamp: number;
  readonly type: StepType;
  readonly content: string;
  readonly toolName?: string;
  readonly toolArgs?: Readonly<Record<string, unknown>>;
  readonly toolOutput?: string;
  readonly status?: 'SUCCESS' | 'FAILURE';
  readonly latencyMs?: number;
}

/** An event as it came: `type` and whatever else. */
export type AgentEvent = Readonly<Record<string, unknown>> & { readonly type: string };

interface Text { timestamp: number; readonly role: string; readonly parts: string[] }
interface Call { readonly id: string; readonly timestamp: number; readonly name: string; readonly parts: string[]; acted: boolean }

const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON text, or null: arguments and results come from outside and need not be JSON. */
function parse(raw: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(raw) as unknown };
  } catch {
    return null;
  }
}

function argsOf(raw: string): Record<string, unknown> {
  if (raw.trim() === '') return {}; // a tool without arguments
  const parsed = parse(raw);
  return parsed !== null && isRecord(parsed.value) ? parsed.value : { _raw: raw };
}

const pretty = (raw: string): string => {
  const parsed = parse(raw);
  return parsed === null ? raw : typeof parsed.value === 'string' ? parsed.value : JSON.stringify(parsed.value, null, 2);
};

/** `key: value` pairs, one to a line or with commas, as activity descriptions have them. */
function pairs(description: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const part of description.split(/\n|,(?=\s*[\w.-]+\s*:)/)) {
    const at = part.indexOf(':');
    const key = part.slice(0, Math.max(at, 0)).trim();
    if (/^[\w.-]{1,100}$/.test(key) && key !== '__proto__') found[key] = part.slice(at + 1).trim();
  }
  return found;
}

export class StepConverter {
  runId: string | null = null;
  threadId: string | null = null;
  finished = false;
  failed: string | null = null;
  #count = 0;
  readonly #texts = new Map<string, Text>();
  readonly #thoughts = new Map<string, Text>();
  readonly #calls = new Map<string, Call>();
  readonly #activities = new Map<string, { readonly name: string; readonly since: number }>();
  /** The newest assistant text waits for what comes next: the last one of a run is its response. */
  #held: Step | null = null;
  #lastText: Step | null = null;

  /** The steps this event adds, in order. One with an id that was there replaces it. */
  accept(event: AgentEvent, now: number): Step[] {
    const held = this.#held;
    const steps = this.#convert(event, typeof event['timestamp'] === 'number' ? event['timestamp'] : now);
    if (held === null || this.#held !== held || (steps.length === 0 && event.type !== 'RUN_ERROR')) return steps;
    this.#held = null;
    return [held, ...steps];
  }

  /** The stream ended, whatever it was about to say. */
  end(): Step[] {
    const held = this.#held;
    this.#held = null;
    return held === null ? [] : [held];
  }

  #convert(event: AgentEvent, at: number): Step[] {
    const id = text(event['messageId']);
    switch (event.type) {
      case 'RUN_STARTED': this.#reset(event); return [];
      case 'TEXT_MESSAGE_START': this.#texts.set(id, { timestamp: at, role: text(event['role']), parts: [] }); return [];
      case 'TEXT_MESSAGE_CONTENT': this.#texts.get(id)?.parts.push(text(event['delta'])); return [];
      case 'TEXT_MESSAGE_END': return this.#endText(id, at);
      case 'REASONING_MESSAGE_START': this.#thoughts.set(id, { timestamp: at, role: '', parts: [] }); return [];
      case 'REASONING_MESSAGE_CONTENT': this.#thoughts.get(id)?.parts.push(text(event['delta'])); return [];
      case 'REASONING_MESSAGE_END': return this.#endThought(id);
      case 'TOOL_CALL_START':
        this.#calls.set(text(event['toolCallId']), { id: this.#newId(), timestamp: at, name: text(event['toolCallName']), parts: [], acted: false });
        return [];
      case 'TOOL_CALL_ARGS': this.#calls.get(text(event['toolCallId']))?.parts.push(text(event['delta'])); return [];
      case 'TOOL_CALL_END': return this.#act(this.#calls.get(text(event['toolCallId'])));
      case 'TOOL_CALL_RESULT': return this.#result(event, at);
      case 'ACTIVITY_SNAPSHOT': return this.#activity(id, event['content'], at);
      case 'ACTIVITY_DELTA': return this.#activityEnd(id, event['patch'], at);
      case 'RUN_ERROR': {
        this.failed = text(event['message']);
        return [{ id: this.#newId(), timestamp: at, type: 'tool_result', content: `Error: ${this.failed}`, status: 'FAILURE' }];
      }
      case 'RUN_FINISHED': return this.#finish();
      default: return [];
    }
  }

  #reset(event: AgentEvent): void {
    this.runId = text(event['runId']);
    this.threadId = text(event['threadId']);
    this.finished = false;
    this.#lastText = null;
    for (const map of [this.#texts, this.#thoughts, this.#calls, this.#activities]) map.clear();
  }

  #newId(): string { return `step-${++this.#count}`; }

  #endText(id: string, at: number): Step[] {
    const open = this.#texts.get(id);
    this.#texts.delete(id);
    const content = open?.parts.join('') ?? '';
    if (content.trim() === '') return [];
    const step: Step = { id: this.#newId(), timestamp: at, type: this.finished ? 'response' : 'assistant', content };
    if (this.finished || (open !== undefined && open.role !== '' && open.role !== 'assistant')) return [step]; // what others are quoted with is no answer
    const before = this.#held;
    this.#held = step;
    this.#lastText = step;
    return before === null ? [] : [before];
  }

  #endThought(id: string): Step[] {
    const open = this.#thoughts.get(id);
    this.#thoughts.delete(id);
    const content = open?.parts.join('') ?? '';
    return open === undefined || content.trim() === '' ? [] : [{ id: this.#newId(), timestamp: open.timestamp, type: 'thinking', content }];
  }

  #act(call: Call | undefined): Step[] {
    if (call === undefined || call.acted) return [];
    call.acted = true;
    return [{ id: call.id, timestamp: call.timestamp, type: 'action', content: `Calling ${call.name}...`, toolName: call.name, toolArgs: argsOf(call.parts.join('')) }];
  }

  #result(event: AgentEvent, at: number): Step[] {
    const call = this.#calls.get(text(event['toolCallId']));
    if (call === undefined) return [];
    const content = pretty(text(event['content']));
    return [...this.#act(call), {
      id: this.#newId(), timestamp: at, type: 'tool_result', content, toolName: call.name, toolOutput: content, status: 'SUCCESS',
      latencyMs: Math.max(0, at - call.timestamp),
    }];
  }

  #activity(id: string, content: unknown, at: number): Step[] {
    if (!isRecord(content) || typeof content['title'] !== 'string') return [];
    const name = content['title'].replace(/^Running /, '').replace(/ completed$/, '');
    this.#activities.set(id, { name, since: at });
    const description = text(content['description']);
    return [{ id: this.#newId(), timestamp: at, type: 'action', content: `Calling ${name}...`, toolName: name, toolArgs: pairs(description) }];
  }

  #activityEnd(id: string, patch: unknown, at: number): Step[] {
    const changes = Array.isArray(patch) ? patch.filter(isRecord) : [];
    const isDone = changes.some((change) => change['path'] === '/icon' && (change['value'] === 'Check' || change['value'] === 'CheckCircle'));
    if (!isDone) return [];
    const activity = this.#activities.get(id);
    const said = changes.find((change) => change['path'] === '/description')?.['value'];
    const content = typeof said === 'string' && said !== '' ? said : 'Completed';
    return [{
      id: this.#newId(), timestamp: at, type: 'tool_result', content, toolOutput: content, status: 'SUCCESS',
      ...(activity === undefined ? {} : { toolName: activity.name, latencyMs: Math.max(0, at - activity.since) }),
    }];
  }

  #finish(): Step[] {
    this.finished = true;
    this.#held = null;
    const last = this.#lastText;
    this.#lastText = null;
    return last === null ? [] : [{ ...last, type: 'response' }];
  }
}

/** Keeps a list of steps up to date: a step that was there is replaced where it stands. */
export function addStep(steps: Step[], step: Step): void {
  const at = steps.findLastIndex(({ id }) => id === step.id);
  if (at >= 0) steps[at] = step;
  else steps.push(step);
}

/** As the contract has it of a trajectory made anew from raw events. */
export const byTime = (steps: readonly Step[]): Step[] => steps.toSorted((a, b) => a.timestamp - b.timestamp);
