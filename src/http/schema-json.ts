// zod → JSON Schema for the document, with the named schemas as components. Runs once, when the server gets ready.
import { z } from 'zod';
import { bulkAnswer, type Inputs, jobError, jobListSchema, jobSchema, eventSchema, problemSchema } from './native/schemas.ts';

export type JsonSchema = Record<string, unknown>;

const REF = '#/components/schemas/';

/** Drops what names the schema to zod and means nothing in the document, and the pattern that repeats what date-time says. */
function clean(value: unknown, isProperties = false): unknown {
  if (Array.isArray(value)) return value.map((item) => clean(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value)
    .filter(([key]) => isProperties || (key !== '$id' && key !== '$schema' && key !== 'id' && !(key === 'pattern' && (value as JsonSchema)['format'] === 'date-time')))
    .map(([key, child]) => [key, clean(child, key === 'properties' && !isProperties)]));
}

export interface SchemaBook {
  /** A schema as it stands in a route; a named one is a $ref. */
  schema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema;
  /** components.schemas */
  components(): Record<string, JsonSchema>;
}

export function schemaBook(submit: z.ZodType, child: z.ZodType, inputs: Inputs): SchemaBook {
  const title = (type: string): string => `${type.charAt(0).toUpperCase()}${type.slice(1).replace(/[-_](.)/g, (_all, letter: string) => letter.toUpperCase())}Input`;
  const named: Record<'input' | 'output', [string, z.ZodType][]> = {
    input: [['Submit', submit], ['ChildSubmit', child], ...Object.entries(inputs).map(([type, schema]): [string, z.ZodType] => [title(type), schema])],
    output: [['Job', jobSchema], ['JobList', jobListSchema], ['Problem', problemSchema], ['JobError', jobError], ['Event', eventSchema], ['Ids', bulkAnswer]],
  };
  const generate = (io: 'input' | 'output', extra: readonly [string, z.ZodType][]): Record<string, JsonSchema> => {
    const registry = z.registry<{ id: string }>();
    for (const [id, schema] of [...named[io], ...extra]) registry.add(schema, { id });
    const { schemas } = z.toJSONSchema(registry, { io, target: 'draft-2020-12', unrepresentable: 'any', uri: (id) => `${REF}${id}` });
    // Recursive schemas without a name (any JSON) get one, so that they are components like the others.
    const { __shared: shared, ...own } = clean(schemas, true) as Record<string, JsonSchema>;
    const all = { ...own, ...Object.fromEntries(Object.entries((shared?.['$defs'] ?? {}) as Record<string, JsonSchema>).map(([name, schema]) => [`Any${name}`, schema])) };
    return JSON.parse(JSON.stringify(all).replaceAll(`${REF}__shared#/$defs/`, `${REF}Any`)) as Record<string, JsonSchema>;
  };
  const seen = { input: new Map<z.ZodType, JsonSchema>(), output: new Map<z.ZodType, JsonSchema>() };
  return {
    schema(schema, io) {
      const name = named[io].find(([, known]) => known === schema)?.[0];
      if (name !== undefined) return { $ref: `${REF}${name}` };
      const known = seen[io].get(schema);
      if (known !== undefined) return structuredClone(known); // the document's builder writes into what it gets
      const made = generate(io, [['__here', schema]])['__here'] ?? {};
      seen[io].set(schema, made);
      return structuredClone(made);
    },
    components: () => ({ ...generate('input', []), ...generate('output', []) }),
  };
}
