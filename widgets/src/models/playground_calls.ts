// What the playground sends and gets. The answer is a summary, never the tensors themselves: a page needs no
// gigabytes.

/** A tensor to make up, or written out. */
export type TensorInput =
  | { shape: number[]; dtype: string; fill: Fill }
  /** Nested lists of numbers. */
  | { literal: unknown; dtype: string };

export type Fill = 'normal' | 'uniform' | 'zeros' | 'ones' | 'arange';
export const FILLS: readonly Fill[] = ['normal', 'uniform', 'zeros', 'ones', 'arange'];
export const DTYPES = ['float32', 'float16', 'bfloat16', 'float64', 'int64', 'int32', 'uint8', 'bool'];

export type CallInput = { texts: string[] } | { tensors: TensorInput[] };

/** Equal bins over the finite values of a tensor. */
export interface Histogram {
  from: number;
  to: number;
  counts: number[];
}

/** Of sentences: one vector for each text, and how alike they are (cosine). */
export interface Embeddings {
  dimensions: number;
  norms: number[];
  vectors: number[][];
  similarity: number[][];
}

/**
 * One thing that a model gave back. Numbers that JSON cannot carry come as `"NaN"`, `"Infinity"`,
 * `"-Infinity"`.
 */
export interface OutputSummary {
  name: string;
  kind: 'tensor' | 'text' | 'value';
  text?: string;
  shape?: number[];
  dtype?: string;
  min?: number | string | null;
  mean?: number | string | null;
  max?: number | string | null;
  std?: number | string | null;
  norm?: number | string | null;
  num_nonfinite?: number;
  /** The first values, in memory order. */
  first?: (number | string)[];
  histogram?: Histogram | null;
  embeddings?: Embeddings | null;
}

/** The answer to one call. */
export interface CallSummary {
  took_s: number;
  outputs: OutputSummary[];
}

/** What a model that writes tells while it does. */
export type GenerateEvent =
  | { kind: 'text'; text: string }
  | { kind: 'end'; num_tokens: number; took_s: number }
  | { kind: 'error'; message: string };

const MAX_ELEMENTS = 2 ** 26;

/**
 * Read a shape such as `1, 3, 224, 224` or `[1, 3]`; empty is a single number.
 *
 * @throws Error that names what is wrong.
 */
export function parseShape(text: string): number[] {
  const inner = text.trim().replace(/^[([]|[)\]]$/g, '');
  const parts = inner.split(/[\s,x×]+/).filter(Boolean);
  const shape = parts.map(part => {
    if (!/^\d+$/.test(part)) {
      throw new Error(`“${part}” is no size; write a shape such as 1, 3, 224, 224.`);
    }
    return Number(part);
  });
  const count = shape.reduce((product, size) => product * size, 1);
  if (count > MAX_ELEMENTS) {
    throw new Error(
      `${shape.join(' × ')} are ${count.toExponential(1)} numbers; try at most ${MAX_ELEMENTS.toLocaleString('en-US')} here.`
    );
  }
  return shape;
}

/**
 * Read nested lists of numbers, as Python or JSON write them.
 *
 * @throws Error that names what is wrong.
 */
export function parseLiteral(text: string): unknown {
  const json = text
    .trim()
    .replace(/[()]/g, bracket => (bracket === '(' ? '[' : ']'))
    .replace(/\bTrue\b/g, 'true')
    .replace(/\bFalse\b/g, 'false')
    .replace(/,(\s*\])/g, '$1');
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Error('This is no nested list of numbers; write for example [[1, 2.5], [3, 4]].');
  }
  shapeOfLiteral(value);
  return value;
}

/**
 * Return the shape of nested lists.
 *
 * @throws Error where they are ragged or hold something else than numbers.
 */
export function shapeOfLiteral(value: unknown): number[] {
  if (typeof value === 'number' || typeof value === 'boolean') {
    return [];
  }
  if (!Array.isArray(value)) {
    throw new Error(`${JSON.stringify(value)} is no number.`);
  }
  const shapes = value.map(shapeOfLiteral);
  if (shapes.some(shape => shape.join() !== shapes[0].join())) {
    throw new Error('The rows are not all of the same length.');
  }
  return [value.length, ...(shapes[0] ?? [])];
}

/** `1 × 3 × 224`; `()` for a single number. */
export function shapeText(shape: readonly number[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' × ');
}

/** Return whether a model writes text on from a prompt, by the name of its architecture. */
export function writesText(architecture: string | null): boolean {
  return architecture !== null && /(CausalLM|LMHead|ConditionalGeneration|Seq2SeqLM)/i.test(architecture);
}
