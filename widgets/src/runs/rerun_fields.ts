// Which boxes "Run again" has, and how typed text becomes a value. Pure; knows no page.

import type { Training } from '../wire';

/** How the engine writes the value of a secret input, which it does not keep. */
const SECRET = '**********';
const PYTHON_WORDS: Readonly<Record<string, unknown>> = { True: true, False: false, None: null };

/** A property of a version's `TrainingInput`, in OpenAPI 3.0 as Cog writes it. */
export interface InputSchema {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  nullable?: boolean;
  enum?: unknown[];
  allOf?: { $ref: string }[];
  'x-order'?: number;
}

/** The part of a version that says which inputs it takes. */
export interface VersionSchema {
  openapi_schema: {
    components: {
      schemas: Record<
        string,
        InputSchema & { properties?: Record<string, InputSchema>; required?: string[] }
      >;
    };
  };
}

/** One input. */
export interface RerunField {
  name: string;
  /** What stands in the box at first. */
  text: string;
  /** Whether typed text is taken as it is. */
  isText: boolean;
  isSecret: boolean;
  isOptional: boolean;
  /** The only values, as text; empty for any. */
  choices: string[];
  title: string;
}

/**
 * Return a box for each input of a run's code.
 *
 * @param version What the code takes; `null` where that is not known, as of another service's version: then
 *   what was given.
 */
export function fieldsOf(training: Training, version: VersionSchema | null): RerunField[] {
  const schemas = version?.openapi_schema.components.schemas ?? {};
  const properties = Object.entries(schemas.TrainingInput?.properties ?? {}).sort(
    ([, a], [, b]) => (a['x-order'] ?? 0) - (b['x-order'] ?? 0)
  );
  const known = new Map(properties);
  const names = [...new Set([...known.keys(), ...Object.keys(training.input ?? {})])];
  return names.map(name => {
    const property = known.get(name) ?? {};
    const choice = schemas[property.allOf?.[0]?.$ref.split('/').pop() ?? ''];
    const value = training.input?.[name] ?? property.default;
    const isSecret = value === SECRET || property.format === 'password';
    return {
      name,
      text: isSecret ? '' : textOf(value),
      isText: (choice?.type ?? property.type ?? typeof value) === 'string',
      isSecret,
      isOptional: property.nullable === true,
      choices: (choice?.enum ?? (property.type === 'boolean' ? [true, false] : [])).map(textOf),
      title: property.description ?? '',
    };
  });
}

/** Write a value as one would type it: text as it is, all else as JSON. */
export function textOf(value: unknown): string {
  return value === undefined || value === null
    ? ''
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);
}

/** Read what was typed: JSON, a number, one of Python's words, else text for the engine to judge. */
export function parseValue(text: string, field: Pick<RerunField, 'isText' | 'isOptional'>): unknown {
  const word = text.trim();
  if (word === '' && field.isOptional) {
    return null;
  }
  if (field.isText) {
    return text;
  }
  if (word in PYTHON_WORDS) {
    return PYTHON_WORDS[word];
  }
  try {
    return JSON.parse(word) as unknown;
  } catch {
    const number = word === '' ? NaN : Number(word); // .5 is a number to a person
    return Number.isNaN(number) ? text : number;
  }
}

/** Return the inputs whose text is no longer what it was. */
export function changesOf(fields: readonly RerunField[], texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.flatMap((field, i) => (texts[i] === field.text ? [] : [[field.name, parseValue(texts[i], field)]]))
  );
}
