// NDJSON at the import paths: one document a line, LF or CRLF, empty lines left out.
import type { FastifyInstance } from 'fastify';
import { parseJson, refuseEncoding } from '../json-body.ts';
import { Refusal } from '../problem.ts';
import { IMPORT_LIMIT } from './library-routes.ts';

const LINES_MAX = 1_000;

export function addLinesParser(scope: FastifyInstance): void {
  scope.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer', bodyLimit: IMPORT_LIMIT }, (request, body, parsed) => {
    refuseEncoding(request.headers['content-encoding']);
    parsed(null, parseLines(body as Buffer));
  });
}

function parseLines(body: Buffer): unknown[] {
  const list: unknown[] = [];
  for (let from = 0, line = 1; from < body.length; line++) {
    const end = body.indexOf(0x0a, from);
    const to = end < 0 ? body.length : end;
    if (to > from && !(to === from + 1 && body[from] === 0x0d)) {
      if (list.length === LINES_MAX) throw new Refusal('invalid', `More than ${LINES_MAX} documents in one request.`, { hint: 'Send them in several requests.' });
      try {
        list.push(parseJson(body, from, to));
      } catch (error) {
        if (error instanceof Refusal) throw new Refusal(error.code, `Line ${line}: ${error.message}`, { hint: error.hint ?? 'Each line holds one document as JSON.' });
        throw error;
      }
    }
    from = to + 1;
  }
  return list;
}
