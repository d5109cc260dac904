// The chart: small plots of metrics, one for each group, which share x, zoom and pointer.

import { element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { onSeek, tellSeek } from '../core/seek';
import { readTheme, type Theme, watchTheme } from '../core/theme';
import { type Cell, COLUMN_GAP_PX } from '../plot/cell';
import { type Format, savePlots } from '../plot/export';
import { type ChartMark, markText } from '../plot/marks';
import { type ChartOptions, OptionsStore } from '../plot/options';
import { type Hover, Plot } from '../plot/plot';
import type { PlotInput, Zoom } from '../plot/plot_model';
import { Tooltip } from '../plot/tooltip';
import type { Axis, Range } from '../series/downsampler';
import type { MetricSeries, SeriesStore } from '../series/series_store';
import { codeOf } from './code';
import { type ChartLayout, LayoutPlanner } from './layout';
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
  readonly #grid = element('div', { class: 'jx-grid' });
  readonly #note = element('div', { class: 'jx-chart-note' });
  readonly #tooltip = new Tooltip();
  readonly #plots = new Map<string, { plot: Plot; ended: AbortController }>();
  readonly #onScreen = new Set<Element>();
  readonly #hidden = new Set<string>();
  readonly #sight: IntersectionObserver;
  #theme: Theme | null = null;
  #zoom: Zoom | null = null;
  #origin = 0;
  #originOf: (rank: string) => number = () => 0;
  #all: readonly MetricSeries[] = [];
  #layout: ChartLayout | null = null;
  #baseline: string | null = null;
  #mean = '';
  #hover: Hover | null = null;
  #hovered: Plot | null = null;
  #hoverFrame = 0;
  #choices = 0;
  #marks: readonly ChartMark[] = [];

  constructor(setup: ChartSetup) {
    this.#setup = setup;
    const { signal, requestDraw, runs } = setup;
    this.#planner = new LayoutPlanner(runs, setup.titleOf);
    this.#kept = new OptionsStore(setup.scope, setup.defaults);
    this.toolbar = this.#makeToolbar();
    this.legend = runs ? new RunLegend(runs, this.#runEvents(), signal) : null;
    this.node = element('div', { class: 'jx-chart' }, this.#grid, this.#note, this.#tooltip.node);
    const observer = new ResizeObserver(requestDraw);
    observer.observe(this.node);
    this.#sight = new IntersectionObserver(entries => this.#seen(entries), { rootMargin: '200px' });
    watchTheme(() => {
      this.#theme = null;
      requestDraw();
    }, signal);
    onSeek('chart', (runId, time) => this.#markTime(runId, time), signal);
    signal.addEventListener('abort', () => {
      observer.disconnect();
      this.#sight.disconnect();
      cancelAnimationFrame(this.#hoverFrame);
      for (const { ended } of this.#plots.values()) {
        ended.abort();
      }
    });
  }

  /** Whether curves are on the screen. */
  get isDrawn(): boolean {
    return this.#plots.size > 0;
  }

  /** Draw the series as they are now. */
  draw({ store, originOf, marks, watched, emptyText }: ChartContent): void {
    const width = Math.floor(this.node.clientWidth);
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
    this.node.style.setProperty('--jx-chart-height', `${layout.height}px`);
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
    this.#arrange(layout.cells, layout.columns);
    const cellWidth = Math.floor((width - COLUMN_GAP_PX * (layout.columns - 1)) / layout.columns);
    for (const cell of layout.cells) {
      const { plot } = this.#plotOf(cell);
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
      if (this.#onScreen.has(plot.node)) {
        plot.draw(input, this.#keyOf(cell, store, theme), cellWidth, layout.cellHeight);
      } else {
        plot.node.style.height = `${layout.cellHeight}px`;
      }
    }
    if (this.#hover) {
      this.#drawHover();
    }
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

  // The plots in the order of the layout; those that are no longer shown go.
  #arrange(cells: readonly Cell[], columns: number): void {
    this.#grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    const groups = new Set(cells.map(({ group }) => group));
    for (const [group, { plot, ended }] of this.#plots) {
      if (!groups.has(group)) {
        ended.abort();
        this.#sight.unobserve(plot.node);
        this.#onScreen.delete(plot.node);
        plot.node.remove();
        this.#plots.delete(group);
      }
    }
    cells.forEach((cell, i) => {
      const { node } = this.#plotOf(cell).plot;
      if (this.#grid.children[i] !== node) {
        this.#grid.insertBefore(node, this.#grid.children[i] ?? null);
      }
    });
  }

  #plotOf(cell: Cell): { plot: Plot; ended: AbortController } {
    let found = this.#plots.get(cell.group);
    if (!found) {
      const ended = new AbortController();
      const { onWatch } = this.#setup;
      const plot: Plot = new Plot(
        cell,
        {
          hover: (from, hover) => this.#setHover(from, hover),
          zoom: range => this.#setZoom(range),
          pick: x => this.#tellTime(x),
          toggle: id => this.#toggle(id),
          isolate: (among, id) =>
            this.#isolate(
              among.entries.map(entry => entry.id),
              id
            ),
          pin: group => this.#pin(group),
          watch: onWatch && (shown => onWatch(shown, plot.node)),
          move: (group, to) => this.#move(group, to),
        },
        ended.signal
      );
      found = { plot, ended };
      this.#plots.set(cell.group, found);
      // Until the observer has looked, it counts as seen: the first picture comes with the first draw.
      this.#onScreen.add(plot.node);
      this.#sight.observe(plot.node);
    }
    return found;
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        this.#onScreen.add(target);
      } else {
        this.#onScreen.delete(target);
      }
    }
    this.#setup.requestDraw();
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
      point: rank => this.#setHover(null, rank === null ? null : { x: null, rank }),
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
      this.#setHover(null, { x, rank: null });
    }
  }

  #setHover(plot: Plot | null, hover: Hover | null): void {
    this.#hover = hover;
    this.#hovered = plot;
    this.#hoverFrame ||= requestAnimationFrame(() => this.#drawHover());
  }

  #drawHover(): void {
    this.#hoverFrame = 0;
    let points: ReturnType<Plot['drawHover']> = [];
    for (const { plot } of this.#plots.values()) {
      if (this.#onScreen.has(plot.node)) {
        const found = plot.drawHover(this.#hover);
        points = plot === this.#hovered ? found : points;
      }
    }
    const [plot, x] = [this.#hovered, this.#hover?.x ?? null];
    if (!plot || x === null || points.length === 0) {
      this.#tooltip.hide();
      return;
    }
    const nearest = points.find(point => point.line.rank === this.#hover?.rank) ?? null;
    const at = (nearest ?? points[0]).x;
    const box = this.node.getBoundingClientRect();
    const [left, top] = plot.pagePosition(x);
    const reach = 0.01 * (plot.xRange[1] - plot.xRange[0]);
    const marks = (plot.model?.marks ?? []).filter(mark => Math.abs(mark.x - x) <= reach);
    this.#tooltip.show(
      {
        title: plot.xText(at),
        points,
        nearest: points.length > 1 ? nearest : null,
        baseline: this.#baseline,
        marks: marks.map(({ mark }) => this.#markText(mark)),
      },
      left - box.left,
      top - box.top,
      box.width
    );
  }

  #markText(mark: ChartMark): string {
    const run = mark.rank === undefined ? undefined : this.#setup.runs?.get(mark.rank);
    return run ? `${run}: ${markText(mark)}` : markText(mark);
  }

  #save(format: Format): void {
    const plots = (this.#layout?.cells ?? []).flatMap(({ group }) => this.#plots.get(group)?.plot ?? []);
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
