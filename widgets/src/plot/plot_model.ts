// Turns the series of one plot and what somebody chose into what is drawn: lines, bands, scales, ticks and marks.
// Pure; knows no page.

import { NUM_COLORS, type Theme } from '../core/theme';
import type { Curve, Sample } from '../series/downsampler';
import type { MetricSeries } from '../series/series_store';
import { meanCurve } from './aggregate';
import type { Cell, Entry } from './cell';
import { directionOf } from './directions';
import type { ChartMark } from './marks';
import type { ChartOptions } from './options';
import { type Extent, visibleRange } from './ranges';
import { numberTicks, type Scale, type Tick, type XKind, xTicks } from './scales';

/** A visible range of x, in the units of the chosen x. */
export interface Zoom {
  from: number;
  to: number;
}

/** What a plot is made of. */
export interface PlotInput {
  cell: Cell;
  options: ChartOptions;
  theme: Theme;
  /** Ids of series and ranks that are switched off. */
  hidden: ReadonlySet<string>;
  zoom: Zoom | null;
  /** Unix seconds of the start of a rank's run, the zero of elapsed time. */
  originOf: (rank: string) => number;
  /** The series of a key and rank, for x by another metric. */
  find: (key: string, rank: string) => MetricSeries | null;
  marks: readonly ChartMark[];
  /** Which compared runs are averaged: a name for each rank; `null` draws each by itself. */
  groupOf: ((rank: string) => string) | null;
  /** The rank that others are compared with. */
  baseline: string | null;
  /** Metrics that a rule of the run is about; `null` where none can be added. */
  watched: ReadonlySet<string> | null;
  /** Pixels of the plot's inside. */
  width: number;
  height: number;
}

export interface Line {
  id: string;
  rank: string;
  label: string;
  color: string;
  dash: readonly number[];
  width: number;
  curve: Curve;
  /** What was logged, where `curve` is smoothed. */
  raw: Curve | null;
  /** Whether each point is drawn as a dot too: few points. */
  dots: boolean;
  /** Whether x never decreases, as a step does. */
  ascending: boolean;
  /** The best sample, where the name says which that is. */
  best: { x: number; y: number } | null;
  band: { low: Float64Array; high: Float64Array } | null;
}

/** A sample that is not finite, on the edge of the plot. */
export interface OddPoint {
  x: number;
  kind: 'nan' | 'high' | 'low';
  color: string;
}

export interface PlacedMark {
  x: number;
  mark: ChartMark;
}

export interface PlotModel {
  lines: Line[];
  x: Scale;
  /** `null` while nothing can be drawn. */
  y: Scale | null;
  xKind: XKind;
  xTicks: Tick[];
  yTicks: Tick[];
  odd: OddPoint[];
  /** How many samples are not finite. */
  numOdd: number;
  /** How many seen points lie outside of the y axis. */
  numOutside: number;
  marks: PlacedMark[];
}

/** The best value on the data that was trained on says little. */
const TRAINED_ON = /^train/;
const FEW_POINTS = 16;
const FEW_STEPS = 5;
/** With more lines only the best of all is marked. */
const MAX_MARKED_LINES = 3;
/** Room between the frame and the first and last point. */
const X_MARGIN_PX = 7;
const DASHES: readonly (readonly number[])[] = [[], [2, 3], [7, 4], [8, 3, 2, 3]];

/** Return a colour and a dash pattern for an entry's number. */
export function styleOf(color: number, theme: Theme): { color: string; dash: readonly number[] } {
  return {
    color: theme.palette[color % NUM_COLORS],
    dash: DASHES[Math.floor(color / NUM_COLORS) % DASHES.length],
  };
}

/** Build what is drawn of one plot. */
export function plotModel(input: PlotInput): PlotModel {
  const shown = input.cell.entries.filter(
    ({ id, series }) => !input.hidden.has(id) && !input.hidden.has(series.rank)
  );
  const single = shown.map(entry => lineOf(entry, input));
  keepBest(single, directionOf(input.cell.entries[0]?.series.key ?? ''));
  const lines = input.groupOf ? averaged(shown, single, input) : single;
  const x = xScale(lines, input);
  const extent = visibleRange(lines, x, input.options.logY, input.options.ignoreOutliers);
  const kind = xKindOf(input);
  return {
    lines,
    x,
    y: extent ? { low: extent.low, high: extent.high, log: input.options.logY } : null,
    xKind: kind,
    xTicks: xTicks(x, kind, Math.max(3, Math.floor(input.width / 64)), isWhole(input, x)),
    yTicks: extent ? yTicksOf(extent, input) : [],
    odd: oddPoints(shown, input),
    numOdd: shown.reduce((sum, { series }) => sum + series.numNonfinite, 0),
    numOutside: extent?.numOutside ?? 0,
    marks: placedMarks(input),
  };
}

function xKindOf({ options }: PlotInput): XKind {
  return options.x === 'time' ? 'elapsed' : options.x === 'clock' ? 'clock' : 'number';
}

function isWhole({ options }: PlotInput, x: Scale): boolean {
  return options.x === 'step' && x.high - x.low <= 2 * FEW_STEPS;
}

function yTicksOf(extent: Extent, { height, options }: PlotInput): Tick[] {
  const scale = { low: extent.low, high: extent.high, log: options.logY };
  return numberTicks(scale, Math.max(2, Math.min(7, Math.floor(height / 34))));
}

function lineOf(entry: Entry, input: PlotInput): Line {
  const { options, theme, baseline } = input;
  const { series } = entry;
  const raw = placed(series, input);
  const few = raw.x.length <= FEW_POINTS;
  const isSmooth = options.smoothing.weight > 0 && !few;
  const isBase = baseline !== null && series.rank === baseline;
  const { color, dash } = styleOf(entry.color, theme);
  return {
    id: entry.id,
    rank: series.rank,
    label: entry.label,
    color,
    dash,
    width: isBase ? 2.6 : isSmooth ? 1.8 : 1.5,
    curve: isSmooth ? smoothed(series, input) : raw,
    raw: isSmooth ? raw : null,
    dots: few,
    ascending: isAscending(raw.x),
    best: TRAINED_ON.test(entry.short) ? null : bestOf(series, input),
    band: null,
  };
}

// Of many lines only the best of all is marked.
function keepBest(lines: Line[], edge: 'min' | 'max' | null): void {
  const found = lines.flatMap(({ best }) => (best ? [best.y] : []));
  if (edge && found.length > MAX_MARKED_LINES) {
    const best = edge === 'min' ? Math.min(...found) : Math.max(...found);
    for (const line of lines) {
      line.best = line.best?.y === best ? line.best : null;
    }
  }
}

function placed(series: MetricSeries, input: PlotInput): Curve {
  const { x } = input.options;
  if (x === 'step') {
    return series.curve('step', 0);
  }
  if (x === 'time' || x === 'clock') {
    return series.curve('time', x === 'time' ? input.originOf(series.rank) : 0);
  }
  return byMetric(series.curve('step', 0), input.find(x.slice('metric:'.length), series.rank));
}

function smoothed(series: MetricSeries, input: PlotInput): Curve {
  const { x, smoothing } = input.options;
  if (x === 'time' || x === 'clock') {
    return series.smoothed('time', smoothing, x === 'time' ? input.originOf(series.rank) : 0);
  }
  const curve = series.smoothed('step', smoothing, 0);
  return x === 'step' ? curve : byMetric(curve, input.find(x.slice('metric:'.length), series.rank));
}

/** Put a curve over another metric: x is that metric's value at the same step, between two of its points a line. */
export function byMetric(curve: Curve, over: MetricSeries | null): Curve {
  const axis = over?.curve('step', 0);
  const x = new Float64Array(curve.x.length).fill(NaN);
  if (axis && axis.x.length > 0) {
    for (let i = 0, at = 0; i < x.length; i++) {
      const step = curve.x[i];
      while (at < axis.x.length - 1 && axis.x[at + 1] <= step) {
        at += 1;
      }
      if (axis.x[at] > step) {
        continue; // before the first value of the other metric
      }
      const next = axis.x[at + 1];
      x[i] =
        next === undefined || axis.x[at] === step
          ? axis.y[at]
          : axis.y[at] + ((step - axis.x[at]) / (next - axis.x[at])) * (axis.y[at + 1] - axis.y[at]);
    }
  }
  const kept = Array.from(x.keys()).filter(i => Number.isFinite(x[i]));
  return { x: Float64Array.from(kept, i => x[i]), y: Float64Array.from(kept, i => curve.y[i]) };
}

function isAscending(x: Float64Array): boolean {
  for (let i = 1; i < x.length; i++) {
    if (!(x[i] >= x[i - 1])) {
      return false;
    }
  }
  return true;
}

function bestOf(series: MetricSeries, input: PlotInput): { x: number; y: number } | null {
  const edge = directionOf(series.key);
  const best = edge && series.best(edge);
  const x = best ? xOf(best, series.rank, input) : NaN;
  return best && Number.isFinite(x) ? { x, y: best.value } : null;
}

function xOf(sample: Sample, rank: string, input: PlotInput): number {
  switch (input.options.x) {
    case 'step':
      return sample.step;
    case 'time':
      return sample.time - input.originOf(rank);
    case 'clock':
      return sample.time;
    default:
      return NaN;
  }
}

function averaged(shown: readonly Entry[], single: readonly Line[], { groupOf }: PlotInput): Line[] {
  const groups = new Map<string, Line[]>();
  shown.forEach((entry, i) => {
    const name = [entry.short, groupOf?.(entry.series.rank) ?? ''].filter(Boolean).join(' · ');
    groups.set(name, [...(groups.get(name) ?? []), single[i]]);
  });
  return [...groups].map(([name, lines]) => {
    const { x, mean, low, high } = meanCurve(lines.map(line => line.curve));
    return {
      ...lines[0],
      id: name,
      label: `${name} (mean of ${lines.length})`,
      width: 2,
      curve: { x, y: mean },
      raw: null,
      ascending: true,
      best: null,
      band: lines.length > 1 ? { low, high } : null,
    };
  });
}

function xScale(lines: readonly Line[], { options, zoom, width }: PlotInput): Scale {
  const log = options.logX && options.x !== 'clock';
  if (zoom) {
    return { low: log ? Math.max(zoom.from, Number.MIN_VALUE) : zoom.from, high: zoom.to, log };
  }
  let low = Infinity;
  let high = -Infinity;
  for (const { curve, raw, ascending } of lines) {
    for (const { x } of raw ? [curve, raw] : [curve]) {
      const ends = ascending && !log && x.length > 0 ? [x[0], x[x.length - 1]] : x;
      for (const value of ends) {
        if (Number.isFinite(value) && (!log || value > 0)) {
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
      }
    }
  }
  return widened(low, high, log, X_MARGIN_PX / Math.max(1, width - 2 * X_MARGIN_PX));
}

/** Give both ends of a range some room, and a single value a range around it. */
function widened(low: number, high: number, log: boolean, share: number): Scale {
  if (!(low <= high)) {
    return log ? { low: 1, high: 10, log } : { low: 0, high: 1, log };
  }
  if (log) {
    const room = high > low ? (high / low) ** share : 2;
    return { low: low / room, high: high * room, log };
  }
  const room = high > low ? share * (high - low) : 0.5;
  return { low: low - room, high: high + room, log };
}

function oddPoints(shown: readonly Entry[], input: PlotInput): OddPoint[] {
  return shown.flatMap(({ series, color }) =>
    series.odd.flatMap(sample => {
      const x = xOf(sample, series.rank, input);
      const kind = Number.isNaN(sample.value) ? 'nan' : sample.value > 0 ? 'high' : 'low';
      return Number.isFinite(x) ? [{ x, kind, color: styleOf(color, input.theme).color } as const] : [];
    })
  );
}

function placedMarks(input: PlotInput): PlacedMark[] {
  return input.marks.flatMap(mark => {
    if (mark.rank !== undefined && input.hidden.has(mark.rank)) {
      return [];
    }
    const x = xOf({ step: mark.step, time: mark.time, value: 0 }, mark.rank ?? '0', input);
    return Number.isFinite(x) ? [{ x, mark }] : [];
  });
}
