// The design, held by machine: who may import what, how long a file may be, and which words stay out of the source.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname;
const LINES_MAX = 300;

interface Source { readonly path: string; readonly text: string; readonly code: string }
interface Import { readonly from: string; readonly to: string; readonly typeOnly: boolean }

/** Without comments; text in quotes and template strings is emptied where `words` are looked for. */
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1');
const withoutStrings = (text: string): string => text.replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");

function read(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).sort().map((name) => {
    const path = join(folder, name);
    const text = readFileSync(join(ROOT, path), 'utf8');
    return { path, text, code: withoutStrings(withoutComments(text)) };
  });
}

/** Imports and re-exports, static and dynamic; relative ones as paths from the root of the project. */
function importsOf({ path, text }: Pick<Source, 'path' | 'text'>): Import[] {
  const found: Import[] = [];
  const plain = withoutComments(text);
  for (const match of plain.matchAll(/(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/g)) {
    const to = match[3] ?? match[4] ?? '';
    found.push({ from: path, to: to.startsWith('.') ? normalize(join(dirname(path), to)) : to, typeOnly: match[2] !== undefined });
  }
  return found;
}

const sources = read('src').filter(({ path }) => !path.startsWith('src/web/'));
const imports = sources.flatMap(importsOf);

/** Folder by folder: what it may import of the project. Longest prefix decides; "type" allows types alone. */
const ARROWS: Record<string, readonly string[]> = {
  'src/domain/': ['src/domain/'],
  'src/store/store.ts': ['src/domain/'],
  'src/store/sqlite/': ['src/store/', 'src/domain/'],
  'src/orchestrator/': ['src/orchestrator/', 'src/store/store.ts', 'src/domain/', 'type src/handlers/handler.ts'],
  'src/runtime/': ['src/runtime/', 'src/orchestrator/', 'src/store/store.ts', 'src/domain/', 'type src/handlers/handler.ts'],
  'src/docker/': ['src/docker/', 'src/domain/'],
  'src/handlers/': ['src/handlers/', 'src/docker/', 'src/orchestrator/', 'src/domain/'],
  'src/telemetry/': ['src/telemetry/', 'src/runtime/', 'src/orchestrator/', 'src/store/store.ts', 'src/domain/'],
  'src/http/': ['src/http/', 'src/runtime/', 'src/orchestrator/', 'src/store/store.ts', 'src/domain/', 'src/telemetry/'],
  'src/config.ts': ['src/domain/', 'src/docker/address.ts', 'src/handlers/', 'src/telemetry/logger.ts'],
  'src/app.ts': ['src/'],
  'src/containers.ts': ['src/'],
  'src/refused-start.ts': ['src/config.ts', 'src/store/'],
  'src/main.ts': ['src/'],
};

/** Packages with one home. Any other package may be used where it is needed. */
const HOMES: Record<string, readonly string[]> = {
  'better-sqlite3': ['src/store/sqlite/'],
  dockerode: ['src/docker/'],
  fastify: ['src/http/'],
  '@fastify/swagger': ['src/http/'],
  'fastify-type-provider-zod': ['src/http/'],
  'prom-client': ['src/telemetry/'],
  pino: ['src/telemetry/'],
  croner: ['src/runtime/scheduler', 'src/orchestrator/schedule'],
  undici: ['src/handlers/'],
};

function badArrows(list: readonly Import[]): string[] {
  return list.filter(({ from, to, typeOnly }) => {
    if (!to.startsWith('src/')) return false;
    const [, allowed] = Object.entries(ARROWS).filter(([prefix]) => from.startsWith(prefix)).sort(([a], [b]) => b.length - a.length)[0] ?? [];
    return !(allowed ?? []).some((rule) => (rule.startsWith('type ') ? typeOnly && to === rule.slice(5) : to.startsWith(rule)));
  }).map(({ from, to }) => `${from} → ${to}`);
}

function badPackages(list: readonly Import[]): string[] {
  return list.filter(({ from, to }) => {
    const name = Object.keys(HOMES).find((one) => to === one || to.startsWith(`${one}/`));
    return name !== undefined && !(HOMES[name] ?? []).some((home) => from.startsWith(home));
  }).map(({ from, to }) => `${from} → ${to}`);
}

/** The dialect of a file in http/, or null for what all of them share. */
const dialectOf = (path: string): string | null => /^src\/http\/([^/]+)\//.exec(path)?.[1] ?? null;
const badDialects = (list: readonly Import[]): string[] => list.filter(({ from, to }) => {
  const [here, there] = [dialectOf(from), dialectOf(to)];
  return here !== null && there !== null && here !== there;
}).map(({ from, to }) => `${from} → ${to}`);

/** What only ports may touch, and the files that are those ports. */
const WORDS: readonly { readonly what: string; readonly word: RegExp; readonly allowed: readonly string[] }[] = [
  { what: 'process.env', word: /\bprocess\.env\b/, allowed: ['src/main.ts'] },
  { what: 'wall time', word: /\bDate\.now\b|\bnew Date\(\)/, allowed: ['src/runtime/system-clock.ts'] },
  { what: 'monotonic time', word: /\bperformance\.now\b|\bprocess\.hrtime\b/, allowed: ['src/runtime/system-clock.ts'] },
  { what: 'timers', word: /\bsetTimeout\b/, allowed: ['src/runtime/system-clock.ts'] },
  // A body of hundreds of nested parents lets others have their turn; nothing waits on it.
  { what: 'turns', word: /\bsetImmediate\b/, allowed: ['src/runtime/system-clock.ts', 'src/orchestrator/final.ts'] },
  // The writer's thread has no clock handed in (functions do not cross threads); the HTTP server's is only there while it closes.
  { what: 'intervals', word: /\bsetInterval\b/, allowed: ['src/store/sqlite/writer.ts', 'src/http/server.ts'] },
  { what: 'chance', word: /\bMath\.random\b/, allowed: ['src/store/sqlite/core.ts'] },
  { what: 'enum', word: /^\s*(?:export\s+)?(?:const\s+)?enum\s/m, allowed: [] },
  { what: 'a default export', word: /\bexport\s+default\b/, allowed: [] },
  { what: 'any', word: /(?::|\bas|<|,|\|)\s*any\b(?!\w|\s*\()/, allowed: [] },
  { what: 'console', word: /\bconsole\./, allowed: ['src/main.ts'] },
];
const offenders = (list: readonly Pick<Source, 'path' | 'code'>[], { word, allowed }: (typeof WORDS)[number]): string[] =>
  list.filter(({ path, code }) => word.test(code) && !allowed.includes(path)).map(({ path }) => path);

describe('the source', () => {
  test('is read at all', () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(200);
    expect(imports).toContainEqual({ from: 'src/store/sqlite/open.ts', to: 'better-sqlite3', typeOnly: false });
  });

  test('every file is under the rules', () => {
    expect(sources.map(({ path }) => path).filter((path) => !Object.keys(ARROWS).some((prefix) => path.startsWith(prefix)))).toEqual([]);
  });

  test('imports follow the arrows of the design', () => expect(badArrows(imports)).toEqual([]));
  test('packages stay at home', () => expect(badPackages(imports)).toEqual([]));
  test('the domain imports nothing but itself', () => expect(imports.filter(({ from, to }) => from.startsWith('src/domain/') && !to.startsWith('src/domain/'))).toEqual([]));
  test('handlers never touch the store', () => expect(imports.filter(({ from, to }) => from.startsWith('src/handlers/') && to.startsWith('src/store/'))).toEqual([]));
  test('sibling dialects never import each other', () => expect(badDialects(imports)).toEqual([]));

  test(`no file is longer than ${LINES_MAX} lines`, () => {
    expect(sources.filter(({ text }) => text.split('\n').length - 1 > LINES_MAX).map(({ path }) => path)).toEqual([]);
  });

  test('every file opens with a comment that says what it owns', () => {
    expect(sources.filter(({ text }) => !/^(?:#!.*\n)?(?:\/\/|\/\*\*?) ?\S/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test.each(WORDS)('$what stays where it belongs', (rule) => expect(offenders(sources, rule)).toEqual([]));

  test('every folder has tests that import it', () => {
    const tested = new Set(read('test').flatMap(importsOf).map(({ to }) => /^src\/([^/]+)\//.exec(to)?.[1]));
    const folders = new Set(sources.flatMap(({ path }) => /^src\/([^/]+)\//.exec(path)?.[1] ?? []));
    expect([...folders].filter((folder) => !tested.has(folder))).toEqual([]);
  });
});

describe('these rules', () => {
  const planted = (from: string, text: string): Import[] => importsOf({ path: from, text });

  test.each([
    ['src/domain/job.ts', "import { Store } from '../store/store.ts';"], ['src/handlers/x.ts', "import type { Store } from '../store/store.ts';"],
    ['src/http/native/x.ts', "export { y } from '../../store/sqlite/index.ts';"], ['src/runtime/x.ts', "import { h } from '../handlers/handler.ts';"],
    ['src/orchestrator/x.ts', "const x = await import('../runtime/feed.ts');"], ['src/store/store.ts', "import {\n  a,\n  b,\n} from './sqlite/index.ts';"],
  ])('see the arrow in %s: %s', (from, text) => expect(badArrows(planted(from, text))).toHaveLength(1));

  test('see a package away from home, and a dialect that borrows', () => {
    expect(badPackages(planted('src/runtime/x.ts', "import Database from 'better-sqlite3';"))).toHaveLength(1);
    expect(badDialects(planted('src/http/aitp/x.ts', "import { y } from '../native/schemas.ts';"))).toHaveLength(1);
  });

  test.each([
    ['process.env', 'const x = process.env.HOME;'], ['wall time', 'const x = Date.now();'], ['monotonic time', 'performance.now()'], ['timers', 'setTimeout(f, 1)'], ['turns', 'setImmediate(f)'],
    ['intervals', 'setInterval(f, 1)'], ['chance', 'const r = Math.random;'], ['enum', 'export enum A { B }'], ['enum', 'const enum A { B }'], ['a default export', 'export default x;'],
    ['any', 'const x: any = 1;'], ['any', 'x as any'], ['any', 'Array<any>'], ['any', 'Map<string, any>'], ['console', 'console.log(1)'],
  ])('see %s in: %s', (what, code) => {
    const rule = WORDS.find((one) => one.what === what)!;
    expect(offenders([{ path: 'src/x.ts', code }], rule)).toEqual(['src/x.ts']);
    expect(offenders([{ path: 'src/x.ts', code: withoutStrings(withoutComments(`// ${code}\nconst text = '${code.replace(/'/g, '')}';`)) }], rule)).toEqual([]);
  });
});
