// The scripted run: forty acts that touch every kind of write, the same every time but for when jobs end by themselves.
// Stops when the server is gone; refusals for want of space are taken as they come.
import type { Submission } from './ledger.ts';
import type { Stage } from './stage.ts';

type Body = Record<string, unknown>;
const noop = (input: Body = {}, more: Body = {}): Body => ({ type: 'noop', input, ...more });
const sleepers = (count: number, sleep: number): Body[] => Array.from({ length: count }, () => noop({ sleep }));
const BACKOFF = { kind: 'fixed', base: 30, cap: 30, jitter: false };
/** Waits for one job to end, 1 s each; beyond that the act that needs it is left out. */
const WAITS = 3;

export async function runScript(stage: Stage): Promise<void> {
  const { driver, ledger, participant, rng } = stage;
  const call = (script: string): string => `${participant.url}/p/$JOB$?${script}`;
  const submitAll = async (jobs: readonly Body[], path: string, text?: (list: readonly Body[]) => unknown): Promise<Submission> => {
    const token = ledger.nextToken();
    const tag = (job: Body): Body => ({ ...job, tags: [token], ...(job['children'] === undefined ? {} : { children: (job['children'] as Body[]).map(tag) }) });
    const count = (job: Body): number => 1 + ((job['children'] ?? []) as Body[]).reduce((sum, child) => sum + count(child), 0);
    const list = jobs.map(tag);
    const submission: Submission = {
      token, key: `key-${token}`, size: list.reduce((sum, job) => sum + count(job), 0), tries: 0, ids: null, refused: false,
      call: { path, body: text === undefined ? list[0] : text(list) },
    };
    if (stage.isUp) await driver.send(submission);
    return submission;
  };
  const submit = (job: Body): Promise<Submission> => submitAll([job], '/api/jobs');
  const act = async (verb: 'start' | 'pause' | 'resume' | 'retry' | 'cancel' | 'edit', { ids }: Submission, patch?: object): Promise<void> => {
    const id = ids?.[0];
    if (stage.isUp && id !== undefined) await driver.deed(verb, id, rng, patch);
  };
  const child = async ({ ids }: Submission): Promise<void> => { if (ids !== null) await submit(noop({}, { parentId: ids[0] })); };
  const hasEnded = async ({ ids }: Submission): Promise<boolean> => {
    for (let i = 0; i < WAITS && stage.isUp && ids !== null; i++) {
      const answer = await driver.request({ method: 'GET', path: `/api/jobs/${ids[0]}?wait=1` });
      if (answer.kind === 'answer' && answer.body.state !== 'PENDING') return true;
    }
    return false;
  };
  const remove = async (submission: Submission): Promise<void> => {
    const rootId = submission.ids?.[0];
    if (rootId === undefined || !(await hasEnded(submission))) return;
    const page = await driver.request({ method: 'GET', path: `/api/jobs?root=${rootId}&limit=200` });
    if (page.kind !== 'answer' || page.status !== 200) return;
    const members = page.body.jobs as { id: string; cursor: string; state: string }[];
    const cursor = Math.max(...members.map((job) => Number(job.cursor)));
    // Every event of it is heard before it goes: so a hole in the log can be told from a loss.
    for (let i = 0; i < 100 && stage.firehose.position < cursor && stage.isUp; i++) await new Promise((resolve) => { setTimeout(resolve, 10); });
    if (stage.firehose.position < cursor || members.some(({ state }) => state === 'PENDING')) return;
    const deed = ledger.deed('delete', rootId, { members: members.map(({ id }) => id) });
    const answer = await driver.request({ method: 'DELETE', path: `/api/jobs/${rootId}` });
    if (answer.kind !== 'answer') return;
    if (answer.status !== 204 && answer.status !== 503) stage.violations.push(`unexpected answer to delete ${rootId}: ${answer.status} ${JSON.stringify(answer.body)}`);
    ledger.done(deed, answer.status);
  };

  const single = await submit(noop());
  const failed = await submit(noop({ fail: 'as asked' }));
  const held = await submit(noop({ result: 7 }, { hold: true }));
  const delayed = await submit(noop({}, { delay: 400 }));
  const long = await submit(noop({ sleep: 900 }));
  await submit({ type: 'request', input: { url: call('wait=10') }, maxAttempts: 1, backoff: BACKOFF });
  await submit({ type: 'request', input: { url: call('fails=1') }, maxAttempts: 2, backoff: BACKOFF });
  await submit({ type: 'request', input: { url: call('pending=1') }, maxAttempts: 1, callback: `${participant.url}/callback` });
  await submitAll(sleepers(20, 5), '/api/jobs/bulk', (jobs) => ({ jobs }));
  await submitAll([...sleepers(4, 1), { type: 'batch', children: sleepers(3, 1) }], '/api/jobs/bulk', (jobs) => jobs.map((job) => JSON.stringify(job)).join('\n'));
  const tree = await submit({ type: 'batch', width: 2, children: sleepers(6, 5) });
  await submit({ type: 'batch', onChildFailure: 'fail_fast', children: [noop({ sleep: 20 }), noop({ fail: 'as asked' }), ...sleepers(3, 200)] });
  await submit({ type: 'batch', completion: 'any', onChildFailure: 'continue', children: [{ type: 'batch', children: sleepers(3, 20) }, noop({ sleep: 30 })], callback: `${participant.url}/callback` });
  await submit({ type: 'verify', input: { participants: [1, 2, 3].map((n) => ({ id: `p${n}`, url: call(`wait=${n * 5}`) })) } });
  const open = await submit({ type: 'batch', sealed: false, children: sleepers(2, 5) });
  const heldTree = await submit({ type: 'batch', hold: true, children: [{ type: 'batch', children: sleepers(2, 5) }, noop()] });
  for (let i = 0; i < 3; i++) await child(open);
  await act('edit', held);
  await act('start', held);
  await act('pause', delayed);
  await act('edit', delayed);
  await act('resume', delayed);
  await act('cancel', long);
  await act('cancel', heldTree);
  if (held.ids !== null && stage.isUp) await driver.send(held); // its key again
  if (await hasEnded(failed)) await act('retry', failed);
  await act('edit', open, { sealed: true });
  await remove(single);
  await remove(tree);
  await Promise.all([noop(), noop({ sleep: 10 }), noop({}, { priority: 9 }), { type: 'batch', children: sleepers(4, 10) }, noop({}, { ttl: 50, delay: 5_000 }), noop({}, { deadline: 100, delay: 3_000 })].map(submit));
  await hasEnded(open);
}
