// Server-Sent Events as agents send them → the JSON of their events. Bounded: a frame that never ends is refused.

/** One event; a snapshot of a long conversation has a few MiB. */
export const FRAME_MAX = 4 * 1_048_576;

export type Frame = { readonly kind: 'event'; readonly text: string; readonly value: unknown } | { readonly kind: 'broken'; readonly message: string };

export class Frames {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest = '';
  #data: string[] = [];
  #size = 0;

  /** Frames completed by this piece, in order; after a broken one nothing more should be asked. */
  push(chunk: Buffer | null): Frame[] {
    let text: string;
    try {
      text = this.#rest + (chunk === null ? this.#decoder.decode() : this.#decoder.decode(chunk, { stream: true }));
    } catch {
      return [{ kind: 'broken', message: 'The stream is not UTF-8.' }];
    }
    const found: Frame[] = [];
    // A CR at the very end may be the first half of a line end.
    const held = chunk !== null && text.endsWith('\r') ? '\r' : '';
    const lines = text.slice(0, text.length - held.length).split(/\r\n|\n|\r/);
    this.#rest = (chunk === null ? '' : lines.pop() ?? '') + held;
    for (const line of lines) this.#line(line, found);
    if (chunk === null) this.#dispatch(found); // the last frame may lack its empty line
    if (this.#rest.length + this.#size > FRAME_MAX) found.push({ kind: 'broken', message: `An event of the stream is larger than ${FRAME_MAX} characters.` });
    return found;
  }

  #line(line: string, found: Frame[]): void {
    if (line === '') return this.#dispatch(found);
    if (!line.startsWith('data:')) return; // comments, ids, names
    const data = line.slice(5).replace(/^ /, '');
    this.#data.push(data);
    this.#size += data.length;
  }

  #dispatch(found: Frame[]): void {
    if (this.#data.length === 0) return;
    const text = this.#data.join('\n');
    this.#data = [];
    this.#size = 0;
    if (text.trim() === '' || text.trim() === '[DONE]') return; // how some gateways end every stream
    try {
      found.push({ kind: 'event', text, value: JSON.parse(text) as unknown });
    } catch {
      found.push({ kind: 'broken', message: `An event of the stream is not JSON: ${text.slice(0, 100)}` });
    }
  }
}
