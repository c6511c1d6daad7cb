// Bytes to a port and the bytes that come back: for requests that no HTTP client would send.
import { connect } from 'node:net';

/** Everything the server says until it closes, or until `until` holds of what has come. */
export function rawExchange(base: string, bytes: string | Buffer, until: (text: string) => boolean = () => false): Promise<string> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (part: string) => {
      text += part;
      if (until(text)) { socket.destroy(); resolve(text); }
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error) => { if (text === '') reject(error); else resolve(text); });
  });
}

export const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
