// Documents: versions, modes, parts and secrets; and those that stand in the commit of a job's end.
import { describe, expect, test } from 'vitest';
import type { DocumentWrite, NewDocument } from '../../../src/domain/document.ts';
import { plan } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

const doc = (more: Partial<NewDocument> = {}): NewDocument => ({ kind: 'test_case', id: 'a', name: 'A', body: '{"n":1}', ...more });

export function documentContract(open: OpenStore): void {
  describe('documents', () => {
    const t = eachTest(open);
    const write = (document: NewDocument, mode: DocumentWrite['mode'] = 'create', more: Partial<DocumentWrite> = {}) => t.b.run({ kind: 'documents', write: [{ document, mode, ...more }] });

    test('a test case keeps its versions, other kinds the newest', async () => {
      await write(doc());
      t.b.clock.advance(5);
      await write(doc({ body: '{"n":2}' }), 'update');
      expect(await t.b.store.document('test_case', 'a')).toMatchObject({ version: 2, body: '{"n":2}', createdAt: t.b.clock.now() - 5, updatedAt: t.b.clock.now() });
      expect(await t.b.store.document('test_case', 'a', 1)).toMatchObject({ version: 1, body: '{"n":1}' });
      expect((await t.b.store.documents('test_case', { versionsOf: 'a' }, null, 10)).items.map(({ version }) => version)).toEqual([2, 1]);
      await write(doc({ kind: 'agent' }));
      await write(doc({ kind: 'agent', body: '{"n":3}' }), 'update');
      expect(await t.b.store.document('agent', 'a')).toMatchObject({ version: 2 });
      expect(await t.b.store.document('agent', 'a', 1)).toBeNull();
    });

    test('create, update and the expected version refuse what does not fit, and change nothing then', async () => {
      expect(await codeOf(write(doc(), 'update'))).toBe('not_found');
      await write(doc());
      expect(await codeOf(write(doc()))).toBe('conflict');
      expect(await codeOf(write(doc(), 'update', { expected: 2 }))).toBe('conflict');
      expect(await codeOf(t.b.run({ kind: 'documents', write: [{ document: doc({ id: 'b' }), mode: 'create' }, { document: doc(), mode: 'create' }] }))).toBe('conflict');
      expect(await t.b.store.document('test_case', 'b')).toBeNull();
      expect(await codeOf(t.b.run({ kind: 'documents', remove: [{ kind: 'test_case', id: 'c' }] }))).toBe('not_found');
    });

    test('lists are pages, newest first; an owner has its own in order', async () => {
      for (const id of ['a', 'b', 'c']) await write(doc({ kind: 'report', id, owner: 'job_1', subject: id === 'b' ? 'x' : 'y' }));
      const page = await t.b.store.documents('report', {}, null, 2);
      expect(page.items.map(({ id }) => id)).toEqual(['c', 'b']);
      expect((await t.b.store.documents('report', {}, page.next, 2)).items.map(({ id }) => id)).toEqual(['a']);
      expect((await t.b.store.documents('report', { owner: 'job_1' }, null, 10)).items.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
      expect((await t.b.store.documents('report', { subject: 'y' }, null, 10)).items.map(({ id }) => id)).toEqual(['c', 'a']);
    });

    test('parts and secrets go with their document, and a secret is in no other read', async () => {
      await write(doc({ kind: 'agent', parts: { big: '[1]' } }), 'create', { secret: '{"key":"s3cret"}' });
      expect(await t.b.store.documentPart('agent', 'a', 'big')).toBe('[1]');
      expect(await t.b.store.documentSecret('agent', 'a')).toBe('{"key":"s3cret"}');
      expect(JSON.stringify([await t.b.store.document('agent', 'a'), await t.b.store.documents('agent', {}, null, 10)])).not.toContain('s3cret');
      await write(doc({ kind: 'agent' }), 'update');
      expect(await t.b.store.documentSecret('agent', 'a')).toBe('{"key":"s3cret"}');
      await t.b.run({ kind: 'documents', remove: [{ kind: 'agent', id: 'a' }] });
      expect([await t.b.store.document('agent', 'a'), await t.b.store.documentPart('agent', 'a', 'big'), await t.b.store.documentSecret('agent', 'a')]).toEqual([null, null, null]);
    });

    test('what a run leaves stands with its end, and once: a stale lease leaves nothing', async () => {
      const report = doc({ kind: 'report', parts: { trajectory: '[]' } });
      await t.b.submit(plan({ type: 'once' }));
      const [claim] = await t.b.claim('once');
      const stale = { id: claim!.id, epoch: claim!.epoch + 1 };
      await t.b.end(stale, { kind: 'done', result: null, documents: [report] });
      expect(await t.b.store.document('report', 'a')).toBeNull();
      await t.b.end(claim!, { kind: 'fail', error: { code: 'network', message: 'x', retryable: false }, documents: [report, { ...report, body: '{"n":9}' }] });
      expect(await t.b.store.documents('report', {}, null, 10)).toMatchObject({ items: [{ id: 'a', body: '{"n":9}' }] });
    });
  });
}
