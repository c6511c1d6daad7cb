// GET /api/v1/identity: which key of this server is a user's.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { answersIn } from '../answers.ts';
import { Refusal } from '../problem.ts';
import { refusalSchema } from './envelope.ts';
import type { Wallet } from './wallet.ts';
import { identityQuery, identitySchema } from './wire.ts';

export function registerIdentity(instance: FastifyInstance, { wallet }: { readonly wallet: Wallet | null }): void {
  instance.withTypeProvider<ZodTypeProvider>().get('/api/v1/identity', {
    schema: {
      operationId: 'getIdentity', tags: ['Agent operations'], summary: "The server's public key for a user",
      description: 'Derived from MUSTER_WALLET_MNEMONIC: path `m/44\'/60\'/0\'/0/<index>`, the index being the first four bytes of SHA-256 of the lower-case address, big endian, mod 2^31.',
      querystring: identityQuery, response: answersIn(refusalSchema, { 200: ['The key', identitySchema] }, 501),
    },
  }, ({ query }, reply) => {
    if (wallet === null) throw new Refusal('not_configured', 'This server has no wallet.', { hint: 'Set MUSTER_WALLET_MNEMONIC to a BIP-39 mnemonic and start it again.' });
    const { address, publicKey } = wallet.keyFor(query.address);
    return reply.header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify({ kind: 'Identity', user_address: query.address, personal_server: { kind: 'PersonalServer', address, public_key: publicKey } }));
  });
}
