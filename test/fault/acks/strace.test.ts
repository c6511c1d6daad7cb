// The parser and the judge on traces written by hand: each order that must not be, and the ones that may.
import { describe, expect, it } from 'vitest';
import { type Ack, judge } from './judge.ts';
import { firstString, readCalls } from './strace.ts';

const LOG = '/d/m.db-wal';
const JOB = 'job_01m82h2a2rfamtjdq7hzgerram';
const TOKEN = 'tok000001x';
const ACKS: Ack[] = [{ what: 'the job', marks: [JOB, TOKEN], answer: JOB }];

const header = (isCommit: boolean): string => `10 1.0 pwrite64(28<${LOG}>, "\\0\\0\\0\\2\\0\\0\\0\\${isCommit ? '30' : '0'}\\0\\0\\0\\1", 24, 98912) = 24`;
const page = (text: string): string => `10 1.0 pwrite64(28<${LOG}>, "\\r\\0\\17${text}\\0", 4096, 98936) = 4096`;
const sync = (of = LOG, result = '0'): string => `10 1.0 fsync(28<${of}>)           = ${result}`;
const answer = `11 1.0 write(34<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 201 Created\\r\\n\\r\\n{\\"id\\":\\"${JOB}\\"}", 400) = 400`;
const FRAMES = [header(false), page(JOB), header(true), page(TOKEN)];
const told = (lines: readonly string[]): string => judge(readCalls(lines), ACKS, LOG).violations.join('\n');

describe('readCalls', () => {
  it('joins what other threads came between', () => {
    const calls = [...readCalls([
      `10 1.0 fsync(28<${LOG}> <unfinished ...>`,
      '11 1.0 write(20<anon_inode:[eventfd]>, "\\1\\0", 8) = 8',
      '12 1.0 fsync(9</other> <unfinished ...>',
      '10 1.0 <... fsync resumed>)             = 0',
      '12 1.0 <... fsync resumed>)             = -1 EIO (Input/output error)',
      '10 1.0 +++ exited with 0 +++',
    ])];
    expect(calls.map(({ thread, name, on, start, end, result }) => [thread, name, on, start, end, result])).toEqual([
      [11, 'write', 'anon_inode:[eventfd]', 2, 2, 8], [10, 'fsync', LOG, 1, 4, 0], [12, 'fsync', '/other', 3, 5, -1],
    ]);
  });

  it('keeps a call that never ended', () => {
    expect([...readCalls([`10 1.0 fsync(28<${LOG}> <unfinished ...>`])]).toMatchObject([{ end: Infinity, result: null }]);
  });

  it('knows a socket by both ends, and is not misled by what stands in a string', () => {
    const [call] = [...readCalls(['7 1.0 write(34<TCP:[1.2.3.4:1->5.6.7.8:2]>, "x) = 7 <unfinished ...>", 23) = 23'])];
    expect(call).toMatchObject({ on: 'TCP:[1.2.3.4:1->5.6.7.8:2]', result: 23 });
  });

  it('refuses what is not a trace', () => {
    expect(() => [...readCalls(['hello'])]).toThrow(/not strace's/);
    expect(() => [...readCalls(['10 1.0 <... fsync resumed>) = 0'])]).toThrow(/did not begin/);
  });

  it('undoes the escapes of a string', () => {
    expect(firstString('28</x>, "\\0\\30a\\n\\"\\\\\\1771\\37z", 9')).toEqual([0, 0o30, 97, 10, 34, 92, 0o177, 49, 0o37, 122]);
  });
});

describe('judge', () => {
  it('is content with frames, a whole sync, an answer', () => {
    expect(told([...FRAMES, sync(), answer])).toBe('');
    expect(told([...FRAMES, sync().replace('fsync', 'fdatasync'), answer])).toBe('');
  });

  it('is content when a later transaction rewrites the page before the answer leaves', () => {
    expect(told([...FRAMES, sync(), header(true), page(`${JOB}${TOKEN}`), answer])).toBe('');
  });

  const BAD: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
    'no sync': [[...FRAMES, answer], /never synced/],
    'a sync of another file': [[...FRAMES, sync('/d/m.db'), answer], /never synced/],
    'a sync that failed': [[...FRAMES, sync(LOG, '-1 EIO (Input/output error)'), answer], /never synced/],
    'a sync after the answer': [[...FRAMES, answer, sync()], /synced on line 6/],
    'a sync between its frames': [[...FRAMES.slice(0, 2), sync(), ...FRAMES.slice(2), answer], /never synced/],
    'a sync that had begun before its last frame': [
      [...FRAMES.slice(0, 3), `12 1.0 fsync(28<${LOG}> <unfinished ...>`, ...FRAMES.slice(3), '12 1.0 <... fsync resumed>) = 0', answer], /never synced/],
    'a sync that had not ended at the answer': [
      [...FRAMES, `10 1.0 fsync(28<${LOG}> <unfinished ...>`, answer, '10 1.0 <... fsync resumed>) = 0'], /synced on line 7/],
    'an answer before the frames': [[answer, ...FRAMES, sync()], /before its last frame/],
    'a job that is nowhere': [[header(true), page(JOB), sync(), answer], /tok000001x was never written/],
    'a transaction without its last frame': [[header(false), page(`${JOB}${TOKEN}`), sync(), answer], /never written/],
    'an answer that is not there': [[...FRAMES, sync()], /answer is not in the trace/],
    'a write that came short': [[...FRAMES, header(true).replace('= 24', '= 12'), sync(), answer], /write of 24 bytes/],
  };
  for (const [what, [lines, pattern]] of Object.entries(BAD)) it(`tells of ${what}`, () => { expect(told(lines)).toMatch(pattern); });
});
