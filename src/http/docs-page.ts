// The documentation as one HTML page, made from the OpenAPI document when the server gets ready.
// No script, nothing from elsewhere; the policy allows its one style sheet by hash and no other thing.
import { createHash } from 'node:crypto';
import { DOCS_STYLE } from './docs-style.ts';
import { curlOf } from './docs-curl.ts';
import { PROBLEMS } from './problem.ts';

type Any = Record<string, unknown>;
interface Media { schema?: Any; examples?: Record<string, { summary?: string; value: unknown }>; example?: unknown }
export interface Operation {
  operationId: string; tags?: string[]; summary?: string; description?: string;
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Any }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
}
interface Document {
  info: { title: string; version: string; summary?: string; description?: string };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Any> };
}

const escape = (text: unknown): string => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
/** `code` in the descriptions becomes code on the page. */
const prose = (text: string | undefined): string => escape(text ?? '').replace(/`([^`]+)`/g, '<code>$1</code>');

export function docsPage(source: Any): { html: string; headers: Record<string, string> } {
  const document = source as unknown as Document;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })));
  const groups = document.tags.map((tag) => ({ ...tag, list: operations.filter(({ operation }) => operation.tags?.includes(tag.name) === true) })).filter(({ list }) => list.length > 0);
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(document.info.title)} ${escape(document.info.version)}</title>
<style>${DOCS_STYLE}</style>
</head>
<body>
<header>
<h1>${escape(document.info.title)} <small>${escape(document.info.version)}</small></h1>
<p class="lead">${prose(document.info.summary)}</p>
<p>${prose(document.info.description)}</p>
<p><a href="/openapi.json">openapi.json</a> · <a href="/metrics">metrics</a> · <a href="/health">health</a> · <a href="/ready">ready</a></p>
</header>
<nav aria-label="Endpoints">${groups.map((group) => `<section><h2>${escape(group.name)}</h2><ul>${group.list.map(({ path, method, operation }) => `<li><a href="#${escape(operation.operationId)}"><b class="${method}">${method}</b> ${escape(path)}</a></li>`).join('')}</ul></section>`).join('')}<section><h2>More</h2><ul><li><a href="#schemas">Schemas</a></li><li><a href="#problems">Refusals</a></li></ul></section></nav>
<main>
${groups.map((group) => `<h2>${escape(group.name)}</h2><p>${prose(group.description)}</p>${group.list.map(renderOperation).join('\n')}`).join('\n')}
<h2 id="schemas">Schemas</h2>
${Object.entries(document.components.schemas).map(([name, schema]) => `<details id="schema-${escape(name)}"><summary><code>${escape(name)}</code></summary><pre>${link(escape(JSON.stringify(schema, null, 2)))}</pre></details>`).join('\n')}
<h2 id="problems">Refusals</h2>
<p>Every refusal is <code>application/problem+json</code>: match on <code>code</code>, read <code>detail</code> and <code>hint</code>.</p>
<table><thead><tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr></thead><tbody>
${Object.entries(PROBLEMS).map(([code, row]) => `<tr id="${code}"><td><code>${code}</code></td><td>${row.status}</td><td>${escape(row.title)}</td><td>${escape(row.hint)}</td></tr>`).join('\n')}
</tbody></table>
</main>
</body>
</html>
`;
  const style = createHash('sha256').update(DOCS_STYLE).digest('base64');
  return {
    html,
    headers: {
      'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache', 'referrer-policy': 'no-referrer',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    },
  };
}

/** References in a schema lead to where it is printed. */
const link = (text: string): string => text.replace(/#\/components\/schemas\/(\w+)/g, '<a href="#schema-$1">$1</a>');

function renderOperation({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const parameters = operation.parameters ?? [];
  const table = parameters.length === 0 ? '' : `<table><thead><tr><th>parameter</th><th>in</th><th>what</th></tr></thead><tbody>${parameters.map((p) =>
    `<tr><td><code>${escape(p.name)}</code>${p.required === true ? ' *' : ''}</td><td>${escape(p.in)}</td><td>${prose(p.description ?? (p.schema?.['description'] as string | undefined))}</td></tr>`).join('')}</tbody></table>`;
  const media = Object.entries(operation.requestBody?.content ?? {});
  const bodies = media.map(([type, { schema }]) => `<p>Body <code>${escape(type)}</code>: ${schemaShown(schema)}</p>`).join('');
  const examples = Object.values(media[0]?.[1].examples ?? {}).map(({ summary, value }) => `<p>${prose(summary)}</p><pre>${escape(curlOf(method, path, operation, value))}</pre>`).join('');
  const answers = Object.entries(operation.responses).map(([status, { description, content }]) =>
    `<li class="${status < '300' ? 'good' : 'bad'}"><b>${escape(status)}</b> ${prose(description)}${status < '300' && content !== undefined ? ` · ${Object.entries(content).map(([type, { schema }]) => `<code>${escape(type)}</code> ${schemaShown(schema)}`).join(', ')}` : ''}</li>`).join('');
  return `<article id="${escape(operation.operationId)}"><h3><b class="${method}">${method}</b> <code>${escape(path)}</code></h3>
<p class="lead">${prose(operation.summary)}</p>${operation.description === undefined ? '' : `<p>${prose(operation.description)}</p>`}
${examples === '' ? `<pre>${escape(curlOf(method, path, operation))}</pre>` : examples}${table}${bodies}<details><summary>Answers</summary><ul class="answers">${answers}</ul></details></article>`;
}

function schemaShown(schema: Any | undefined): string {
  const ref = schema?.['$ref'];
  if (typeof ref === 'string') return link(escape(ref));
  if (schema === undefined || schema['type'] === 'string') return '';
  return `<details class="inline"><summary>schema</summary><pre>${link(escape(JSON.stringify(schema, null, 2)))}</pre></details>`;
}
