// Which instants a pattern names: croner behind a door that takes five fields, a zone of the IANA database, and nothing else.
//
// What happens when a zone's clock is moved, stated and held by test/orchestrator/schedule-times.golden.json:
//   a pattern with a * in its minutes or hours follows real time: it is silent in the hour that is left out, and runs in
//   both passes of the hour that is repeated;
//   every other pattern names times of day: one that is left out is served once, at the first instant after the gap; one that
//   is repeated is served in its first pass. A date that a zone left out as a whole (Apia, 30 December 2011) is no date.
import { Cron } from 'croner';
import { DomainError } from '../domain/errors.ts';
import { type Elapsed, jitterOf, type Schedule, type ScheduleSpec } from '../domain/schedule.ts';

/** Five fields with every number of each spelled out have 400 characters. */
export const CRON_LENGTH_MAX = 512;
export const ZONE_LENGTH_MAX = 64;
const MINUTE = 60_000;
const FIELD = /^[0-9A-Za-z*,/#-]+$/;
/** Not an offset, and not a link to a file: only names. */
const ZONE = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+){0,2}$/;
/** Patterns in use, made ready: about 30 µs each to make, 1 KiB to keep. */
const KEPT = 10_000;
/** Elapsed instants that are counted one by one; of a year of a schedule of every minute the count then says "at least". */
const COUNTED_MAX = 20_000;
/** Instants worked out in one turn of the event loop: about 15 ms. */
const PER_TURN = 250;
const ZONES_KEPT = 500;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
/** A gap that ends at midnight begins after this. */
const LATE_HOUR = 21;

export type Pattern = Pick<ScheduleSpec, 'cron' | 'timezone'> & Partial<Pick<ScheduleSpec, 'startAt' | 'endAt'>>;

export class PatternError extends DomainError {
  readonly field: 'cron' | 'timezone';

  constructor(field: 'cron' | 'timezone', message: string, hint: string) {
    super('invalid', message, { hint });
    this.field = field;
  }
}

/** A pattern of times of day that has one in the last hours of the day. */
function namesLateHours(cron: string): boolean {
  const [minutes = '', hours = ''] = cron.split(' ', 2);
  if (minutes.includes('*') || hours.includes('*')) return false;
  return hours.split(',').some((part) => Number(part.split('/', 1)[0]?.split('-').at(-1)) >= LATE_HOUR);
}

const clip = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** Lets others have their turn between portions of the work. */
export type Pause = () => Promise<void>;

/** A change of a zone's clock on the day of an instant. */
export interface ClockChange {
  readonly at: number;
  /** gap: local times are left out; repeat: they come twice. */
  readonly kind: 'gap' | 'repeat';
}

export class ScheduleTimes {
  /** By what they say; the oldest goes when there are too many. */
  readonly #ready = new Map<string, Cron>();
  readonly #formats = new Map<string, Intl.DateTimeFormat>();

  /** @throws PatternError for whatever is no pattern of five fields in a zone that there is. Bounded work, whatever is sent. */
  check(pattern: Pick<Pattern, 'cron' | 'timezone'>): void {
    const { cron, timezone } = pattern;
    if (timezone.length > ZONE_LENGTH_MAX || !ZONE.test(timezone) || !this.#isZone(timezone)) {
      throw new PatternError('timezone', `There is no time zone ${clip(timezone)}.`, 'Use a name of the IANA database, such as Europe/London or UTC.');
    }
    if (cron.length > CRON_LENGTH_MAX) throw new PatternError('cron', `The pattern has ${cron.length} characters; ${CRON_LENGTH_MAX} are the limit.`, 'Use ranges and steps, such as */5 or 9-17.');
    const fields = cron.split(' ');
    const five = 'Write minute, hour, day of month, month and day of week with one space between them, such as "30 9 * * 1-5".';
    if (fields.length !== 5) throw new PatternError('cron', `The pattern ${clip(cron)} has ${fields.length} fields instead of 5.`, five);
    if (!fields.every((field) => FIELD.test(field))) throw new PatternError('cron', `The pattern ${clip(cron)} has characters that no field can have.`, five);
    try {
      this.#cron(pattern);
    } catch (error) {
      throw new PatternError('cron', `${clip(cron)} is no pattern: ${error instanceof Error ? error.message.slice(0, 200) : String(error)}`, five);
    }
  }

  /** The first instant after `at`, within its start and end; null: none. */
  after(pattern: Pattern, at: number): number | null {
    const from = Math.max(at, (pattern.startAt ?? -Infinity) - 1);
    const found = this.#cron(pattern).nextRun(new Date(from))?.getTime() ?? null;
    const next = found !== null && namesLateHours(pattern.cron) ? (this.#gapToMidnight(pattern, from, found) ?? found) : found;
    return next === null || next > (pattern.endAt ?? Infinity) ? null : next;
  }

  /** The next n instants after `at`. */
  next(pattern: Pattern, at: number, count: number): number[] {
    const list: number[] = [];
    for (let next = this.after(pattern, at); next !== null && list.length < count; next = this.after(pattern, next)) list.push(next);
    return list;
  }

  /** Every instant in [from, to], at most `max` and one more. */
  async between(pattern: Pattern, from: number, to: number, max: number, pause: Pause): Promise<number[]> {
    const list: number[] = [];
    for (let next = this.after(pattern, from - 1); next !== null && next <= to && list.length <= max; next = this.after(pattern, next)) {
      list.push(next);
      if (list.length % PER_TURN === 0) await pause();
    }
    return list;
  }

  /** What elapsed of a schedule from its next instant up to now, jitter and all, and what comes then. `keep`: how many of the newest may be served. */
  async elapsed(schedule: Pick<Schedule, 'id' | 'spec'>, from: number, now: number, keep: number, pause: Pause): Promise<{ elapsed: Elapsed; next: number | null }> {
    const { spec } = schedule;
    const opens = now - spec.window - spec.jitter;
    let older = 0;
    let count = 0;
    let newest: number[] = [];
    let at: number | null = from;
    for (let steps = 1; at !== null && at + jitterOf(schedule, at) <= now; steps++) {
      if (steps > COUNTED_MAX) return this.#farBehind(spec, Math.max(at, opens), now, { older, count, keep }, pause);
      if (at < opens) older += 1;
      else {
        count += 1;
        newest.push(at);
        if (newest.length > 2 * keep) newest = newest.slice(-keep);
      }
      at = this.after(spec, at);
      if (steps % PER_TURN === 0) await pause();
    }
    return { elapsed: { older, count, newest: newest.slice(-keep) }, next: at };
  }

  /** The newest instants, looked for from here back, a little farther each time; what lies between is not counted. */
  async #farBehind(spec: ScheduleSpec, from: number, now: number, known: { older: number; count: number; keep: number }, pause: Pause): Promise<{ elapsed: Elapsed; next: number | null }> {
    let newest: number[] = [];
    for (let back = HOUR; newest.length < known.keep; back *= 4) {
      const start = Math.max(from, now - back);
      newest = await this.between(spec, start, now, Number.MAX_SAFE_INTEGER, pause);
      if (start === from) break;
    }
    return { elapsed: { older: known.older, count: known.count + newest.length, newest: newest.slice(-known.keep) }, next: this.after(spec, Math.max(now, newest.at(-1) ?? now)) };
  }

  /** The change of the zone's clock that leaves out or repeats times on the local day of this instant, or null. */
  clockChange(timezone: string, at: number): ClockChange | null {
    const day = Math.floor((at + this.offset(timezone, at)) / DAY) * DAY;
    const start = Math.floor((day - this.offset(timezone, at) - 12 * HOUR) / 1_000) * 1_000;
    const { at: moved, before, after } = this.#changeBetween(timezone, start, start + 48 * HOUR);
    if (before === after) return null;
    const [from, to] = [moved + Math.min(before, after), moved + Math.max(before, after)];
    return from < day + DAY && to > day ? { at: moved, kind: after > before ? 'gap' : 'repeat' } : null;
  }

  /** ms that the zone is ahead of UTC. */
  offset(timezone: string, at: number): number {
    const part = Object.fromEntries(this.#format(timezone).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(part['year'] ?? 0, (part['month'] ?? 1) - 1, part['day'] ?? 1, part['hour'] ?? 0, part['minute'] ?? 0, part['second'] ?? 0) - Math.floor(at / 1_000) * 1_000;
  }

  /**
   * croner 11.0.1 loses a time of day in a gap that ends at midnight (Nuuk, 23:00 to 24:00 on the last Saturday of March): by the
   * rule it is served at midnight. Looked for only where the pattern names such hours.
   */
  #gapToMidnight({ cron, timezone }: Pattern, from: number, to: number): number | null {
    for (let low = from; low < to; low += WEEK) {
      const high = Math.min(to, low + WEEK);
      if (this.offset(timezone, low) >= this.offset(timezone, high)) continue;
      const { at, before, after } = this.#changeBetween(timezone, low, high);
      if ((at + after) % DAY !== 0 || after - before >= DAY || at <= from || at >= to) continue;
      const named = this.#cron({ cron, timezone: 'UTC' }).nextRun(new Date(at + before - 1))?.getTime() ?? Infinity;
      if (named < at + after) return at;
    }
    return null;
  }

  #changeBetween(timezone: string, from: number, to: number): { readonly at: number; readonly before: number; readonly after: number } {
    let [low, high] = [from, to];
    const before = this.offset(timezone, low);
    const after = this.offset(timezone, high);
    while (high - low > 1_000) {
      const middle = Math.floor((low + high) / 2_000) * 1_000;
      if (middle <= low) break;
      if (this.offset(timezone, middle) === before) low = middle;
      else high = middle;
    }
    return { at: Math.floor(high / 1_000) * 1_000, before, after };
  }

  #cron({ cron, timezone }: Pattern): Cron {
    const name = `${timezone} ${cron}`;
    const known = this.#ready.get(name);
    if (known !== undefined) return known;
    const made = new Cron(cron, { timezone, paused: true, mode: '5-part', fixedTimeRule: 'no-wildcard' });
    if (this.#ready.size >= KEPT) this.#ready.delete(this.#ready.keys().next().value ?? '');
    this.#ready.set(name, made);
    return made;
  }

  #isZone(name: string): boolean {
    try {
      this.#format(name);
      return true;
    } catch {
      return false;
    }
  }

  #format(timezone: string): Intl.DateTimeFormat {
    const known = this.#formats.get(timezone);
    if (known !== undefined) return known;
    const made = new Intl.DateTimeFormat('en-US', { timeZone: timezone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
    if (this.#formats.size >= ZONES_KEPT) this.#formats.delete(this.#formats.keys().next().value ?? '');
    this.#formats.set(timezone, made);
    return made;
  }
}
