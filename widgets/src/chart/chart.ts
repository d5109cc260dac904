// The chart of one training: plots of its metrics in one plotly figure, under HTML titles and legends.

import { element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { readTheme, type Theme, watchTheme } from '../core/theme';
import type { Range } from '../series/downsampler';
import type { SeriesStore } from '../series/series_store';
import type { Transport } from '../transport/transport';
import { buildFigure, type Figure } from './figure';
import { LayoutPlanner } from './layout';
import { Legend } from './legend';
import { loadPlotly, type PlotElement, type PlotlyApi } from './plotly';
import { ChartToolbar } from './toolbar';

/** What a chart needs. */
export interface ChartSetup {
  /** Where plotly.js comes from; none draws no curves. */
  transport: Transport | null;
  /** Asks to be drawn. */
  requestDraw: () => void;
  /** Called with the visible range, or `null` for the whole run. */
  onZoom: (range: Range | null) => void;
  /** Called with whether the page is dark, on each draw. */
  onTheme: (dark: boolean) => void;
  /** Whether no more points will come, so that nothing need be loaded for them. */
  isOver: () => boolean;
  /** Names of compared runs, each of which is a rank, in the order of their colours. */
  runs?: ReadonlyMap<string, string>;
  signal: AbortSignal;
}

const CONFIG = {
  displayModeBar: false,
  doubleClick: false,
  responsive: false,
  showTips: false,
  scrollZoom: false,
};

export class Chart {
  readonly node: HTMLElement;
  readonly toolbar: ChartToolbar;
  readonly #setup: ChartSetup;
  readonly #planner: LayoutPlanner;
  readonly #legend: Legend;
  readonly #stage = element('div', { class: 'jx-stage' });
  readonly #plot = element('div', { class: 'jx-plot' }) as HTMLElement as PlotElement;
  readonly #note = element('div', { class: 'jx-chart-note' });
  #plotly: PlotlyApi | null = null;
  #loading = false;
  #theme: Theme | null = null;
  #zoom: Range | null = null;
  #figure: Figure | null = null;
  #drawing = false;

  constructor(setup: ChartSetup) {
    this.#setup = setup;
    this.#planner = new LayoutPlanner(setup.runs);
    const { signal, requestDraw } = setup;
    this.toolbar = new ChartToolbar(requestDraw, () => this.#setZoom(null), signal);
    this.#legend = new Legend(requestDraw, signal);
    this.#stage.append(this.#plot, this.#legend.node, this.#note);
    this.node = element('div', { class: 'jx-chart' }, this.#stage);
    const observer = new ResizeObserver(requestDraw);
    observer.observe(this.node);
    watchTheme(() => {
      this.#theme = null;
      requestDraw();
    }, signal);
    signal.addEventListener('abort', () => {
      observer.disconnect();
      this.#plotly?.purge(this.#plot);
    });
  }

  /** Whether curves are on the screen. */
  get isDrawn(): boolean {
    return this.#drawing;
  }

  /**
   * Draw the series as they are now.
   *
   * @param origin Unix seconds of the run's start.
   * @param emptyText What to say while there is no point.
   */
  draw(store: SeriesStore, origin: number, emptyText: string): void {
    const width = Math.floor(this.node.clientWidth);
    if (width < 80) {
      return;
    }
    this.#theme ??= readTheme(this.node);
    this.#setup.onTheme(this.#theme.dark);
    const layout = this.#planner.plan(store.all, width, this.toolbar.options.showAll);
    const empty = layout.cells.length === 0;
    this.#stage.style.height = `${layout.height}px`;
    this.toolbar.update(this.#zoom !== null, layout.omitted);
    this.#legend.update(layout, this.#theme);
    setText(this.#note, empty ? emptyText : this.#noteText());
    setHidden(this.#note, this.#note.textContent === '');
    this.toolbar.node.style.visibility = empty ? 'hidden' : '';
    setHidden(this.#plot, empty);
    if (!this.#plotly && !(empty && this.#setup.isOver())) {
      this.#load();
    }
    if (empty || !this.#plotly) {
      return;
    }
    this.#figure = buildFigure({
      layout,
      options: this.toolbar.options,
      theme: this.#theme,
      hidden: this.#legend.hidden,
      zoom: this.#zoom,
      origin,
    });
    const first = !this.#drawing;
    this.#drawing = true;
    void this.#plotly.react(this.#plot, this.#figure.data, this.#figure.layout, CONFIG);
    if (first) {
      this.#listen();
    }
  }

  #noteText(): string {
    return this.#plotly || this.#loading ? '' : this.#error;
  }

  #error = '';

  #load(): void {
    const { transport, requestDraw, signal } = this.#setup;
    if (this.#loading || this.#error || !transport) {
      this.#error ||= 'The chart needs a connection.';
      return;
    }
    this.#loading = true;
    loadPlotly(transport).then(
      plotly => {
        this.#loading = false;
        if (!signal.aborted) {
          this.#plotly = plotly;
          requestDraw();
        }
      },
      (error: unknown) => {
        this.#loading = false;
        this.#error = `The chart could not be loaded: ${messageOf(error)}`;
        requestDraw();
        setTimeout(() => {
          this.#error = '';
          requestDraw();
        }, 5_000);
      }
    );
  }

  #listen(): void {
    this.#plot.on('plotly_doubleclick', () => this.#setZoom(null));
    this.#plot.on('plotly_relayout', change => {
      const axis = Object.keys(change)
        .find(key => /^xaxis\d*\.range(\[0\])?$/.test(key))
        ?.split('.')[0];
      if (axis === undefined || !this.#figure) {
        return;
      }
      const whole = change[`${axis}.range`] as [number, number] | undefined;
      const [from, to] = whole ?? [Number(change[`${axis}.range[0]`]), Number(change[`${axis}.range[1]`])];
      const { scale, offset } = this.#figure;
      this.#setZoom({
        axis: this.toolbar.options.axis,
        from: from * scale + offset,
        to: to * scale + offset,
      });
    });
  }

  #setZoom(zoom: Range | null): void {
    if (zoom === null && this.#zoom === null) {
      return;
    }
    this.#zoom = zoom;
    this.#setup.onZoom(zoom);
    this.#setup.requestDraw();
  }
}
