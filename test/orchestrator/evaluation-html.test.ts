// The report page: whatever stands in a case, a step or a verdict stays text.
import { expect, test } from 'vitest';
import { figuresOf } from '../../src/domain/evaluation/statistics.ts';
import { escapeHtml, htmlReport } from '../../src/orchestrator/evaluations/html.ts';
import type { ReportView } from '../../src/orchestrator/evaluations/reports.ts';

const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' style='x", '</pre></details><style>*{}</style>', '&lt;b&gt;', '\u202egnp.exe', '\0\u001b[31m', 'javascript:alert(1)', '</title><base href=//evil.example>', '\ud800', '<svg/onload=alert(1)>'];
const said = HOSTILE.join(' ');
const view = {
  id: said, createdAt: '', testCaseId: said, testCaseName: said, status: 'completed', passFailStatus: 'passed', metricsStatus: 'ready', metrics: { accuracy: 80 }, llmJudgeReasoning: said, improvementStrategies: [],
  judge: { kind: 'openai', modelId: said, model: said, prompt: said }, iteration: 1, limit: said,
} as unknown as ReportView;

test('hostile texts add no element and no attribute', () => {
  const outcomes = [{ useCaseId: said, result: { accuracy: 80, passFailStatus: 'passed' as const, tokens: 1, cost: 1 } }];
  const page = (text: string): string => htmlReport({
    title: text, jobId: 'job_1', status: text, facts: [[text, text]], figures: figuresOf(outcomes.map((one) => ({ ...one, useCaseId: text }))), left: 1,
    comparison: { cases: [{ useCaseId: text, before: 1, after: 2, difference: 1, change: 'better' }], difference: null, tolerance: 5, verdict: 'PASS', reason: text },
    reports: [{ view: text === said ? view : { ...view, id: text, testCaseId: text, testCaseName: text, llmJudgeReasoning: text, limit: text, judge: { kind: 'openai', modelId: text, model: text, prompt: text } }, trajectory: [{ id: 's', timestamp: 1, type: 'action', content: text, toolName: text, toolArgs: { [text]: text } }] }],
  });
  const tags = (html: string): string[] => [...html.matchAll(/<[a-z!/][^>]*>/gi)].map(([tag]) => tag.replace(/="[^"]*"/g, ''));
  expect(tags(page(said))).toEqual(tags(page('harmless')));
  for (const mark of ['\u202e', '\0', '\u001b']) expect(page(said)).not.toContain(mark);
  expect(page(said)).toContain('<svg');
});

test('escaping leaves ordinary text as it is', () => expect(escapeHtml('Grüße, 5 > 3 & "so"\n🙂')).toBe('Grüße, 5 &gt; 3 &amp; &quot;so&quot;\n🙂'));
