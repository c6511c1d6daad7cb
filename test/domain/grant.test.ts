// The rules of grants: who may ask, what wins, and how parameters reach the job.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkUse, type Grant, isParty, planOperation } from '../../src/domain/grant.ts';

const grant = (more: Partial<Grant> = {}): Grant => ({
  id: 7, grantor: '0xa', grantee: '0xb', operation: 'prompt_x_agent', parameters: {}, expiresAt: null, createdAt: 0, revokedAt: null, template: { type: 'container', input: { image: 'i', env: { A: '1' }, files: [{ path: '/x', content: '' }] }, deliver: {} }, ...more,
});
const code = (run: () => unknown): string => { try { run(); return 'ok'; } catch (error) { return (error as { code: string }).code; } };

test.each([
  ['the grantee', grant(), { signer: '0xB' }, 'ok'], ['development', grant(), { signer: null }, 'ok'], ['the grantor', grant(), { signer: '0xa' }, 'not_granted'], ['the operation by its name', grant(), { signer: '0xb', operation: 'prompt_x_agent' }, 'ok'],
  ['another operation', grant(), { signer: '0xb', operation: 'x' }, 'grant_invalid'], ['before it ends', grant({ expiresAt: 101 }), { signer: '0xb' }, 'ok'], ['at its end', grant({ expiresAt: 100 }), { signer: '0xb' }, 'grant_invalid'],
  ['revoked', grant({ revokedAt: 1 }), { signer: '0xb' }, 'grant_invalid'], ['a stranger to a revoked one, who learns nothing of that', grant({ revokedAt: 1 }), { signer: '0xc' }, 'not_granted'],
])('asked by %s: %#', (_who, one, use, expected) => expect(code(() => checkUse(one, { permissionId: 7, ...use }, 100))).toBe(expected));

test('what an operation left is its grantor\'s and its grantee\'s', () => {
  expect(['0xA', '0xb', null, '0xc', ''].map((signer) => isParty(grant(), signer))).toEqual([true, true, true, false, false]);
});

test('what the grant says of a parameter is final, whatever the request says', () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (asked, given) => {
    const { input } = planOperation(grant({ parameters: given, template: { type: 'request', input: {}, deliver: { body: true } } }), asked);
    const { parameters } = JSON.parse(input).body;
    const plain = (value: unknown) => JSON.parse(JSON.stringify(value));
    for (const [name, value] of Object.entries(given)) expect(Object.getOwnPropertyDescriptor(parameters, name)?.value).toEqual(plain(value));
    for (const [name, value] of Object.entries(asked)) if (!Object.hasOwn(given, name)) expect(Object.getOwnPropertyDescriptor(parameters, name)?.value).toEqual(plain(value));
  }));
});

describe('parameters reach the job', () => {
  const of = (deliver: Grant['template']['deliver'], asked = { goal: 'g', n: 1 }) => JSON.parse(planOperation(grant({ template: { ...grant().template, deliver } }), asked).input);
  const all = '{"goal":"g","n":1}';

  test.each([
    ['not at all, if the template does not say how', {}, { image: 'i', env: { A: '1' }, files: [{ path: '/x', content: '' }] }],
    ['as variables beside those of the template', { goalEnv: 'GOAL', env: 'PARAMETERS' }, { env: { A: '1', GOAL: 'g', PARAMETERS: all } }],
    ['as a file beside those of the template', { file: '/p.json' }, { files: [{ path: '/x', content: '' }, { path: '/p.json', content: all }] }],
    ['on the standard input', { stdin: true }, { stdin: all }], ['as a body', { body: true }, { body: { operation: 'prompt_x_agent', parameters: { goal: 'g', n: 1 } } }],
  ])('%s', (_how, deliver, expected) => expect(of(deliver)).toMatchObject(expected));

  test('and a request chooses neither image nor command nor any other part of the input', () => {
    expect(of({ goalEnv: 'GOAL' }, { goal: 'g', image: 'evil', command: ['x'], env: { A: '2' } } as never)).toEqual({ image: 'i', env: { A: '1', GOAL: 'g' }, files: [{ path: '/x', content: '' }] });
  });

  test('a goal that must be delivered must be a string', () => {
    for (const goal of [undefined, null, 1, {}]) expect(code(() => planOperation(grant({ template: { ...grant().template, deliver: { goalEnv: 'GOAL' } } }), { goal }))).toBe('grant_invalid');
  });

  test('the job carries the permission, and its own attempts and time', () => {
    expect(planOperation(grant({ template: { type: 'noop', input: {}, deliver: {}, timeout: 5, maxAttempts: 2 } }), {}).spec).toEqual({ grant: 7, timeout: 5, maxAttempts: 2 });
  });
});
