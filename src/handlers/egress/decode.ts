// Undoing Content-Encoding with a bound on what comes out. We ask for identity; some servers compress anyway,
// and 49 KB of gzip can hold 50 MB.
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib';

type Decode = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;
const inflateOnce: Decode = promisify(inflate);
const inflateBare: Decode = promisify(inflateRaw);

const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
  // Servers differ on whether "deflate" has the zlib wrapper; browsers try both, and so do we.
  deflate: async (body, options) => await inflateOnce(body, options).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'Z_DATA_ERROR') throw error;
    return await inflateBare(body, options);
  }),
};
/** A proxy may add one layer to what its origin compressed; more is a bomb or a mistake. */
const LAYERS_MAX = 2;

export type Decoded = { readonly kind: 'ok'; readonly body: Buffer } | { readonly kind: 'too_large' } | { readonly kind: 'broken'; readonly message: string };

export async function decodeBody(body: Buffer, encoding: string, maxBytes: number): Promise<Decoded> {
  const layers = encoding.toLowerCase().split(',').map((layer) => layer.trim()).filter((layer) => layer !== '' && layer !== 'identity');
  if (layers.length === 0 || body.length === 0) return { kind: 'ok', body };
  if (layers.length > LAYERS_MAX) return { kind: 'broken', message: `it is encoded ${layers.length} times over (${encoding.slice(0, 100)})` };
  let decoded = body;
  for (const layer of layers.reverse()) {
    const decode = Object.hasOwn(DECODERS, layer) ? DECODERS[layer] : undefined;
    if (decode === undefined) return { kind: 'broken', message: `its content-encoding "${layer.slice(0, 40)}" is not known` };
    try {
      decoded = await decode(decoded, { maxOutputLength: maxBytes });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return { kind: 'too_large' };
      return { kind: 'broken', message: `it is not the ${layer} that its content-encoding says` };
    }
  }
  return { kind: 'ok', body: decoded };
}
