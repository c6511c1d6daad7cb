// Cases 100, 101 and 104: what is asked for in a query.
import { type Attack, attacks, get, type Sent } from './attack.ts';

const list = (query: string): Sent => get(`/api/jobs?${query}`);
const of = (query: string) => ({ ended }: { ended: string }): Sent => get(`/api/jobs/${ended}/${query}`);
export const SQL = ["'; DROP TABLE job; --", "' OR '1'='1", "x' UNION SELECT * FROM meta --", '"; DELETE FROM event; --', "1); ATTACH DATABASE '/tmp/x' AS x; --", '%', '_', '%%', '\\', "''", '?1', '@tag', ':text', '$x', "json_extract(spec,'$.callback')", '*', '^', 'NEAR(a b)', "a' ESCAPE '\\"] as const;
const encoded = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27');

export const CONTENT: readonly Attack[] = [
  ...attacks(100, [
    ['a regular expression as a parameter', list('regex=(a%2B)%2B%24'), 400, /regex is not a parameter/],
    ['a pattern as a parameter', list('like=%25'), 400, /like is not a parameter/],
    ['a search of 201 characters', list(`text=${'%25'.repeat(201)}`), 400, /text/],
    ['a tag of 129 characters', list(`tag=${'_'.repeat(129)}`), 400, /tag/],
  ]),
  ...attacks(101, [
    ...['1000000000', '0', '-1', '1e2', '0x10', '1.5', '201', '', ' 5', '99999999999999999999', 'NaN'].map((limit) => [`limit=${limit}`, list(`limit=${encoded(limit)}`), 400, /limit/] as const),
    ['limit twice', list('limit=1&limit=2'), 400, /limit/],
    ['an offset', list('offset=1000000000'), 400, /offset is not a parameter/],
    ['a page', list('page=1000000'), 400, /page is not a parameter/],
    ['sorting by what has no index', list('sort=endedAt'), 400, /sort is not a parameter/],
    ['an order', list('order=desc'), 400, /order is not a parameter/],
    ['no cursor', list('cursor=abc'), 400, /not a cursor/],
    ['the cursor of another list', of('children?cursor=j1'), 400, /not a cursor/],
    ['a cursor of 400 characters', list(`cursor=j${'z'.repeat(400)}`), 400, /not a cursor/],
    ['a cursor beyond what a double holds', list('cursor=jzzzzzzzzzzz'), 400, /not a cursor/],
    ['a million children', of('children?limit=1000000'), 400, /limit/],
    ['a million events', of('events?limit=1000000'), 400, /limit/],
    ['10^9 lines', of('logs?limit=1000000000'), 400, /limit/],
    ['an offset of 10^12 lines', of('logs?offset=1000000000000'), 400, /offset/],
    ['the last 10^9 lines', of('logs?tail=1000000000'), 400, /tail/],
    ['a wait of a day', ({ ended }) => get(`/api/jobs/${ended}?wait=86400`), 400, /from 0 to 60/],
  ]),
  ...attacks(104, [
    ...SQL.map((text) => [`${text} as a status`, list(`status=${encoded(text)}`), 400, /unknown status/] as const),
    ...SQL.map((text) => [`${text} as a cursor`, list(`cursor=${encoded(text)}`), 400, /not a cursor/] as const),
    ...SQL.map((text) => [`${text} as an id`, get(`/api/jobs/${encoded(text)}`), 400, /not a job id/] as const),
    ...SQL.map((text) => [`${text} as a parent`, list(`parent=${encoded(text)}`), 400, /not a job id/] as const),
    ...SQL.map((text) => [`${text} as an event cursor`, of(`events?after=${encoded(text)}`), 400, /after/] as const),
    ...SQL.map((text) => [`${text} as the type of a stream`, get(`/api/stream?type=${encoded(text)}`), 400, /unknown event type/] as const),
    ['1,000 statuses', list(`status=${Array.from({ length: 1_000 }, () => 'queued').join(',')}`), 400, /at most 200 characters/],
    ['1,000 event types', get(`/api/stream?type=${Array.from({ length: 1_000 }, () => 'job:log').join(',')}`), 400, /at most 200 characters/],
    ['1,000 parameters', list(Array.from({ length: 1_000 }, (_, i) => `p${i}=1`).join('&')), 400, /not a parameter/],
    ['a name that is SQL', list(`${encoded("tag') OR 1=1 --")}=x`), 400, /not a parameter/],
    ['a list with brackets', list('status[]=queued'), 400, /not a parameter/],
    ['an object with brackets', list('status[$ne]=queued'), 400, /not a parameter/],
    ['a type twice', list('type=noop&type=batch'), 400, /type/],
  ]),
];
