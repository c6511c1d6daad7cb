// The engine's framing of two streams in one: 8 bytes of header, then the bytes. No recursion, nothing is gathered: pieces of
// a frame are handed on as they come. (docker-modem's own parser recurses per frame: 32 KB of one-byte frames overflow the stack.)
import { DockerError } from './docker.ts';

const HEADER = 8;
/** What the engine itself has to say, in place of what it should have read. */
const SYSTEM_ERROR = 3;
/** Of such a message, bytes kept. */
const ERROR_MAX = 1_024;

export type OnPiece = (stream: 'stdout' | 'stderr', piece: Buffer) => void;

export class FrameParser {
  readonly #onPiece: OnPiece;
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  #stream = 0;
  #left = 0;
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
    if (this.#stream < 1 || this.#stream > SYSTEM_ERROR || header.readUIntBE(1, 3) !== 0) {
      throw new DockerError('refused', `The engine sent ${header.toString('hex')} where a frame of output begins.`);
    }
  }

  #hand(piece: Buffer): void {
    if (this.#stream !== SYSTEM_ERROR) {
      this.#onPiece(this.#stream === 1 ? 'stdout' : 'stderr', piece);
      return;
    }
    this.#complaint += piece.toString('utf8', 0, ERROR_MAX - Math.min(ERROR_MAX, this.#complaint.length));
    if (this.#left === 0) throw new DockerError('refused', `The engine could not go on reading the output: ${this.#complaint}`);
  }
}
