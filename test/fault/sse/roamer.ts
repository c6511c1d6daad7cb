// A reader that is cut off in every way there is and comes back with the last id it has. Keeps what each connection gave,
// so that afterwards each can be held against the log by itself: what came after its cursor, in order, nothing left out.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { parseBlock } from '../../support/sse.ts';
import type { Rng } from '../rng.ts';

export const CUTS = ['destroy', 'reset', 'half-close', 'pause', 'before-headers', 'older', 'twice'] as const;
export type Cut = (typeof CUTS)[number];

/** Where the server is. */
export interface Place {
  /** null while it is down. */
  url(): string | null;
  up(): Promise<void>;
}

export interface Connection {
  readonly after: number;
  readonly ids: number[];
}

/** Longest life of a connection, ms, and most bytes it may get: whichever comes first. */
const LIFE_MAX = 250;
const BYTES_MAX = 6_000;
/** How far back a client goes that comes with an older id. */
const BACK_MAX = 40;
/** ms before it comes back; clients wait 2 s, which would only make this slow. */
const AWAY_MAX = 30;

export class Roamer {
  readonly path: string;
  readonly connections: Connection[] = [];
  /** What a client has that keeps each id once: the block as sent. */
  readonly heard = new Map<number, string>();
  readonly violations: string[] = [];
  position = 0;
  /** The server says there is no more. */
  isOver = false;
  readonly #rng: Rng;
  readonly #counts: Record<Cut | 'broken', number>;
  #isCalm = false;
  #isStopped = false;
  #open = new Set<ClientRequest>();
  #done: Promise<void> = Promise.resolve();

  constructor(path: string, rng: Rng, counts: Record<Cut | 'broken', number>) {
    this.path = path;
    this.#rng = rng;
    this.#counts = counts;
  }

  start(place: Place): void { this.#done = this.#run(place); }
  /** From now on it is left alone. */
  calm(): void { this.#isCalm = true; }
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const outgoing of this.#open) outgoing.destroy();
    await this.#done;
  }
  get done(): Promise<void> { return this.#done; }

  async #run(place: Place): Promise<void> {
    while (!this.#isStopped && !this.isOver) {
      await place.up();
      const url = place.url();
      if (this.#isStopped) return;
      if (url !== null) {
        const cut = this.#isCalm ? null : this.#rng.pick(CUTS);
        if (cut === 'twice') await Promise.all([this.#once(url, cut, this.position), this.#once(url, cut, this.position)]);
        else await this.#once(url, cut, cut === 'older' ? this.#older() : this.position);
      }
      await new Promise((resolve) => { setTimeout(resolve, this.#rng.int(0, AWAY_MAX)); });
    }
  }

  #older(): number {
    const known = [...this.heard.keys()];
    return known.length === 0 ? 0 : (known[Math.max(0, known.length - 1 - this.#rng.int(0, BACK_MAX))] ?? 0);
  }

  /** One connection, from its request to its end. */
  #once(url: string, cut: Cut | null, after: number): Promise<void> {
    const rng = this.#rng;
    return new Promise((resolve) => {
      const connection: Connection = { after, ids: [] };

      let timer: NodeJS.Timeout | null = null;
      let isOurs = false;
      let hasAnswer = false;
      let bytesLeft = cut === null ? Infinity : rng.int(1, BYTES_MAX);
      const outgoing = request(url + this.path, { agent: false, headers: { accept: 'text/event-stream', ...(after === 0 ? {} : { 'last-event-id': String(after) }) } });
      this.#open.add(outgoing);
      const end = (): void => {
        if (timer !== null) clearTimeout(timer);
        this.#open.delete(outgoing);
        resolve();
      };
      const cutNow = (answer: IncomingMessage): void => {
        if (isOurs || cut === null) return;
        isOurs = true;
        this.#counts[cut] += 1;
        if (cut === 'reset') outgoing.socket?.resetAndDestroy();
        else if (cut === 'half-close') outgoing.socket?.end(); // the server may go on writing until it sees it
        else if (cut === 'pause') {
          answer.pause();
          timer = setTimeout(() => { outgoing.destroy(); answer.destroy(); }, rng.int(1, LIFE_MAX)); // the answer too: it may have ended unread
        } else outgoing.destroy();
      };
      outgoing.on('response', (answer) => {
        const { statusCode } = answer;
        hasAnswer = true;
        if (statusCode === 204) this.isOver = true;
        else if (statusCode === 200) {
          this.connections.push(connection);
          if (cut !== null) timer = setTimeout(() => cutNow(answer), rng.int(1, LIFE_MAX));
        } else if (statusCode !== 503) this.violations.push(`${this.path} answered ${statusCode} after ${after}`);
        let rest = '';
        let count = 0;
        answer.setEncoding('utf8');
        answer.on('data', (text: string) => {
          if (statusCode !== 200) return;
          rest += text;
          for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
            this.#take(rest.slice(0, at), connection, count);
            count += 1;
            rest = rest.slice(at + 2);
          }
          bytesLeft -= text.length;
          if (bytesLeft < 0) cutNow(answer);
        });
        answer.on('error', () => {});
        answer.on('close', () => {
          if (!isOurs && !this.#isStopped && !answer.complete) this.#counts.broken += 1;
          end();
        });
      });
      outgoing.on('error', end);
      if (cut === 'before-headers') {
        outgoing.on('finish', () => { timer = setTimeout(() => { if (!hasAnswer) { isOurs = true; this.#counts[cut] += 1; outgoing.destroy(); } }, rng.int(0, 2)); });
      }
      outgoing.end();
    });
  }

  #take(raw: string, connection: Connection, count: number): void {
    let block: ReturnType<typeof parseBlock>;
    try {
      block = parseBlock(raw);
    } catch (error) {
      this.violations.push(`${this.path}: ${String(error)}`);
      return;
    }
    if (block === null) return; // a comment
    if (count === 0) {
      if (block.data?.type !== 'connected' || block.id !== null) this.violations.push(`${this.path} began with ${raw.slice(0, 100)}`);
      return;
    }
    if (block.event === 'reset') this.violations.push(`${this.path} was reset after ${connection.after}: ${raw}`);
    else if (block.id === null) {
      if (block.data !== null) this.violations.push(`${this.path}: an event without an id: ${raw.slice(0, 100)}`);
    } else {
      connection.ids.push(block.id);
      const known = this.heard.get(block.id);
      if (known === undefined) this.heard.set(block.id, raw);
      else if (known !== raw) this.violations.push(`${this.path}: event ${block.id} was ${known.slice(0, 200)} and is now ${raw.slice(0, 200)}`);
      this.position = Math.max(this.position, block.id);
    }
  }
}
