// A key that signs as a wallet does. The curve is OpenSSL's, by way of its command: what is under test does not sign for itself.
import { execFileSync } from 'node:child_process';
import { createECDH, createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { personalDigest, recoverSigner } from '../../src/http/operations/signature.ts';

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const hex = (value: bigint): string => value.toString(16).padStart(64, '0');

export interface Signer {
  /** Lower case, from OpenSSL's public key. */
  readonly address: string;
  sign(text: string): string;
  /** The other form of the same signature: order − s, and the other point. */
  signHigh(text: string): string;
}

/** @param secret 32 bytes in hexadecimal */
export function signer(secret: string): Signer {
  const ecdh = createECDH('secp256k1');
  ecdh.setPrivateKey(secret, 'hex');
  const point = ecdh.getPublicKey();
  const address = `0x${Buffer.from(keccak_256(point.subarray(1))).subarray(-20).toString('hex')}`;
  const b64 = (bytes: Buffer): string => bytes.toString('base64url');
  const pem = createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'secp256k1', d: b64(Buffer.from(secret, 'hex')), x: b64(point.subarray(1, 33)), y: b64(point.subarray(33)) } }).export({ type: 'sec1', format: 'pem' });
  const numbers = (text: string): [bigint, bigint] => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-sign-'));
    try {
      writeFileSync(join(folder, 'key.pem'), pem, { mode: 0o600 });
      writeFileSync(join(folder, 'digest'), personalDigest(text));
      return readDer(execFileSync('openssl', ['pkeyutl', '-sign', '-inkey', join(folder, 'key.pem'), '-in', join(folder, 'digest')]));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  /** OpenSSL does not say which of the two points was meant; the one that leads to the key is. */
  const whole = (text: string, r: bigint, s: bigint): string => {
    const low = s > ORDER / 2n ? ORDER - s : s;
    const found = ['1b', '1c'].find((v) => recoverSigner(text, `0x${hex(r)}${hex(low)}${v}`) === address);
    if (found === undefined) throw new Error('neither point leads to the key that signed');
    return low === s ? found : found === '1b' ? '1c' : '1b';
  };
  return {
    address,
    sign: (text) => { const [r, s] = numbers(text); const low = s > ORDER / 2n ? ORDER - s : s; return `0x${hex(r)}${hex(low)}${whole(text, r, low)}`; },
    signHigh: (text) => { const [r, s] = numbers(text); const high = s > ORDER / 2n ? s : ORDER - s; return `0x${hex(r)}${hex(high)}${whole(text, r, high)}`; },
  };
}

/** SEQUENCE of two INTEGERs. */
function readDer(der: Buffer): [bigint, bigint] {
  const read = (at: number): [bigint, number] => { const end = at + 2 + (der[at + 1] ?? 0); return [BigInt(`0x${der.subarray(at + 2, end).toString('hex')}`), end]; };
  const [r, next] = read(2);
  return [r, read(next)[0]];
}
