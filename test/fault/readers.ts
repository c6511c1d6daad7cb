// SSE readers that lose their connection often and come back with Last-Event-ID, as browsers do. What they got is held
// against the log afterwards: nothing twice, nothing missing, nothing that was never committed.
import { type ClientRequest, request } from 'node:http';
import { parseBlock, type SseEvent } from '../support/sse.ts';
import type { Rng } from './rng.ts';

export interface Heard {
  readonly jobId: string;
  readonly type: string;
  readonly status: string | undefined;
}

/** Where the server is, for those that come and go. */
export interface Place {
  /** null while it is down. */
  url(): string | null;
  /** Resolves when it is up, or the campaign is over. */
  up(): Promise<void>;
}

export interface ReaderCounts {
  /** Connections after the first of each reader. */
  reconnects: number;
  /** Streams that the server ended with `retry` as last words. */
  goodbyes: number;
  /** Streams that broke off and were not cut by us. */
  broken: number;
  events: number;
}

export const noCounts = (): ReaderCounts => ({ reconnects: 0, goodbyes: 0, broken: 0, events: 0 });

/** Shortest wait before coming back, ms; clients wait 2 s, which would only make the harness slow. */
const BACK_AFTER = 20;

export class Reader {
  readonly path: string;
  /** Everything heard, by id, in order of arrival. */
  readonly heard = new Map<number, Heard>();
  readonly violations: string[] = [];
  /** Highest id; what comes after it is still to come. */
  position = 0;
  /** The server says there is no more: 204, or 404 for one that never heard anything. */
  isOver = false;
  /** Connected, and the server has begun to answer. */
  isOpen = false;
  onEvent: (id: number, heard: Heard) => void = () => {};
  readonly #counts: ReaderCounts;
  readonly #rng: Rng;
  readonly #cutAfter: number | null;
  #isStopped = false;
  #outgoing: ClientRequest | null = null;
  #connections = 0;
  #done: Promise<void> = Promise.resolve();

  /** @param cutAfter longest life of a connection, ms; null = it is left alone */
  constructor(path: string, options: { counts: ReaderCounts; rng: Rng; cutAfter: number | null }) {
    this.path = path;
    this.#counts = options.counts;
    this.#rng = options.rng;
    this.#cutAfter = options.cutAfter;
  }

  start(place: Place): void {
    this.#done = this.#run(place);
  }

  /** Ends it from our side. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#outgoing?.destroy();
    await this.#done;
  }

  get done(): Promise<void> { return this.#done; }
  isStopped(): boolean { return this.#isStopped; }

  async #run(place: Place): Promise<void> {
    while (!this.#isStopped && !this.isOver) {
      await place.up();
      const url = place.url();
      if (this.#isStopped) return;
      if (url !== null) await this.#once(url);
      if (!this.isOver) await new Promise((resolve) => { setTimeout(resolve, BACK_AFTER + this.#rng.int(0, 50)); });
    }
  }

  /** One connection, from its request to its end. */
  #once(url: string): Promise<void> {
    return new Promise((resolve) => {
      let cut: NodeJS.Timeout | null = null;
      let isOurs = false;
      const end = (): void => { if (cut !== null) clearTimeout(cut); resolve(); };
      const outgoing = request(url + this.path, {
        agent: false, headers: { accept: 'text/event-stream', ...(this.position === 0 ? {} : { 'last-event-id': String(this.position) }) },
      }, (answer) => {
        if (answer.statusCode === 204 || (answer.statusCode === 404 && this.position === 0)) this.isOver = true;
        else if (answer.statusCode === 200) {
          this.isOpen = true;
          if ((this.#connections += 1) > 1) this.#counts.reconnects += 1;
          if (this.#cutAfter !== null) cut = setTimeout(() => { isOurs = true; outgoing.destroy(); }, this.#rng.int(1, this.#cutAfter));
        } else if (answer.statusCode !== 503) this.violations.push(`stream ${this.path} answered ${answer.statusCode} after ${this.position}`);
        let rest = '';
        let first = answer.statusCode === 200;
        let last: SseEvent | null = null;
        answer.setEncoding('utf8');
        answer.on('data', (text: string) => {
          if (answer.statusCode !== 200) return;
          rest += text;
          for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
            const raw = rest.slice(0, at);
            rest = rest.slice(at + 2);
            const block = this.#parse(raw);
            if (block === null) continue;
            if (first && block.data?.type !== 'connected') this.violations.push(`stream ${this.path} began with ${raw.slice(0, 100)}`);
            else if (!first) this.take(block);
            first = false;
            last = block;
          }
        });
        answer.on('error', () => {});
        answer.on('close', () => {
          this.isOpen = false;
          if (answer.statusCode === 200 && !isOurs && !this.#isStopped) {
            if (!answer.complete) this.#counts.broken += 1;
            else if (last !== null && (last as SseEvent).data === null && (last as SseEvent).retry !== null) this.#counts.goodbyes += 1;
          }
          end();
        });
      });
      this.#outgoing = outgoing;
      outgoing.on('error', end);
      outgoing.end();
    });
  }

  #parse(raw: string): SseEvent | null {
    try {
      return parseBlock(raw);
    } catch (error) {
      this.violations.push(`stream ${this.path}: ${String(error)}`);
      return null;
    }
  }

  /** One block as it came. */
  take(block: SseEvent): void {
    if (block.event === 'reset') {
      this.violations.push(`stream ${this.path} was reset after ${this.position}: ${block.raw}`);
      return;
    }
    if (block.id === null) {
      if (block.data !== null) this.violations.push(`stream ${this.path} has an event without an id: ${block.raw.slice(0, 200)}`);
      return;
    }
    if (block.id <= this.position) {
      this.violations.push(`stream ${this.path} gave ${block.id} after ${this.position}: ${this.heard.has(block.id) ? 'a repeat' : 'below a cursor already served'}`);
    }
    const { data } = block;
    const heard: Heard = { jobId: data?.jobId ?? '', type: data?.type ?? '', status: (data?.data as { status?: string } | undefined)?.status };
    this.heard.set(block.id, heard);
    this.position = Math.max(this.position, block.id);
    this.#counts.events += 1;
    this.onEvent(block.id, heard);
  }
}
