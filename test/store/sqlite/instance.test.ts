// What an installation is called by others, such as an engine that keeps containers of several.
import { cpSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openStore } from '../../../src/store/sqlite/index.ts';
import { FakeClock } from '../../support/clock.ts';
import { POLICIES } from '../../support/make.ts';
import { tempFolder } from '../../support/store.ts';

test('a file has the same name at each start, and its backup beside it has another', async () => {
  const folder = tempFolder();
  const nameOf = async (file: string): Promise<string> => {
    const store = await openStore({ path: folder.file(file), clock: new FakeClock(), policies: POLICIES, writer: 'inline' });
    const name = await store.instance();
    await store.close();
    return name;
  };
  const name = await nameOf('m.db');
  cpSync(folder.file('m.db'), folder.file('restored.db'));
  expect(name).toMatch(/^[0-9a-f]{32}$/);
  expect(await nameOf('m.db')).toBe(name);
  expect(await nameOf('restored.db')).not.toBe(name);
  folder.remove();
});
