// The keys of this server, one for each user, derived from one mnemonic. Only public halves ever leave this file.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { HDKey } from '@scure/bip32';
import { mnemonicToSeedSync } from '@scure/bip39';
import { addressOf, checksumAddress } from './signature.ts';

/** BIP-44: Ethereum, first account, external chain. */
const ACCOUNT = "m/44'/60'/0'/0";

export interface ServerKey {
  /** With the letters of EIP-55. */
  readonly address: string;
  /** The point, 64 bytes: the form of the contract, without the 04 that says uncompressed. */
  readonly publicKey: string;
}

export interface Wallet {
  key(index: number): ServerKey;
  keyFor(userAddress: string): ServerKey;
}

/** Which key is a user's: the first four bytes of SHA-256 of the lower-case address, big endian, without the bit that hardens. */
export function keyIndex(userAddress: string): number {
  const digest = sha256(utf8ToBytes(userAddress.toLowerCase()));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) % 0x8000_0000;
}

/** The seed costs 2,048 rounds of PBKDF2, so it is made once; a key is one step from there. The mnemonic was checked by config.ts. */
export function createWallet(mnemonic: string): Wallet {
  const account = HDKey.fromMasterSeed(mnemonicToSeedSync(mnemonic)).derive(ACCOUNT);
  const key = (index: number): ServerKey => {
    const { publicKey } = account.deriveChild(index);
    if (publicKey === null) throw new Error('a derived key has no public half');
    const whole = secp256k1.Point.fromBytes(publicKey).toBytes(false);
    return { address: checksumAddress(addressOf(whole)), publicKey: `0x${bytesToHex(whole.subarray(1))}` };
  };
  return { key, keyFor: (userAddress) => key(keyIndex(userAddress)) };
}
