// The port's specification, run against SQLite the three ways it can be opened.
import { afterAll, beforeAll, describe } from 'vitest';
import { openStore } from '../../src/store/sqlite/index.ts';
import { tempFolder } from '../support/store.ts';
import { storeContract } from './contract.ts';

describe('in memory', () => storeContract((clock, policies) => openStore({ path: ':memory:', clock, policies, writer: 'inline' })));

for (const writer of ['inline', 'thread'] as const) {
  describe(`in a file, writer ${writer}`, () => {
    let folder: ReturnType<typeof tempFolder>;
    let count = 0;
    beforeAll(() => { folder = tempFolder(); });
    afterAll(() => folder.remove());
    storeContract((clock, policies) => openStore({ path: folder.file(`${count++}.db`), clock, policies, writer }));
  });
}
