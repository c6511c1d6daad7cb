// Evaluations, the room that has the others: the library of cases and agents, runs, reports. What reads several of them is here.
import { DomainError } from '../domain/errors.ts';
import type { NewDocument } from '../domain/document.ts';
import { type ExperimentInput, reportIdOf } from '../domain/evaluation/model.ts';
import { compareRuns, figuresOf } from '../domain/evaluation/statistics.ts';
import type { Step } from '../domain/evaluation/steps.ts';
import { isFinal } from '../domain/job.ts';
import { readJson } from '../domain/read-json.ts';
import type { JobRecord, Store } from '../store/store.ts';
import { type HtmlRun, htmlReport } from './evaluations/html.ts';
import { Library } from './evaluations/library.ts';
import { type ReportView, Reports } from './evaluations/reports.ts';
import { Runs, type RunsDeps } from './evaluations/runs.ts';

/** Reports in one HTML file, with up to 50 steps each: a file of some MiB that browsers open at once. */
const HTML_REPORTS = 500;
const HTML_STEPS = 50;

export interface ImportedReport { readonly id: string; readonly testCaseId: string; readonly testCaseName?: string | undefined; readonly trajectory: readonly unknown[]; readonly rawEvents?: readonly unknown[] | undefined; readonly [more: string]: unknown }

export class Evaluations {
  readonly library: Library;
  readonly runs: Runs;
  readonly reports: Reports;
  readonly #store: Store;
  readonly #jobs: RunsDeps['jobs'];

  constructor(deps: Omit<RunsDeps, 'library'>) {
    this.#store = deps.store;
    this.#jobs = deps.jobs;
    this.library = new Library(deps.store, deps.jobs, deps.newSuffix);
    this.runs = new Runs({ ...deps, library: this.library });
    this.reports = new Reports(deps.store);
  }

  /** What POST /api/eval/test answers: JSON text. */
  async testText({ job }: JobRecord): Promise<string> {
    const reportId = reportIdOf(job.id);
    const document = await this.#store.document('report', reportId);
    if (document === null) {
      return JSON.stringify({ trajectory: [], metrics: { accuracy: 0 }, status: isFinal(job.status) ? 'failed' : 'running', runId: null, reportId, jobId: job.id, error: job.error?.message ?? null });
    }
    const view = await this.reports.view(document);
    const trajectory = await this.#store.documentPart('report', reportId, 'trajectory');
    const { metrics, passFailStatus, llmJudgeReasoning, judge, improvementStrategies } = view;
    const status = !isFinal(job.status) ? 'running' : view.status;
    const head = JSON.stringify({ metrics, status, runId: view['traceId'] ?? null, reportId, jobId: job.id, passFailStatus, llmJudgeReasoning, improvementStrategies, judge, limit: view.limit });
    return `{"trajectory":${trajectory ?? '[]'},${head.slice(1)}`;
  }

  /** @throws DomainError not_found */
  async html(jobId: string, baseline?: string): Promise<string> {
    const outcomes = await this.runs.outcomes(jobId);
    const record = await this.#store.job(jobId);
    if (record === null) throw new DomainError('not_found', `There is no run ${jobId}.`);
    const { experimentName, runConfig } = readJson(record.input) as ExperimentInput;
    const against = baseline ?? runConfig.baseline?.jobId;
    const comparison = against === undefined ? null : compareRuns(await this.runs.outcomes(against), outcomes, runConfig.baseline?.tolerance);
    const reports: { view: ReportView; trajectory: Step[] }[] = [];
    let next: number | null = null;
    do {
      const page: Awaited<ReturnType<Reports['page']>> = await this.reports.page({ owner: jobId }, next, 50);
      for (const document of page.documents.slice(0, HTML_REPORTS - reports.length)) {
        const text = await this.#store.documentPart('report', document.id, 'trajectory');
        reports.push({ view: await this.reports.view(document), trajectory: text === null ? [] : (readJson(text) as Step[]).slice(0, HTML_STEPS) });
      }
      next = page.next;
    } while (next !== null && reports.length < HTML_REPORTS);
    const judges = [...new Set(reports.flatMap(({ view }) => (view.judge === null ? [] : [`${view.judge.modelId}${view.judge.model === null ? '' : ` (${view.judge.model})`}, ${view.judge.prompt}`])))];
    const run: HtmlRun = {
      title: `${experimentName}: ${runConfig.name}`, jobId, status: record.job.status, figures: figuresOf(outcomes), comparison, reports, left: Math.max(0, outcomes.length - reports.length),
      facts: [['Experiment', experimentName], ['Agent', runConfig.agentKey], ['Judge', judges.length === 0 ? 'none' : judges.join('; ')], ...(runConfig.description === undefined ? [] : [['About', runConfig.description] as const])],
    };
    return htmlReport(run);
  }

  /** What an export has, stored again. Figures that are computed are not taken; the verdict is, and stands as it was given. */
  async importReports(list: readonly ImportedReport[]): Promise<string[]> {
    const write = list.map((report) => {
      const { id, trajectory, rawEvents, verdicts: _verdicts, jobRootId: _root, ...body } = report;
      const verdict = body['judge'] === null || body['passFailStatus'] === null || body['passFailStatus'] === undefined ? undefined : {
        passFailStatus: body['passFailStatus'], metrics: body['metrics'], llmJudgeReasoning: body['llmJudgeReasoning'], improvementStrategies: body['improvementStrategies'] ?? [], judge: body['judge'] ?? null, usage: null,
      };
      const document: NewDocument = {
        kind: 'report', id, subject: report.testCaseId, name: report.testCaseName ?? report.testCaseId,
        body: JSON.stringify({ iteration: 1, limit: null, error: null, expectedOutcomes: [], expectedTrajectory: [], testCaseName: report.testCaseId, modelId: 'rules', ...body, ...(verdict === undefined ? {} : { verdict }) }),
        parts: { trajectory: JSON.stringify(trajectory), rawEvents: JSON.stringify(rawEvents ?? []) },
      };
      return { document, mode: 'keep' as const };
    });
    await this.#jobs.execute({ kind: 'documents', write });
    return list.map(({ id }) => id);
  }
}
