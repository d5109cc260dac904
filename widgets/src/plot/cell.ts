// What one plot shows: the series of a group, each with its label and colour.

import type { MetricSeries } from '../series/series_store';

export const COLUMN_GAP_PX = 20;
export const ROW_GAP_PX = 10;

/** A series and how it is shown. */
export interface Entry {
  /** Unique in the chart. */
  id: string;
  /** What it is: the split, and the rank or run where there are several. */
  label: string;
  /** What its plot's legend says; of compared runs the split only, as one legend names the runs of all plots. */
  short: string;
  /** Index into the palette; grows past its end, where the dash pattern changes. */
  color: number;
  series: MetricSeries;
}

/** One plot. */
export interface Cell {
  group: string;
  entries: Entry[];
}
