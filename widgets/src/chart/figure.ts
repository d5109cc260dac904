// Turns a chart layout into what plotly draws: one figure, one pair of axes per plot, all positions in whole
// pixels.

import type { Theme } from '../core/theme';
import type { Range } from '../series/downsampler';
import type { Axis, Curve } from '../series/series_store';
import type { Cell, ChartLayout } from './layout';
import type { PlotData, PlotLayout } from './plotly';

/** What the user chose in the toolbar. */
export interface ChartOptions {
  axis: Axis;
  logY: boolean;
  /** Weight of the past in the moving average, 0 for none. */
  smoothing: number;
  showAll: boolean;
}

/** A unit of elapsed time. */
export interface TimeUnit {
  seconds: number;
  suffix: string;
}

/** What a figure is drawn from. */
export interface FigureInput {
  layout: ChartLayout;
  options: ChartOptions;
  theme: Theme;
  /** Ids of series that the user switched off. */
  hidden: ReadonlySet<string>;
  zoom: Range | null;
  /** Unix seconds of the run's start, the zero of elapsed time. */
  origin: number;
}

export interface Figure {
  data: PlotData[];
  layout: PlotLayout;
  /** Multiply x of the figure by `scale` and add `offset` to get steps or Unix seconds. */
  scale: number;
  offset: number;
}

/** Height of a plot's title and legend, drawn as HTML over the figure. */
export const CELL_HEADER_PX = 26;
const LEFT_PX = 46;
const RIGHT_PX = 14;
const BOTTOM_PX = 22;
/** Up to here each step has a tick; plotly would else put some between them. */
const FEW_STEPS = 5;
const FEW_POINTS = 16;
const DASHES = ['solid', 'dot', 'dash', 'dashdot'];

/** Build the figure. */
export function buildFigure(input: FigureInput): Figure {
  const { layout, options, origin } = input;
  const isTime = options.axis === 'time';
  const unit = isTime ? timeUnit(layout, origin) : { seconds: 1, suffix: '' };
  const offset = isTime ? origin : 0;
  const data: PlotData[] = [];
  const axes = frame(input);
  layout.cells.forEach((cell, i) => {
    const ordinal = i === 0 ? '' : String(i + 1);
    const traces = cellTraces(cell, input, offset, unit.seconds, ordinal);
    data.push(...traces);
    axes[`xaxis${ordinal}`] = xAxis(cell, input, unit, offset, i);
    axes[`yaxis${ordinal}`] = yAxis(cell, input, traces, unit, offset, ordinal);
  });
  return { data, layout: axes, scale: unit.seconds, offset };
}

function frame({ layout, theme }: FigureInput): PlotLayout {
  return {
    width: layout.width,
    height: layout.height,
    margin: { l: 0, r: 0, t: 0, b: 0, pad: 0, autoexpand: false },
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: theme.font, size: 11, color: theme.muted },
    showlegend: false,
    hovermode: 'x unified',
    hoverdistance: 40,
    hoverlabel: {
      bgcolor: theme.surface,
      bordercolor: theme.axis,
      font: { color: theme.text, size: 11, family: theme.font },
    },
    dragmode: 'zoom',
    uirevision: 'jupyter-ext',
  };
}

function cellTraces(
  cell: Cell,
  input: FigureInput,
  offset: number,
  unit_s: number,
  ordinal: string
): PlotData[] {
  const { options, theme, hidden } = input;
  const faint: PlotData[] = [];
  const clear: PlotData[] = [];
  for (const entry of cell.entries) {
    if (hidden.has(entry.id)) {
      continue;
    }
    const color = theme.palette[entry.color % theme.palette.length];
    const dash = DASHES[Math.floor(entry.color / theme.palette.length) % DASHES.length];
    const base = {
      type: 'scatter',
      xaxis: `x${ordinal}`,
      yaxis: `y${ordinal}`,
      name: entry.label,
      connectgaps: false,
    };
    const raw = inUnit(entry.series.curve(options.axis, offset), unit_s);
    const few = raw.x.length <= FEW_POINTS;
    if (options.smoothing > 0 && !few) {
      faint.push({
        ...base,
        ...raw,
        mode: 'lines',
        line: { color, width: 1, dash },
        opacity: theme.dark ? 0.3 : 0.25,
        hoverinfo: 'skip',
      });
      const smooth = inUnit(entry.series.smoothed(options.axis, options.smoothing, offset), unit_s);
      clear.push({
        ...base,
        ...smooth,
        mode: 'lines',
        line: { color, width: 1.8, dash },
        hovertemplate: '%{y:.5~g}',
      });
    } else {
      const mode = few ? 'lines+markers' : 'lines';
      clear.push({
        ...base,
        ...raw,
        mode,
        marker: { color, size: 4 },
        line: { color, width: 1.6, dash },
        hovertemplate: '%{y:.5~g}',
      });
    }
  }
  return [...faint, ...clear];
}

function xAxis(cell: Cell, input: FigureInput, unit: TimeUnit, offset: number, i: number): PlotLayout {
  const { layout, options, theme, zoom } = input;
  const range =
    zoom && zoom.axis === options.axis
      ? [(zoom.from - offset) / unit.seconds, (zoom.to - offset) / unit.seconds]
      : null;
  return {
    anchor: `y${i === 0 ? '' : i + 1}`,
    domain: [(cell.x + LEFT_PX) / layout.width, (cell.x + cell.width - RIGHT_PX) / layout.width],
    ...(i > 0 ? { matches: 'x' } : {}),
    ...(range ? { range, autorange: false } : { autorange: true }),
    ...line(theme),
    showgrid: false,
    spikecolor: theme.axis,
    spikethickness: 1,
    spikedash: 'solid',
    nticks: Math.max(4, Math.floor(cell.width / 56)),
    ...(options.axis === 'step' && !range && lastStep(layout) <= FEW_STEPS ? { tick0: 0, dtick: 1 } : {}),
    ticksuffix: unit.suffix,
    showticksuffix: 'last',
    tickformat: options.axis === 'step' ? '~s' : '~g',
    hoverformat: options.axis === 'step' ? ',.7~g' : '.4~g',
    unifiedhovertitle: { text: options.axis === 'step' ? 'step %{x:,.7~g}' : '%{x}' },
  };
}

function lastStep(layout: ChartLayout): number {
  return Math.max(
    0,
    ...layout.cells.flatMap(cell => cell.entries.map(({ series }) => series.last?.step ?? 0))
  );
}

function yAxis(
  cell: Cell,
  input: FigureInput,
  traces: PlotData[],
  unit: TimeUnit,
  offset: number,
  ordinal: string
): PlotLayout {
  const { layout, options, theme, zoom } = input;
  const top = cell.y + CELL_HEADER_PX + 4;
  const bottom = cell.y + cell.height - BOTTOM_PX;
  const zoomed = zoom !== null && zoom.axis === options.axis;
  const from = zoomed ? (zoom.from - offset) / unit.seconds : -Infinity;
  const to = zoomed ? (zoom.to - offset) / unit.seconds : Infinity;
  const range = visibleRange(traces, from, to, options.logY);
  return {
    anchor: `x${ordinal}`,
    domain: [1 - bottom / layout.height, 1 - top / layout.height],
    type: options.logY ? 'log' : 'linear',
    ...(range ? { range, autorange: false } : { autorange: true }),
    fixedrange: true,
    ...line(theme),
    showline: false,
    ticks: '',
    gridcolor: theme.grid,
    nticks: 7,
    exponentformat: 'e',
    ...(range === null ? { showticklabels: false, showgrid: false } : {}),
    ...(range && !options.logY && Math.max(-range[0], range[1]) >= 10_000 ? { tickformat: '~s' } : {}),
    ...(options.logY ? { dtick: range && range[1] - range[0] < 1.2 ? 'D1' : 1 } : {}),
  };
}

function line(theme: Theme): PlotLayout {
  return {
    zeroline: false,
    showline: true,
    linecolor: theme.axis,
    linewidth: 1,
    ticks: 'outside',
    ticklen: 3,
    tickcolor: theme.axis,
    // Else plotly measures every label on every draw, half of what a draw costs.
    ticklabeloverflow: 'allow',
    tickfont: { size: 10.5, color: theme.muted },
    automargin: false,
  };
}

// Plotly fits y to all of a curve, and a constant 0.01 to -1 … 1; a view wants it fitted to what is seen.
function visibleRange(traces: PlotData[], from: number, to: number, log: boolean): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (const trace of traces) {
    const x = trace.x as Float64Array;
    const y = trace.y as Float64Array;
    for (let i = 0; i < x.length; i++) {
      if (x[i] >= from && x[i] <= to && Number.isFinite(y[i]) && (!log || y[i] > 0)) {
        low = Math.min(low, y[i]);
        high = Math.max(high, y[i]);
      }
    }
  }
  if (low > high) {
    return null;
  }
  const [a, b] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const pad = b > a ? 0.06 * (b - a) : log ? 0.5 : Math.abs(a) * 0.2 || 1;
  return [a - pad, b + pad];
}

function timeUnit(layout: ChartLayout, origin: number): TimeUnit {
  let span = 0;
  for (const cell of layout.cells) {
    for (const { series } of cell.entries) {
      span = Math.max(span, (series.last?.time ?? origin) - origin);
    }
  }
  if (span < 180) {
    return { seconds: 1, suffix: ' s' };
  }
  return span < 3 * 3600 ? { seconds: 60, suffix: ' min' } : { seconds: 3600, suffix: ' h' };
}

function inUnit(curve: Curve, unit_s: number): Curve {
  return unit_s === 1 ? curve : { x: curve.x.map(value => value / unit_s), y: curve.y };
}
