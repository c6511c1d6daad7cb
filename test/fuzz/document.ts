// GET /openapi.json as the fuzzer uses it: operations with their parameters, and one validator for each declared answer.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

export type Schema = Readonly<Record<string, any>>;

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** As /api/jobs/{id}. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** By content type; empty = no body. */
  readonly bodies: Readonly<Record<string, Schema>>;
  /** By status, by content type. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, Schema>>>>;
  readonly isStream: boolean;
}

export interface Document {
  readonly operations: readonly Operation[];
  readonly components: Readonly<Record<string, Schema>>;
  /** Objects in answers that would take any property, as JSON pointers: an undeclared one could not be seen there. */
  readonly open: readonly string[];
  /** What is wrong with a value, or null. */
  check(schema: Schema, value: unknown): string | null;
  /** What a $ref stands for. */
  resolve(schema: Schema): Schema;
}

const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);
const INSTANT = /^\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

export function readDocument(source: any): Document {
  const components: Record<string, Schema> = source.components.schemas;
  const operations = Object.entries<any>(source.paths).flatMap(([path, methods]) => Object.entries<any>(methods).filter(([method]) => METHODS.has(method)).map(([method, operation]): Operation => {
    const answers = Object.fromEntries(Object.entries<any>(operation.responses).map(([status, response]) => [status, mediaOf(response.content)]));
    return {
      id: operation.operationId, method: method.toUpperCase(), path, answers,
      parameters: (operation.parameters ?? []).map((p: any): Parameter => ({ name: p.name, in: p.in, required: p.required === true, schema: p.schema })),
      bodies: mediaOf(operation.requestBody?.content), isStream: answers['200']?.['text/event-stream'] !== undefined,
    };
  }));
  const ajv = new Ajv2020({ strict: false, allErrors: false, ownProperties: true });
  ajv.addFormat('date-time', INSTANT);
  const compiled = new Map<string, ValidateFunction>();
  const validator = (schema: Schema): ValidateFunction => {
    const key = JSON.stringify(schema);
    let known = compiled.get(key);
    if (known === undefined) compiled.set(key, (known = ajv.compile({ ...schema, components: source.components })));
    return known;
  };
  const open = operations.flatMap(({ id, answers }) => Object.entries(answers).flatMap(([status, media]) => Object.entries(media).flatMap(([type, schema]) => openObjects(schema, `${id} ${status} ${type}`))));
  return {
    operations, components, open: [...open, ...['Job', 'JobList', 'JobError', 'Event', 'Ids'].flatMap((name) => openObjects(components[name] ?? {}, name))],
    check(schema, value) {
      const validate = validator(schema);
      return validate(value) ? null : ajv.errorsText(validate.errors, { separator: '; ', dataVar: '' }) + extra(validate);
    },
    resolve: (schema) => (typeof schema['$ref'] === 'string' ? components[schema['$ref'].split('/').at(-1) ?? ''] ?? {} : schema),
  };
}

const mediaOf = (content: Record<string, { schema: Schema }> | undefined): Record<string, Schema> =>
  Object.fromEntries(Object.entries(content ?? {}).map(([type, media]) => [type, media.schema]));

const extra = ({ errors }: ValidateFunction): string => (errors ?? []).map(({ params }) => (params['additionalProperty'] === undefined ? '' : ` (${String(params['additionalProperty'])})`)).join('');

/** Objects with properties of their own that do not say what else they may have. */
function openObjects(schema: any, at: string): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const here = schema.type === 'object' && schema.properties !== undefined && schema.additionalProperties === undefined ? [at] : [];
  return [...here, ...Object.entries(schema).flatMap(([key, value]) => openObjects(value, `${at}/${key}`))];
}
