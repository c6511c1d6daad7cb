// A run as one HTML file: no script, nothing loaded from anywhere, every text from outside escaped. Plots are inline SVG.
import type { Comparison, RunFigures } from '../../domain/evaluation/statistics.ts';
import type { Step } from '../../domain/evaluation/steps.ts';
import type { ReportView } from './reports.ts';

export interface HtmlRun {
  readonly title: string;
  readonly jobId: string;
  readonly status: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly figures: RunFigures;
  readonly comparison: Comparison | null;
  readonly reports: readonly { readonly view: ReportView; readonly trajectory: readonly Step[] }[];
  /** Reports that are not in it. */
  readonly left: number;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
// Control characters are no part of HTML; bidi marks would let a text rearrange what stands beside it.
export const escapeHtml = (text: unknown): string => String(text).replace(/(?![\t\n\r])\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu, '\uFFFD').replace(/[&<>"']/g, (c) => ESCAPES[c] ?? c);
const e = escapeHtml;
const clip = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max)}…`).toWellFormed();

const STYLE = `:root{color-scheme:light dark;--line:#8884;--good:#2a8a4a;--bad:#c0392b;--mute:#888}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
.passed,.better,.PASS{color:var(--good)}.failed,.worse,.FAIL{color:var(--bad)}.mute{color:var(--mute)}details{border:1px solid var(--line);border-radius:6px;padding:.4rem .8rem;margin:.4rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;font-size:13px}svg{max-width:100%;height:auto}svg text{fill:currentColor;font:11px system-ui,sans-serif}`;
/** The style is named by what it is; nothing else of the page may run or load. */
export const reportCsp = (hash: string): string => `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
export const REPORT_STYLE = STYLE;

export function htmlReport(run: HtmlRun): string {
  const { figures } = run;
  const facts = [...run.facts, ['Cases', `${figures.total}: ${figures.passed} passed, ${figures.failed} failed, ${figures.errors} without a score`] as const,
    ['Accuracy', figures.accuracy === null ? 'none' : `mean ${figures.accuracy.mean}, spread ${figures.accuracy.sd} (${figures.accuracy.min} to ${figures.accuracy.max})`] as const];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer"><title>${e(run.title)}</title><style>${STYLE}</style></head><body>
<h1>${e(run.title)}</h1><p class="mute">Job ${e(run.jobId)}, ${e(run.status)}</p>
<table>${facts.map(([name, value]) => `<tr><th scope="row">${e(name)}</th><td>${e(value)}</td></tr>`).join('')}</table>
${run.comparison === null ? '' : comparisonPart(run.comparison)}
<h2>Accuracy by case</h2>${bars(figures)}
<h2>How often which accuracy</h2>${histogram(run.reports.flatMap(({ view }) => (view.metricsStatus === 'ready' && view.judge !== null ? [view.metrics.accuracy] : [])))}
<h2>Cases</h2>${run.reports.map(casePart).join('\n')}${run.left === 0 ? '' : `<p class="mute">${run.left} more reports are not in this file; GET /api/eval/reports?jobId=${e(run.jobId)} has them.</p>`}
</body></html>`;
}

function comparisonPart({ verdict, reason, cases }: Comparison): string {
  const rows = cases.filter(({ change }) => change !== 'same').slice(0, 200).map(({ useCaseId, before, after, difference, change }) =>
    `<tr><td>${e(useCaseId)}</td><td>${e(before ?? '–')}</td><td>${e(after ?? '–')}</td><td class="${change}">${e(difference ?? '–')} ${e(change)}</td></tr>`);
  return `<h2>Against the baseline: <span class="${verdict}">${verdict}</span></h2><p>${e(reason)}</p>${rows.length === 0 ? '' : `<table><tr><th>Case</th><th>Before</th><th>After</th><th>Difference</th></tr>${rows.join('')}</table>`}`;
}

/** Cases that one plot can show; the table below has all. */
const BARS_MAX = 60;

function bars({ cases }: RunFigures): string {
  const shown = cases.slice(0, BARS_MAX);
  const rows = shown.map(({ useCaseId, accuracy }, i) => {
    const y = i * 20;
    const value = accuracy?.mean ?? 0;
    const whisker = accuracy === null || accuracy.n < 2 ? '' : `<line x1="${220 + accuracy.min * 4}" x2="${220 + accuracy.max * 4}" y1="${y + 9}" y2="${y + 9}" stroke="currentColor"/>`;
    return `<text x="210" y="${y + 13}" text-anchor="end">${e(clip(useCaseId, 32))}</text><rect x="220" y="${y + 3}" width="${Math.max(1, value * 4)}" height="12" fill="${value >= 70 ? '#2a8a4a' : '#c0392b'}" opacity=".7"/>${whisker}<text x="${226 + Math.max(1, value * 4)}" y="${y + 13}">${accuracy === null ? 'no score' : value}</text>`;
  });
  const more = cases.length > BARS_MAX ? `<p class="mute">${cases.length - BARS_MAX} more cases are below.</p>` : '';
  return `<svg viewBox="0 0 680 ${Math.max(20, shown.length * 20 + 4)}" role="img" aria-label="Accuracy by case"><line x1="500" x2="500" y1="0" y2="${shown.length * 20}" stroke="currentColor" stroke-dasharray="3 3" opacity=".4"/>${rows.join('')}</svg>${more}`;
}

function histogram(values: readonly number[]): string {
  const counts = Array.from({ length: 10 }, (_, i) => values.filter((value) => Math.min(9, Math.floor(value / 10)) === i).length);
  const top = Math.max(1, ...counts);
  const columns = counts.map((count, i) => `<rect x="${40 + i * 60}" y="${110 - (count / top) * 100}" width="50" height="${(count / top) * 100}" fill="#4a78c0" opacity=".7"/><text x="${65 + i * 60}" y="126" text-anchor="middle">${i * 10}–${i === 9 ? 100 : i * 10 + 9}</text>${count === 0 ? '' : `<text x="${65 + i * 60}" y="${104 - (count / top) * 100 + 4}" text-anchor="middle">${count}</text>`}`);
  return `<svg viewBox="0 -10 680 140" role="img" aria-label="Histogram of accuracy">${columns.join('')}</svg>`;
}

function casePart({ view, trajectory }: HtmlRun['reports'][number]): string {
  const word = view.passFailStatus ?? (view.status === 'failed' ? 'failed' : 'not judged');
  const steps = trajectory.map(({ type, content, toolName, toolArgs }) => `<tr><td>${e(type)}${toolName === undefined ? '' : ` <b>${e(clip(toolName, 100))}</b>`}</td><td><pre>${e(clip(content, 2_000))}${toolArgs === undefined ? '' : `\n${e(clip(JSON.stringify(toolArgs), 1_000))}`}</pre></td></tr>`);
  const judge = view.judge === null ? 'no judge' : `${view.judge.modelId} (${view.judge.prompt})`;
  return `<details><summary><span class="${word}">${e(word)}</span> ${e(view.testCaseName)} <span class="mute">${e(view.testCaseId)}, run ${e(view.iteration)}</span>: ${e(view.metrics.accuracy)}${view.limit === null ? '' : ` <span class="mute">cut at its limit of ${e(view.limit)}</span>`}</summary>
<p class="mute">Judged by ${e(judge)}</p><pre>${e(clip(view.llmJudgeReasoning, 5_000))}</pre><table>${steps.join('')}</table></details>`;
}
