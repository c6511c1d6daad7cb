// Secrets in what a container prints: however its line comes, and whatever JSON and base64 make of them. Pure, no engine.
import { describe, expect, test } from 'vitest';
import { AgentWatch } from '../../src/handlers/container-agent.ts';
import { Gather } from '../../src/handlers/container-gather.ts';
import { containerInput } from '../../src/handlers/container-input.ts';
import { Masker } from '../../src/handlers/container-secrets.ts';

const SECRET = 'kx9-SECRETVALUE-77q';
const INPUT = containerInput({ images: ['*'], network: 'none' });
const problems = (more: Record<string, unknown>): string[] => (INPUT.safeParse({ image: 'demo:1', ...more }).error?.issues ?? []).map(({ path, message }) => `${path.join('.')} ${message}`);

describe('a line that comes in parts', () => {
  test('a part that may be a secret\'s beginning is not stored before its rest has come, also when nothing else is left', () => {
    const masker = new Masker([SECRET]);
    const gather = new Gather((bytes) => masker.tailOf(bytes));
    const stored = (): string => gather.take(Infinity).map(({ bytes }) => masker.mask(bytes).toString()).join('|');
    gather.append('stdout', Buffer.from(`prompt ${SECRET.slice(0, 9)}`));
    gather.settle('parts');
    expect(stored()).toBe('prompt ');
    gather.settle('parts'); // a second later: only the beginning of the secret is there
    expect(stored()).toBe('');
    gather.append('stdout', Buffer.from(`${SECRET.slice(9)} and more\n`));
    gather.settle('lines');
    expect(stored()).toBe('*** and more\n');
  });

  test('what was held back is stored at the end', () => {
    const masker = new Masker([SECRET]);
    const gather = new Gather((bytes) => masker.tailOf(bytes));
    gather.append('stderr', Buffer.from(SECRET.slice(0, 9)));
    gather.settle('end');
    expect(gather.take(Infinity).map(({ bytes }) => bytes.toString())).toEqual([SECRET.slice(0, 9)]);
  });

  test('a secret longer than a stored part holds nothing up', () => {
    const masker = new Masker(['s'.repeat(32 * 1024), 'é"\u{1f600}'.repeat(8_000)]);
    const gather = new Gather((bytes) => masker.tailOf(bytes));
    for (let i = 0; i < 10; i++) gather.append('stdout', Buffer.alloc(16 * 1024, 's'));
    for (let i = 0; i < 10; i++) gather.append('stderr', Buffer.from('é"\u{1f600}'.repeat(2_000)));
    expect(gather.hasPieces).toBe(true);
    expect(gather.bytes).toBeLessThan(400 * 1024);
  });
});

describe('what other spellings make of a secret', () => {
  const quoted = 'pa"ss\\wo/rd é';
  test.each([
    ['JSON', JSON.stringify({ key: quoted })], ['JSON in ASCII', String.raw`{"key":"pa\"ss\\wo/rd \u00e9"}`],
  ])('%s', (_name, printed) => {
    expect(new Masker([quoted]).text(printed)).toBe('{"key":"***"}');
  });

  test.each([76, 64])('base64 in lines of %i', (columns) => {
    const secret = Array.from({ length: 30 }, (_, i) => `part-${i};`).join('');
    const lines = Buffer.from(secret).toString('base64').match(new RegExp(`.{1,${columns}}`, 'g')) ?? [];
    expect(lines.length).toBeGreaterThan(2);
    const shown = new Masker([secret]).text(lines.join('\n')).split('\n');
    expect(shown.slice(0, -1)).toEqual(lines.slice(1).map(() => '***'));
    expect(shown.at(-1)).toMatch(/^\*\*\*.{0,3}$|^.{1,8}$/); // its last bits are not the secret's alone, and a few letters are no secret
  });

  test('every value of several lines has one that is masked', () => {
    expect(problems({ secrets: { KEY: 'abc\ndef\nghi' } })).toEqual([expect.stringMatching(/^secrets\.KEY must have a line of at least 6 characters/)]);
    expect(problems({ secrets: { KEY: 'abc' } })).toEqual([expect.stringMatching(/^secrets\.KEY must have at least 6 characters/)]);
    expect(problems({ secrets: { KEY: 'abcdef\nghi' } })).toEqual([]);
  });
});

describe('an answer', () => {
  const answerTo = (...lines: string[]): unknown => {
    const watch = new AgentWatch(new Masker([SECRET]));
    watch.push(Buffer.from(lines.map((line) => `${line}\n`).join('')));
    return watch.answer;
  };
  test('is masked as it is read, not only as it is written: escapes, keys, lists', () => {
    const escaped = `\\u006b${SECRET.slice(1)}`;
    expect(answerTo(`{"status":"ok","summary":"is ${escaped}","result":{"${escaped}":["${escaped}",1,null]}}`)).toEqual({ status: 'ok', summary: 'is ***', result: { '***': ['***', 1, null] } });
  });

  test('nested too deep for those who print it again is no answer', () => {
    expect(answerTo('{"status":"ok"}', `{"status":"ok","result":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)).toEqual({ status: 'ok' });
  });
});

describe('a working directory', () => {
  test.each(['//proc/self/fd/7', '///proc', '/work//../proc', '/proc', '/a/../proc', '/./sys', '/dev/fd'])('%s is refused', (workingDir) => {
    expect(problems({ workingDir })).toEqual([expect.stringContaining('workingDir must be an absolute path')]);
  });
  test('another is taken', () => { expect(problems({ workingDir: '/muster/work/x' })).toEqual([]); });
});
