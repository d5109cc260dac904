// The chart: small plots of metrics, one for each group, which share x, zoom and pointer.

import { element, setHidden, setStyle, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { onSeek, tellSeek } from '../core/seek';
import { readTheme, type Theme, watchTheme } from '../core/theme';
import { type Cell, COLUMN_GAP_PX } from '../plot/cell';
import { type Format, savePlots } from '../plot/export';
import { type ChartMark, markText } from '../plot/marks';
import { type ChartOptions, OptionsStore } from '../plot/options';
import type { PlotInput, Zoom } from '../plot/plot_model';
import type { Axis, Range } from '../series/downsampler';
import type { MetricSeries, SeriesStore } from '../series/series_store';
import { codeOf } from './code';
import { type ChartLayout, LayoutPlanner } from './layout';
import { PlotGrid } from './plot_grid';
import { Pointing } from './pointing';
import { RunLegend } from './run_legend';
import { timeAt, xAt } from './seek';
import { ChartToolbar } from './toolbar';

/** What a chart needs. */
export interface ChartSetup {
  /** Names the kind of chart, for which the choices of a notebook are kept. */
  scope: 'training' | 'compare' | 'system';
  /** Asks to be drawn. */
  requestDraw: () => void;
  /** Called with what tells the visible range of a rank's run, or `null` for the whole of all. */
  onZoom: (rangeOf: ((rank: string) => Range) | null) => void;
  /** Called with whether the page is dark, on each draw. */
  onTheme: (dark: boolean) => void;
  /** What is saved is named after this. */
  name: () => string;
  /** Ids of the trainings, for the code that draws the same; empty where there is none. */
  ids: () => readonly string[];
  /** Names of compared runs, each of which is a rank. */
  runs?: ReadonlyMap<string, string>;
  /** Which series are shown, and in which order; by default all of the model. */
  choose?: (all: readonly MetricSeries[]) => readonly MetricSeries[];
  /** Gives each key a plot of its own, with this title. */
  titleOf?: (key: string) => string;
  /** What is chosen before somebody chooses. */
  defaults?: Partial<ChartOptions>;
  /** Asks when to be told of a plot's metrics, or when to stop; `node` is the plot. */
  onWatch?: (cell: Cell, node: HTMLElement) => void;
  /** Ways to average compared runs: what to show, and a name for each run. */
  means?: ReadonlyMap<string, (rank: string) => string>;
  signal: AbortSignal;
}

/** What a chart is drawn from. */
export interface ChartContent {
  store: SeriesStore;
  /** Unix seconds of the start of a rank's run. */
  originOf: (rank: string) => number;
  marks: readonly ChartMark[];
  /** Metrics that a rule of the run is about; absent where none can be added. */
  watched?: ReadonlySet<string>;
  /** What to say while there is no point. */
  emptyText: string;
}

const MIN_WIDTH_PX = 80;

export class Chart {
  readonly node: HTMLElement;
  readonly toolbar: ChartToolbar;
  readonly legend: RunLegend | null;
  readonly #setup: ChartSetup;
  readonly #planner: LayoutPlanner;
  readonly #kept: OptionsStore;
  readonly #grid: PlotGrid;
  readonly #pointing: Pointing;
  readonly #note = element('div', { class: 'jx-chart-note' });
  readonly #hidden = new Set<string>();
  #theme: Theme | null = null;
  /** Pixels; 0 where it is not known. */
  #width = 0;
  #zoom: Zoom | null = null;
  #origin = 0;
  #originOf: (rank: string) => number = () => 0;
  #all: readonly MetricSeries[] = [];
  #layout: ChartLayout | null = null;
  #baseline: string | null = null;
  #mean = '';
  #choices = 0;
  #marks: readonly ChartMark[] = [];

  constructor(setup: ChartSetup) {
    this.#setup = setup;
    const { signal, requestDraw, runs } = setup;
    this.#planner = new LayoutPlanner(runs, setup.titleOf);
    this.#kept = new OptionsStore(setup.scope, setup.defaults);
    this.toolbar = this.#makeToolbar();
    this.legend = runs ? new RunLegend(runs, this.#runEvents(), signal) : null;
    this.#grid = this.#makeGrid();
    this.#pointing = new Pointing(
      {
        seen: () => this.#grid.all.filter(plot => this.#grid.isOnScreen(plot)),
        chart: () => this.node,
        baseline: () => this.#baseline,
        markText: mark => this.#markText(mark),
      },
      signal
    );
    this.node = element('div', { class: 'jx-chart' }, this.#grid.node, this.#note, this.#pointing.node);
    const observer = new ResizeObserver(entries => {
      this.#width = entries[entries.length - 1].contentRect.width;
      requestDraw();
    });
    observer.observe(this.node);
    watchTheme(() => {
      this.#theme = null;
      requestDraw();
    }, signal);
    onSeek('chart', (runId, time) => this.#markTime(runId, time), signal);
    signal.addEventListener('abort', () => observer.disconnect());
  }

  /** Whether curves are on the screen. */
  get isDrawn(): boolean {
    return this.#grid.all.length > 0;
  }

  /** Draw the series as they are now. */
  draw({ store, originOf, marks, watched, emptyText }: ChartContent): void {
    // Asking the page for it here would have it laid out in the middle of each draw.
    this.#width ||= this.node.clientWidth;
    const width = Math.floor(this.#width);
    if (width < MIN_WIDTH_PX) {
      return;
    }
    if (this.#kept.load(this.node)) {
      this.toolbar.sync();
    }
    this.#all = store.all;
    const keys = [...new Set(store.all.filter(item => !item.isSystem).map(({ key }) => key))];
    const options = usable(this.#kept.options, keys);
    this.#theme ??= readTheme(this.node);
    const theme = this.#theme;
    this.#setup.onTheme(theme.dark);
    const { showAll, search } = this.toolbar;
    const layout = this.#planner.plan(this.#shown(store), { width, options, showAll, search });
    this.#layout = layout;
    this.#marks = marks;
    this.#origin = originOf('0');
    this.#originOf = originOf;
    const empty = layout.cells.length === 0;
    setStyle(this.node, '--jx-chart-height', `${layout.height}px`);
    this.toolbar.update({
      zoomed: this.#zoom !== null,
      omitted: layout.omitted,
      numGroups: layout.numGroups,
      keys,
    });
    this.legend?.draw(theme, this.#hidden, this.#baseline);
    setText(this.#note, empty ? (search ? 'No plot has this in its name.' : emptyText) : '');
    setHidden(this.#note, !empty);
    this.toolbar.node.style.visibility = layout.numGroups === 0 ? 'hidden' : '';
    const plots = this.#grid.arrange(layout.cells, layout.columns);
    const cellWidth = Math.floor((width - COLUMN_GAP_PX * (layout.columns - 1)) / layout.columns);
    layout.cells.forEach((cell, i) => {
      const input: Omit<PlotInput, 'width' | 'height'> = {
        cell,
        options,
        theme,
        hidden: this.#hidden,
        zoom: this.#zoom,
        originOf,
        find: (key, rank) => store.find(key, rank),
        marks,
        watched: watched ?? null,
        groupOf: this.#setup.means?.get(this.#mean) ?? null,
        baseline: this.#baseline,
      };
      if (this.#grid.isOnScreen(plots[i])) {
        plots[i].draw(input, this.#keyOf(cell, store, theme), cellWidth, layout.cellHeight);
      } else {
        plots[i].node.style.height = `${layout.cellHeight}px`;
      }
    });
    this.#pointing.redraw();
  }

  #shown(store: SeriesStore): readonly MetricSeries[] {
    const { choose } = this.#setup;
    return choose ? choose(store.all) : store.all.filter(series => !series.isSystem);
  }

  #keyOf(cell: Cell, store: SeriesStore, theme: Theme): string {
    const over = this.#kept.options.x.startsWith('metric:') ? store.version : 0;
    const versions = cell.entries.map(({ series }: { series: MetricSeries }) => series.version);
    return [this.#choices, theme.dark, over, this.#marks.length, this.#origin, ...versions].join();
  }

  #makeGrid(): PlotGrid {
    const { onWatch, requestDraw, signal } = this.#setup;
    return new PlotGrid(
      {
        hover: (plot, hover) => this.#pointing.set(plot, hover),
        zoom: range => this.#setZoom(range),
        pick: x => this.#tellTime(x),
        toggle: id => this.#toggle(id),
        isolate: ({ entries }, id) =>
          this.#isolate(
            entries.map(entry => entry.id),
            id
          ),
        pin: group => this.#pin(group),
        watch: onWatch,
        move: (group, to) => this.#move(group, to),
      },
      requestDraw,
      signal
    );
  }

  #changed(): void {
    this.#choices += 1;
    this.#kept.save();
    this.#setup.requestDraw();
  }

  #makeToolbar(): ChartToolbar {
    const { ids, means, signal } = this.#setup;
    return new ChartToolbar(
      this.#kept.options,
      {
        change: () => this.#changed(),
        reset: () => this.#setZoom(null),
        save: format => this.#save(format),
        copyCode:
          ids().length > 0
            ? () => void navigator.clipboard?.writeText(codeOf(ids(), this.#kept.options))
            : undefined,
        means: means && {
          names: [['', 'nothing'], ...[...means.keys()].map(name => [name, name] as const)],
          chosen: () => this.#mean,
          choose: name => {
            this.#mean = name;
          },
        },
      },
      signal
    );
  }

  #runEvents(): ConstructorParameters<typeof RunLegend>[1] {
    return {
      toggle: rank => this.#toggle(rank),
      isolate: rank => this.#isolate([...(this.#setup.runs?.keys() ?? [])], rank),
      point: rank => this.#pointing.set(null, rank === null ? null : { x: null, rank }),
      baseline: rank => {
        this.#baseline = this.#baseline === rank ? null : rank;
        this.#changed();
      },
    };
  }

  #toggle(id: string): void {
    if (!this.#hidden.delete(id)) {
      this.#hidden.add(id);
    }
    this.#changed();
  }

  #isolate(all: readonly string[], id: string): void {
    const isAlone = !this.#hidden.has(id) && all.every(other => other === id || this.#hidden.has(other));
    for (const other of all) {
      this.#hidden.delete(other);
      if (!isAlone && other !== id) {
        this.#hidden.add(other);
      }
    }
    this.#changed();
  }

  #pin(group: string): void {
    const { pinned } = this.#kept.options;
    this.#kept.options.pinned = pinned.includes(group)
      ? pinned.filter(name => name !== group)
      : [...pinned, group];
    this.#changed();
  }

  #move(group: string, to: { before: string } | { by: -1 | 1 }): void {
    this.#kept.options.order = moved(
      (this.#layout?.cells ?? []).map(cell => cell.group),
      this.#kept.options,
      group,
      to
    );
    this.#changed();
  }

  #setZoom(zoom: Zoom | null): void {
    if (zoom === null && this.#zoom === null) {
      return;
    }
    this.#zoom = zoom;
    const { x } = this.#kept.options;
    const axis: Axis | null = x === 'step' ? 'step' : x === 'time' || x === 'clock' ? 'time' : null;
    const rangeOf = (rank: string): Range => {
      const offset = x === 'time' ? this.#originOf(rank) : 0;
      return { axis: axis ?? 'step', from: (zoom?.from ?? 0) + offset, to: (zoom?.to ?? 0) + offset };
    };
    this.#setup.onZoom(zoom && axis ? rangeOf : null);
    this.#choices += 1;
    this.#setup.requestDraw();
  }

  // A chart of one run tells the second that was clicked; of several, none would be the one that is meant.
  #tellTime(x: number): void {
    const [runId, ...others] = this.#setup.ids();
    const time = timeAt(this.#all, this.#kept.options.x, x, this.#origin);
    if (runId !== undefined && others.length === 0 && time !== null) {
      tellSeek({ runId, time, source: 'chart' });
    }
  }

  #markTime(runId: string, time: number): void {
    const ids = this.#setup.ids();
    const x = xAt(this.#all, this.#kept.options.x, time, this.#origin);
    if (ids.length === 1 && ids[0] === runId && x !== null) {
      this.#pointing.set(null, { x, rank: null });
    }
  }

  #markText(mark: ChartMark): string {
    const run = mark.rank === undefined ? undefined : this.#setup.runs?.get(mark.rank);
    return run ? `${run}: ${markText(mark)}` : markText(mark);
  }

  #save(format: Format): void {
    const plots = this.#grid.all;
    const theme = this.#theme;
    if (theme && plots.length > 0) {
      savePlots(plots, format, this.#setup.name(), this.#layout?.columns ?? 1, theme).catch(
        (error: unknown) => console.error(`jupyter-ext: the chart was not saved: ${messageOf(error)}`)
      );
    }
  }
}

// What was kept may name a metric that this run does not have.
function usable(options: ChartOptions, keys: readonly string[]): ChartOptions {
  const isMissing = options.x.startsWith('metric:') && !keys.includes(options.x.slice('metric:'.length));
  return isMissing ? { ...options, x: 'step' } : options;
}

/** Return the order of groups after one was moved. */
export function moved(
  shown: readonly string[],
  { pinned }: ChartOptions,
  group: string,
  to: { before: string } | { by: -1 | 1 }
): string[] {
  const order = shown.filter(name => !pinned.includes(name));
  const from = order.indexOf(group);
  if (from < 0) {
    return order;
  }
  order.splice(from, 1);
  const at = 'before' in to ? order.indexOf(to.before) : Math.max(0, Math.min(order.length, from + to.by));
  order.splice(at < 0 ? order.length : at, 0, group);
  return order;
}
