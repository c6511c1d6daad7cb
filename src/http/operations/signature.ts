// Who signed a text: EIP-191 personal_sign, recovered to an address. Curves and hashes are a library's; here are only its rules.
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

/** r (32 bytes), s (32) and the recovery id (1), as hexadecimal. */
export const SIGNATURE = /^0x[0-9a-fA-F]{130}$/;
export const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

/** What the documentation of the personal server sends in place of a signature, written out and as it is printed there. */
const ZERO: ReadonlySet<string> = new Set([`0x${'0'.repeat(130)}`, '0x0000...000']);
export const isZeroSignature = (signature: string): boolean => ZERO.has(signature);

/** 27 and 28 are what wallets write; 0 and 1 is the same without the offset. EIP-155's chain ids belong to transactions. */
const RECOVERY: Readonly<Record<number, number>> = { 0: 0, 1: 1, 27: 0, 28: 1 };

/** The lower-case address of an uncompressed public key (65 bytes). */
export const addressOf = (publicKey: Uint8Array): string => `0x${bytesToHex(keccak_256(publicKey.subarray(1)).subarray(-20))}`;

/** EIP-55: upper case where the hash of the lower-case address has a digit from 8 on. */
export function checksumAddress(address: string): string {
  const hash = bytesToHex(keccak_256(utf8ToBytes(address.slice(2))));
  return `0x${address.slice(2).replace(/[a-f]/g, (letter, i: number) => (Number.parseInt(hash[i] ?? '0', 16) >= 8 ? letter.toUpperCase() : letter))}`;
}

/** The digest that personal_sign signs. */
export function personalDigest(text: string): Uint8Array {
  const message = utf8ToBytes(text);
  return keccak_256(concatBytes(utf8ToBytes(`\x19Ethereum Signed Message:\n${message.length}`), message));
}

/**
 * The lower-case address whose key signed the text, or null if this is no signature at all. Every valid (r, s) leads to some
 * address: whether it is the right one is the caller's question. A high s is refused: it is the other form of a signature that
 * somebody else may have made from a good one.
 */
export function recoverSigner(text: string, signature: string): string | null {
  if (!SIGNATURE.test(signature)) return null;
  const bytes = hexToBytes(signature.slice(2));
  const recovery = RECOVERY[bytes[64] ?? -1];
  if (recovery === undefined) return null;
  try {
    const parsed = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), 'compact').addRecoveryBit(recovery);
    if (parsed.hasHighS()) return null;
    return addressOf(parsed.recoverPublicKey(personalDigest(text)).toBytes(false));
  } catch {
    return null; // r or s is zero or not below the order, or r is no point of the curve
  }
}
