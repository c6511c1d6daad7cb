// The engine's framing of two streams in one: 8 bytes of header, then the bytes. No recursion, nothing is gathered: pieces of
// a frame are handed on as they come. (docker-modem's own parser recurses per frame: 32 KB of one-byte frames overflow the stack.)
import { DockerError } from './docker.ts';

const HEADER = 8;
/** What the engine itself has to say, in place of what it should have read. */
const SYSTEM_ERROR = 3;
/** Of such a message, bytes kept. */
const ERROR_MAX = 1_024;

/** `size`: of the frame that it is a piece of; `left`: bytes of that to come. A line of up to 16 KB is one frame; of a longer one each 16 KB are. */
export type OnPiece = (stream: 'stdout' | 'stderr', piece: Buffer, size: number, left: number) => void;

export class FrameParser {
  readonly #onPiece: OnPiece;
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  #stream = 0;
  #left = 0;
  #size = 0;
  #complaint = '';

  constructor(onPiece: OnPiece) {
    this.#onPiece = onPiece;
  }

  /** In the middle of a frame: what follows is missing. */
  get isInside(): boolean { return this.#headerBytes > 0 || this.#left > 0; }

  /** @throws DockerError when these are no frames, or the engine says that it cannot go on */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left === 0) {
        const take = Math.min(HEADER - this.#headerBytes, chunk.length - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + take);
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < HEADER) return;
        this.#headerBytes = 0;
        this.#begin();
        continue;
      }
      const end = Math.min(chunk.length, at + this.#left);
      this.#left -= end - at;
      this.#hand(chunk.subarray(at, end));
      at = end;
    }
  }

  #begin(): void {
    const header = this.#header;
    this.#stream = header[0] ?? 0;
    this.#left = header.readUInt32BE(4);
    this.#size = this.#left;
    if (this.#stream < 1 || this.#stream > SYSTEM_ERROR || header.readUIntBE(1, 3) !== 0) {
      throw new DockerError('refused', `The engine sent ${header.toString('hex')} where a frame of output begins.`);
    }
  }

  #hand(piece: Buffer): void {
    if (this.#stream !== SYSTEM_ERROR) {
      this.#onPiece(this.#stream === 1 ? 'stdout' : 'stderr', piece, this.#size, this.#left);
      return;
    }
    this.#complaint += piece.toString('utf8', 0, ERROR_MAX - Math.min(ERROR_MAX, this.#complaint.length));
    if (this.#left === 0) throw new DockerError('refused', `The engine could not go on reading the output: ${this.#complaint}`);
  }
}

/** The engine cuts lines into entries of this many bytes. */
const ENTRY_BYTES = 16 * 1024;
const LF = Buffer.from('\n');

/**
 * The log driver `local` loses the line end of a line that it had to cut (Docker 20.10: 20,000 bytes and a line end come back
 * as frames of 16,384 and 3,616 bytes). A short frame without one that is followed by another was such an end. Two cases cannot
 * be told: a line of exactly n × 16,384 bytes is joined with the next, and the last line of all may lack its end.
 */
export function mendLines(hand: (stream: 'stdout' | 'stderr', piece: Buffer) => void): OnPiece {
  const lacksEnd = { stdout: false, stderr: false };
  return (stream, piece, size, left) => {
    if (lacksEnd[stream] && piece.length + left === size) hand(stream, LF);
    hand(stream, piece);
    lacksEnd[stream] = left === 0 && size !== ENTRY_BYTES && piece[piece.length - 1] !== LF[0];
  };
}
