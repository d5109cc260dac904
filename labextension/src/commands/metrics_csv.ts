// The metrics of a training as a CSV file. Pure; knows no page.

import { decodeColumns, type SeriesColumns } from '../../../widgets/src/wire/decode';

/** Return every point that was logged, one a line: metric, rank, step, seconds since 1970, value. */
export function metricsCsv(columns: ArrayBuffer): string {
  const lines = decodeColumns(columns).series.flatMap(linesOf);
  return `${['metric,rank,step,time,value', ...lines].join('\n')}\n`;
}

function linesOf({ info, steps, times, values }: SeriesColumns): string[] {
  const begin = `${quoted(info.key)},${quoted(info.rank)}`;
  return Array.from(values, (value, i) => `${begin},${steps[i]},${times[i]},${numeral(value)}`);
}

/** As pandas and Python read it back. */
function numeral(value: number): string {
  return Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}

// A text that a spreadsheet would take for a formula is kept a text.
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Return a file's name for what a training is called. */
export function csvName(name: string): string {
  return `${name.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '') || 'training'}.csv`;
}
