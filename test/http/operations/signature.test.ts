// Who signed: published vectors, OpenSSL's signatures, and everything that is nearly a signature.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checksumAddress, isZeroSignature, recoverSigner } from '../../../src/http/operations/signature.ts';
import { createWallet, keyIndex } from '../../../src/http/operations/wallet.ts';
import { signer } from '../../support/signer.ts';

/** From the documentation of web3.js and of eth-account: two other implementations. */
const SOME_DATA = {
  text: 'Some data', address: '0x2c7536e3605d9c16a7a3d7b1898e529396a65c23',
  signature: '0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c',
};
const I_LOVE_SF = {
  text: 'I♥SF', address: '0x5ce9454909639d2d17a3f753ce7d93fa0b9ab12e',
  signature: '0xe6ca9bba58c88611fad66a6ce8f996908195593807c4b38bd528d2cff09d4eb33e5bfbbf4d3e39b1a2fd816a7680c19ebebaf3a141b239934ad43cb33fcec8ce1c',
};
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';

describe('a signature', () => {
  test.each([SOME_DATA, I_LOVE_SF])('published of $text leads to its address', ({ text, signature, address }) => expect(recoverSigner(text, signature)).toBe(address));

  test('of OpenSSL leads to the address of OpenSSL\'s public key, whatever the text', () => {
    for (let i = 1; i <= 12; i++) {
      const key = signer(createHash('sha256').update(`key ${i}`).digest('hex'));
      const text = ['', 'a', '{"permission_id": 4096}', 'é♥🙂'.repeat(i), 'x'.repeat(10 ** (i % 5))][i % 5] ?? '';
      expect(recoverSigner(text, key.sign(text))).toBe(key.address);
    }
  });

  const key = signer('01'.repeat(32));
  const text = '{"permission_id": 4096}';
  const good = key.sign(text);

  test('with 0 or 1 as recovery id is the same as with 27 or 28', () => {
    const raw = good.slice(0, -2) + (good.endsWith('1b') ? '00' : '01');
    expect(recoverSigner(text, raw)).toBe(key.address);
  });

  test('of another text, or with another recovery id, is somebody else\'s', () => {
    expect(recoverSigner(`${text} `, good)).not.toBe(key.address);
    expect(recoverSigner(text, good.slice(0, -2) + (good.endsWith('1b') ? '1c' : '1b'))).not.toBe(key.address);
  });

  test('in its other form, with a high s, is none: one request has one signature', () => expect(recoverSigner(text, key.signHigh(text))).toBeNull());

  test.each([
    ['r of zero', `0x${'0'.repeat(64)}${good.slice(66)}`], ['s of zero', `${good.slice(0, 66)}${'0'.repeat(64)}1b`], ['r of the order', `0x${ORDER}${good.slice(66)}`],
    ['s of the order', `${good.slice(0, 66)}${ORDER}1b`], ['all ones', `0x${'f'.repeat(130)}`], ['recovery id 2', `${good.slice(0, -2)}02`], ['recovery id 29', `${good.slice(0, -2)}1d`],
    ['EIP-155 recovery id 37', `${good.slice(0, -2)}25`], ['all zero', `0x${'0'.repeat(130)}`], ['131 characters', good.slice(0, -1)], ['133 characters', `${good}0`], ['no 0x', `${good.slice(2)}00`], ['a letter that is no digit', `${good.slice(0, -1)}g`],
    ['64 bytes', good.slice(0, -2)], ['nothing', ''],
  ])('with %s is none', (_what, signature) => expect(recoverSigner(text, signature)).toBeNull());

  test('of zeros is known, whole and as documentation prints it, and nothing else is', () => {
    expect(isZeroSignature(`0x${'0'.repeat(130)}`)).toBe(true);
    expect(isZeroSignature('0x0000...000')).toBe(true);
    expect(isZeroSignature(`0x${'0'.repeat(129)}1`)).toBe(false);
  });
});

/** From EIP-55. */
test.each(['0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359', '0x52908400098527886E0F7030069857D2E4169EE7', '0xde709f2102306220921060314715629080e2fb77'])(
  'the address %s has the letters of EIP-55', (address) => expect(checksumAddress(address.toLowerCase())).toBe(address));

describe('the wallet', () => {
  /** The mnemonic and addresses that Hardhat and Foundry print. */
  const wallet = createWallet('test test test test test test test test test test test junk');

  test.each([[0, '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'], [1, '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'], [2, '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC'], [9, '0xa0Ee7A142d267C1f36714E4a8F75612F20a79720']])(
    'has at index %i the address that others derive', (index, address) => expect(wallet.key(index).address).toBe(address));

  test('tells the public key of the first as 64 bytes', () => {
    // Of the published private key 0xac0974be…, by OpenSSL.
    expect(signer('ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80').address).toBe(wallet.key(0).address.toLowerCase());
    expect(wallet.key(0).publicKey).toBe('0x8318535b54105d4a7aae60c08fc45f9687181b4fdfc625bd1a753fa7397fed753547f11ca8696646f2f3acb08e31016afac23e630c5d11f59f61fef57b0d2aa5');
  });

  test('chooses the key of a user by the first four bytes of the hash of the address, upper or lower case', () => {
    const user = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
    const expected = Number(BigInt(`0x${createHash('sha256').update(user.toLowerCase()).digest('hex').slice(0, 8)}`) % 2n ** 31n);
    expect(keyIndex(user)).toBe(expected);
    expect(wallet.keyFor(user)).toEqual(wallet.key(expected));
    expect(wallet.keyFor(user.toLowerCase())).toEqual(wallet.keyFor(user));
  });

  test('never leaves the range of plain indices', () => {
    for (let i = 0; i < 2_000; i++) expect(keyIndex(`0x${i.toString(16).padStart(40, '0')}`)).toBeLessThan(2 ** 31);
  });
});
