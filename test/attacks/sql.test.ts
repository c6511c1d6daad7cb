// Case 104 in the source: every value is bound. SQL that is put together at all is listed here with what goes into it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const FOLDER = new URL('../../src/store/sqlite', import.meta.url).pathname;
const WORDS = /\b(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|FROM|WHERE|VALUES|SET|AND|OR|IN|ORDER BY|LIMIT|PRAGMA|ATTACH|CREATE|ALTER|DROP|UNION|RETURNING)\b/;

/** Template strings of a source, those inside of others too: their text without, and the expressions that go into them. */
function templatesIn(code: string): { text: string; parts: string[] }[] {
  const found: { text: string; parts: string[] }[] = [];
  const read = (from: number): number => { // from after a backtick to after its end
    const template = { text: '', parts: [] as string[] };
    found.push(template);
    let at = from;
    while (at < code.length && code[at] !== '`') {
      if (code[at] === '\\') { at += 2; continue; }
      if (code.startsWith('${', at)) {
        const start = at += 2;
        for (let depth = 0; at < code.length && !(code[at] === '}' && depth === 0); at++) {
          if (code[at] === '`') { at = read(at + 1) - 1; continue; }
          if (code[at] === '{') depth++;
          if (code[at] === '}') depth--;
        }
        template.parts.push(code.slice(start, at));
        template.text += ' ? ';
        at++;
      } else template.text += code[at++];
    }
    return at + 1;
  };
  for (let at = 0; at < code.length; at++) {
    if (code[at] === "'") { for (at++; at < code.length && code[at] !== "'" && code[at] !== '\n'; at++) if (code[at] === '\\') at++; continue; }
    if (code.startsWith('//', at) || code.startsWith('/*', at)) { const end = code.indexOf(code[at + 1] === '/' ? '\n' : '*/', at); at = end < 0 ? code.length : end; continue; }
    if (code[at] === '`') at = read(at + 1) - 1;
  }
  return found;
}

/** What goes into SQL, and text joined to a string of SQL by a plus. */
function builtIn(name: string, code: string): string[] {
  const inTemplates = templatesIn(code).filter(({ text }) => WORDS.test(text)).flatMap(({ parts }) => parts);
  const joined = [...code.matchAll(/'[^'\n]*'\s*\+(?!\+)\s*(\S{1,40})|(\S{1,40})\s*\+\s*'[^'\n]*'/g)].filter(([text]) => WORDS.test(text)).map(([, after, before]) => `+ ${after ?? before}`);
  return [...inTemplates, ...joined].map((part) => `${name}: ${part}`);
}

/** Column lists, question marks and statements of this folder, the names of parameters, numbers from constants, words of closed sets. No value. */
const CONSTANT = new Set([
  "job-table.ts: Array.from({ length: 20 }, () => '?').join(', ')", "job-table.ts: [...changed.map((i) => `${columns[i]} = ?`), ...more].join(', ')", 'job-table.ts: setting(changed)', "job-table.ts: setting(changed, ['final_seq = key + ?'])", "job-table.ts: setting(changed, ['final_seq = v.seq'])",
  "job-table.ts: JOB_COLUMNS.split(', ').map((name) => `j.${name.trim()}`).join(', ')", 
  'list.ts: status.map((word, i) => { params[`status${i}`] = word; return `@status${i}`; }).join(\', \')', 'list.ts: columns', "list.ts: where.join(' AND ')", "list.ts: STATUSES.map((status) => `'${status}'`).join(', ')",
  'list.ts: key', 'list.ts: otherwise', 'list.ts: plus', 'list.ts: lead.from', 'list.ts: join', "list.ts: [...conditions, ...where, ...more].join(' AND ')", 'list.ts: part(lead.where)', "list.ts: lead.and === undefined ? '' : ` UNION ALL ${part(lead.and.where)}`", 'list.ts: part(lead.and.where)', 'list.ts: lead.order', 'list.ts: max',
  "log-table.ts: Array.from({ length: rows }, () => '(?, ?, ?, ?, ?, ?, ?)').join(', ')",
  'reader.ts: only', 'reader.ts: words', "reader.ts: status === null ? '' : `AND +status IN (${words})`", "reader.ts: status.map(() => '?').join(', ')", "reader.ts: types.map(() => '?').join(', ')",
  "schedule-reader.ts: where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`", "schedule-reader.ts: where.join(' AND ')", "schedule-reader.ts: byOffset ? ' OFFSET @offset' : ''",
  "schedule-table.ts: MUTABLE.map((name) => `${name} = ?`).join(', ')", "schedule-table.ts: RUN_COLUMNS.split(', ').slice(1).map((name) => `${name} = ?`).join(', ')",
  "schedule-table.ts: MUTABLE.join(', ')", "schedule-table.ts: MUTABLE.map(() => '?').join(', ')", 'schedule-table.ts: rows',
  'sets.ts: unstarted ? "AND started_at IS NULL" : \'\'', 'sets.ts: t',
]);

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts')).sort();
const built = files.flatMap((name) => builtIn(name, readFileSync(join(FOLDER, name), 'utf8')));

describe('case 104: the SQL of the store', () => {
  test('is put together from constants only', () => {
    expect(built.length).toBeGreaterThan(15);
    expect(built.filter((one) => !CONSTANT.has(one) && !/: [A-Z][A-Z0-9_]*$/.test(one))).toEqual([]); // a name in capitals is a constant of its module
  });

  test.each([
    ['a value in a template', 'db.prepare(`SELECT * FROM job WHERE id = ${id}`)', ['x.ts: id']],
    ['a value in quotes', "const sql = `DELETE FROM job WHERE type = '${type}'`;", ['x.ts: type']],
    ['a value inside of an inner template', "`SELECT ${list.map((one) => `AND tag = '${one}'`).join('')}`", ["x.ts: list.map((one) => `AND tag = '${one}'`).join('')", 'x.ts: one']],
    ['a value behind a plus', "const sql = 'SELECT * FROM job WHERE id = ' + id;", ['x.ts: + id;']],
    ['a value before a plus', "sql = where + ' ORDER BY key'", ['x.ts: + where']],
  ])('would be caught: %s', (_what, code, found) => expect(builtIn('x.ts', code)).toEqual(found));

  test('is not seen in comments, nor in messages', () => {
    expect(builtIn('x.ts', '// `SELECT ${a}`\nthrow new Error(`There is no ${thing} to be had.`);')).toEqual([]);
  });
});
