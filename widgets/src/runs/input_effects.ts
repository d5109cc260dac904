// What the inputs of compared runs have to do with a metric: a small scatter for each input that differs, the one with
// the strongest correlation first, and all inputs at once as parallel coordinates. Pure maths here, drawn in
// `input_plots.ts`.

import { fractionOf } from '../plot/scales';
import { type Training, toNumber } from '../wire';
import { differingInputs } from './columns';

/** One run's value of an input, as a place on its axis. */
export interface InputPoint {
  id: string;
  /** In [0, 1]. */
  place: number;
  text: string;
  /** The metric; NaN where the run has none. */
  metric: number;
}

export interface InputEffect {
  name: string;
  points: InputPoint[];
  /** Spearman's rank correlation with the metric in [-1, 1]; `null` for words, or with fewer than three runs. */
  correlation: number | null;
  /** Whether places are logarithms. */
  log: boolean;
  ends: readonly [string, string];
}

/** A span of more decades than this is drawn by its logarithm. */
const LOG_FROM = 1.5;
const MIN_RUNS = 3;

/** Return the latest value of a metric of each run, or its best where the name says which that is. */
export function metricOf(training: Training, key: string, edge: 'min' | 'max' | null): number {
  const extremes = training.extremes?.[key];
  if (edge && extremes) {
    return extremes[edge];
  }
  const last = training.last?.[key];
  return last ? toNumber(last.value) : NaN;
}

/** Return the inputs that differ, those first that go with the metric. */
export function inputEffects(
  trainings: readonly Training[],
  metric: (training: Training) => number
): InputEffect[] {
  const effects = differingInputs(trainings).map(name => effectOf(name, trainings, metric));
  return effects.sort((a, b) => Math.abs(b.correlation ?? 0) - Math.abs(a.correlation ?? 0));
}

function effectOf(
  name: string,
  trainings: readonly Training[],
  metric: (training: Training) => number
): InputEffect {
  const known = trainings.filter(training => training.input?.[name] !== undefined);
  const values = known.map(training => training.input?.[name]);
  const metrics = known.map(metric);
  const isNumeric = values.every(value => typeof value === 'number' && Number.isFinite(value));
  const numbers = isNumeric ? (values as number[]) : null;
  const words = [...new Set(values.map(textOf))].sort();
  const log = numbers !== null && Math.min(...numbers) > 0 && decades(numbers) > LOG_FROM;
  const places = numbers
    ? numbers.map(value => (log ? Math.log(value) : value))
    : values.map(value => words.indexOf(textOf(value)));
  const [low, high] = [Math.min(...places), Math.max(...places)];
  return {
    name,
    points: known.map(({ id }, i) => ({
      id,
      place: placeIn([low, high], places[i]),
      text: textOf(values[i]),
      metric: metrics[i],
    })),
    correlation: numbers ? spearman(numbers, metrics) : null,
    log,
    ends: numbers
      ? [textOf(Math.min(...numbers)), textOf(Math.max(...numbers))]
      : [words[0] ?? '', words[words.length - 1] ?? ''],
  };
}

/** Return where a value is between two: in [0, 1], in the middle where they are one. */
export function placeIn([low, high]: readonly [number, number], value: number): number {
  return high > low ? fractionOf({ low, high, log: false }, value) : 0.5;
}

function decades(values: readonly number[]): number {
  return Math.log10(Math.max(...values) / Math.min(...values));
}

function textOf(value: unknown): string {
  return typeof value === 'number'
    ? String(Number(value.toPrecision(4)))
    : typeof value === 'string'
      ? value
      : (JSON.stringify(value) ?? 'none');
}

/** Return Spearman's rank correlation of the pairs that are finite, or `null` where they say nothing. */
export function spearman(a: readonly number[], b: readonly number[]): number | null {
  const kept = a.map((_, i) => i).filter(i => Number.isFinite(a[i]) && Number.isFinite(b[i]));
  if (kept.length < MIN_RUNS) {
    return null;
  }
  return pearson(ranks(kept.map(i => a[i])), ranks(kept.map(i => b[i])));
}

// Equal values share the mean of their ranks.
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, k) => values[i] - values[k]);
  const found = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) {
      to += 1;
    }
    for (let i = from; i <= to; i++) {
      found[order[i]] = (from + to) / 2;
    }
    from = to + 1;
  }
  return found;
}

function pearson(a: readonly number[], b: readonly number[]): number | null {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [both, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    both += (a[i] - meanA) * (b[i] - meanB);
    squaresA += (a[i] - meanA) ** 2;
    squaresB += (b[i] - meanB) ** 2;
  }
  return squaresA > 0 && squaresB > 0 ? both / Math.sqrt(squaresA * squaresB) : null;
}
