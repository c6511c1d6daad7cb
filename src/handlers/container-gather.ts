// What a container prints, gathered into pieces that may be stored one by one: each ends with a line where it can, and never
// inside a character or inside of what may be a secret. Bounded by whoever takes the pieces.

export type Stream = 'stdout' | 'stderr';

export interface Piece {
  readonly stream: Stream;
  /** As printed. */
  readonly bytes: Buffer;
  /** Line ends in it. */
  readonly count: number;
  /** It begins inside a line; its last line has not ended. */
  readonly continues: boolean;
  readonly open: boolean;
}

/** A piece is closed from here on, at the end of a line: a commit of 32 KB costs little more than one of a line. */
const PIECE_BYTES = 32 * 1024;
/** A line longer than this is stored in parts. Above the 40 KB that agents print as one line of JSON. */
const LINE_BYTES = 64 * 1024;
/** Pieces waiting up to which the order between the two streams is kept as it was read; beyond, each stream gathers alone. */
const ORDERED_MAX = 16;
const BUFFER_MIN = 1_024;
const LF = 10;

class Open {
  readonly stream: Stream;
  buffer = Buffer.allocUnsafeSlow(BUFFER_MIN);
  length = 0;
  /** Just after the last line end. */
  lineEnd = 0;
  count = 0;
  continues = false;

  constructor(stream: Stream) {
    this.stream = stream;
  }

  add(payload: Buffer): void {
    if (this.length + payload.length > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + payload.length));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    payload.copy(this.buffer, this.length);
    for (let at = payload.indexOf(LF); at >= 0; at = payload.indexOf(LF, at + 1)) {
      this.count += 1;
      this.lineEnd = this.length + at + 1;
    }
    this.length += payload.length;
  }

  /** Its first bytes as a piece; the rest stays. */
  close(at: number): Piece {
    const isWhole = at <= this.lineEnd;
    const bytes = Buffer.allocUnsafeSlow(at); // exact: pieces wait, and what they are cut from is used again
    this.buffer.copy(bytes, 0, 0, at);
    const piece: Piece = { stream: this.stream, bytes, count: this.count, continues: this.continues, open: !isWhole || at < this.lineEnd };
    this.buffer.copyWithin(0, at, this.length);
    this.length -= at;
    this.lineEnd = 0;
    this.count = 0;
    this.continues = !isWhole;
    return piece;
  }
}

/** Bytes at the end that may be the beginning of a character whose rest has not come. */
export function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needs = byte >= 0xf0 && byte < 0xf8 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return byte < 0xf8 && needs > back ? back : 0;
  }
  return 0;
}

export class Gather {
  readonly #open: Readonly<Record<Stream, Open>> = { stdout: new Open('stdout'), stderr: new Open('stderr') };
  readonly #secretTail: (bytes: Buffer) => number;
  #closed: Piece[] = [];
  #closedBytes = 0;
  #closedLines = 0;

  /** @param secretTail how many bytes at the end of this may be the beginning of a secret */
  constructor(secretTail: (bytes: Buffer) => number) {
    this.#secretTail = secretTail;
  }

  /** Bytes gathered, all in all. */
  get bytes(): number { return this.#closedBytes + this.#open.stdout.length + this.#open.stderr.length; }
  /** Lines that could be taken now. */
  get lines(): number { return this.#closedLines + this.#open.stdout.count + this.#open.stderr.count; }
  get hasPieces(): boolean { return this.#closed.length > 0; }

  append(stream: Stream, payload: Buffer): void {
    const open = this.#open[stream];
    const other = this.#open[stream === 'stdout' ? 'stderr' : 'stdout'];
    if (other.lineEnd > 0 && this.#closed.length < ORDERED_MAX) this.#close(other, other.lineEnd);
    open.add(payload);
    if (open.lineEnd >= PIECE_BYTES || (open.lineEnd > 0 && open.length >= LINE_BYTES)) this.#close(open, open.lineEnd);
    while (open.length >= LINE_BYTES && open.lineEnd === 0) this.#close(open, this.#cut(open)); // never 0: of a line less is held back
  }

  /** Makes pieces of the whole lines, and of parts of lines where `all`: nothing more is awaited for them. */
  settle(all: 'lines' | 'parts' | 'end'): void {
    for (const open of [this.#open.stdout, this.#open.stderr]) {
      if (open.lineEnd > 0) this.#close(open, open.lineEnd);
      const at = all === 'lines' ? 0 : all === 'end' ? open.length : this.#cut(open);
      if (at > 0) this.#close(open, at);
    }
  }

  /** The oldest pieces, of about so many bytes; at least one. */
  take(max: number): Piece[] {
    let bytes = 0;
    let n = 0;
    for (; n < this.#closed.length && bytes < max; n++) bytes += this.#closed[n]?.bytes.length ?? 0;
    const taken = this.#closed.splice(0, n);
    for (const piece of taken) this.#took(piece);
    return taken;
  }

  /** The oldest piece, to be dropped. */
  shift(): Piece | undefined {
    const piece = this.#closed.shift();
    if (piece !== undefined) this.#took(piece);
    return piece;
  }

  #took(piece: Piece): void {
    this.#closedBytes -= piece.bytes.length;
    this.#closedLines -= piece.count;
  }

  #cut({ buffer, length }: Open): number {
    const bytes = buffer.subarray(0, length);
    const hold = Math.max(unfinished(bytes), this.#secretTail(bytes));
    return length - hold;
  }

  #close(open: Open, at: number): void {
    const piece = open.close(at);
    this.#closed.push(piece);
    this.#closedBytes += piece.bytes.length;
    this.#closedLines += piece.count;
  }
}
