// Which columns a table of runs has, and what stands in them. Pure; knows no page.

import { formatDuration, formatValue } from '../core/format';
import { isLowerBetter } from '../plot/directions';
import { type Training, toNumber } from '../wire';

/** One column. */
export interface Column {
  /** What the engine sorts by; also the column's name in the page. */
  sort: string;
  title: string;
  numeric: boolean;
  text(training: Training, now_ms: number): string;
}

/** Which end of a metric is its best. */
export type Best = 'auto' | 'min' | 'max';

const MAX_INPUTS = 6;
/** Name the inputs that are not the same in all of these trainings. */
export function differingInputs(trainings: readonly Training[]): string[] {
  const names = [...new Set(trainings.flatMap(training => Object.keys(training.input ?? {})))];
  return names.filter(
    name => new Set(trainings.map(training => JSON.stringify(training.input?.[name]))).size > 1
  );
}

/** Name the metrics of these trainings, those of most of them first. */
export function metricKeys(trainings: readonly Training[]): string[] {
  const counts = new Map<string, number>();
  for (const key of trainings.flatMap(training => Object.keys(training.last ?? {}))) {
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([key]) => key);
}

/** Choose the metric to begin with: one of test or validation, a loss before others. */
export function defaultMetric(keys: readonly string[]): string | null {
  const score = (key: string) => (/test|val|eval/i.test(key) ? 2 : 0) + (isLowerBetter(key) ? 1 : 0);
  return [...keys].sort((a, b) => score(b) - score(a))[0] ?? null;
}

export function edgeOf(metric: string, best: Best): 'min' | 'max' {
  return best !== 'auto' ? best : isLowerBetter(metric) ? 'min' : 'max';
}

/** Return the columns between name and labels. */
export function columnsOf(trainings: readonly Training[], metric: string | null, best: Best): Column[] {
  const inputs = differingInputs(trainings).slice(0, MAX_INPUTS);
  const columns: Column[] = [
    { sort: 'created_at', title: 'age', numeric: true, text: (training, now) => age(training, now) },
    { sort: 'duration', title: 'duration', numeric: true, text: (training, now) => duration(training, now) },
    ...inputs.map(
      (name): Column => ({
        sort: `input:${name}`,
        title: name,
        numeric: isNumeric(trainings, name),
        text: training => valueText(training.input?.[name]),
      })
    ),
  ];
  if (metric !== null) {
    const edge = edgeOf(metric, best);
    columns.push(
      {
        sort: `last:${metric}`,
        title: `last ${metric}`,
        numeric: true,
        text: training => (training.last?.[metric] ? formatValue(toNumber(training.last[metric].value)) : ''),
      },
      {
        sort: `${edge}:${metric}`,
        title: `best ${metric}`,
        numeric: true,
        text: training => (training.extremes?.[metric] ? formatValue(training.extremes[metric][edge]) : ''),
      }
    );
  }
  return columns;
}

/** Write an input's value in a cell. */
export function valueText(value: unknown): string {
  if (value === undefined) {
    return '';
  }
  const text =
    typeof value === 'number'
      ? String(Number(value.toPrecision(6)))
      : typeof value === 'string'
        ? value
        : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

function isNumeric(trainings: readonly Training[], name: string): boolean {
  return trainings.every(training => typeof (training.input?.[name] ?? 0) === 'number');
}

function age(training: Training, now_ms: number): string {
  const seconds = (now_ms - Date.parse(training.created_at)) / 1000;
  if (seconds < 60) {
    return `${Math.max(0, Math.floor(seconds))} s`;
  }
  const [unit, length_s] = seconds < 3600 ? ['min', 60] : seconds < 86_400 ? ['h', 3600] : ['d', 86_400];
  return `${Math.floor(seconds / Number(length_s))} ${unit}`;
}

function duration(training: Training, now_ms: number): string {
  if (training.started_at === null) {
    return '';
  }
  const end = training.completed_at === null ? now_ms : Date.parse(training.completed_at);
  const seconds = (end - Date.parse(training.started_at)) / 1000;
  return seconds < 10 ? `${Math.max(0, seconds).toFixed(1)} s` : formatDuration(seconds);
}
