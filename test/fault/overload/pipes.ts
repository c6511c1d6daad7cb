// Load that does not wait: raw connections, each with one request under way, as clients have them. A request that finds no
// connection free is not sent: two thousand that all wait are enough.
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** ms from sending. */
  readonly took: number;
}
type Take = (answer: Answer) => void;

interface Pending { readonly sentAt: number; readonly take: Take }

export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

/** One kept connection. */
class Pipe {
  readonly pending: Pending[] = [];
  readonly connected: Promise<void>;
  readonly #socket: Socket;
  #rest = '';

  constructor(port: number, onBreak: (why: string) => void) {
    this.#socket = connect({ port, host: '127.0.0.1' });
    this.#socket.setNoDelay(true);
    this.connected = new Promise((resolve) => { this.#socket.once('connect', resolve).once('close', () => resolve()); });
    this.#socket.on('data', (part: Buffer) => this.#read(part.toString('latin1')));
    this.#socket.on('error', (error) => onBreak(error.message));
    this.#socket.on('close', () => { if (this.pending.length > 0) onBreak(`closed with ${this.pending.length} requests unanswered`); });
  }

  send({ method, path, body }: Ask, take: Take): void {
    const text = body === undefined ? '' : JSON.stringify(body);
    const more = body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
    this.pending.push({ sentAt: performance.now(), take });
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n${text}`);
  }

  end(): void {
    this.pending.length = 0;
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#rest += text;
    for (let at = 0; ; ) {
      const end = this.#rest.indexOf('\r\n\r\n', at);
      const head = end < 0 ? '' : this.#rest.slice(at, end);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (end < 0 || this.#rest.length < end + 4 + length) {
        this.#rest = at === 0 ? this.#rest : this.#rest.slice(at);
        return;
      }
      at = end + 4 + length;
      const asked = this.pending.shift();
      asked?.take({ status: Number(head.slice(9, 12)), head, body: this.#rest.slice(end + 4, at), took: performance.now() - asked.sentAt });
    }
  }
}

export class Pipes {
  readonly #port: number;
  readonly #pipes: Pipe[] = [];
  readonly #free: Pipe[] = [];
  readonly broken: string[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  /** Some at a time: the kernel's line for new connections holds 511, and drops who comes while it is full. */
  async open(count: number): Promise<void> {
    while (this.#pipes.length < count) {
      const some = Array.from({ length: Math.min(100, count - this.#pipes.length) }, () => new Pipe(this.#port, (why) => { this.broken.push(why); }));
      this.#pipes.push(...some);
      this.#free.push(...some);
      await Promise.all(some.map((pipe) => pipe.connected));
    }
  }

  get outstanding(): number { return this.#pipes.reduce((sum, { pending }) => sum + pending.length, 0); }

  /** False: no connection was free. */
  send(ask: Ask, take: Take): boolean {
    const pipe = this.#free.pop();
    if (pipe === undefined) return false;
    pipe.send(ask, (answer) => {
      this.#free.push(pipe);
      take(answer);
    });
    return true;
  }

  end(): void { for (const pipe of this.#pipes) pipe.end(); }
}
