// The plots of a chart in their grid: made when their group is first shown, ended when it no longer is.
// The rule: only a plot that can be seen is painted.

import { element, setStyle } from '../core/dom';
import type { Cell } from '../plot/cell';
import { Plot, type PlotEvents } from '../plot/plot';

/** What a plot of a chart tells it; a cell's `watch` is told with the plot's node. */
export type PlotGridEvents = Omit<PlotEvents, 'watch'> & {
  watch?: (cell: Cell, node: HTMLElement) => void;
};

const NEAR_SCREEN = '200px';

export class PlotGrid {
  readonly node = element('div', { class: 'jx-grid' });
  readonly #plots = new Map<string, { plot: Plot; ended: AbortController }>();
  readonly #onScreen = new Set<Element>();
  readonly #events: PlotGridEvents;
  readonly #sight: IntersectionObserver;
  #arranged: readonly Plot[] = [];

  /** @param requestDraw Called when other plots than before can be seen. */
  constructor(events: PlotGridEvents, requestDraw: () => void, signal: AbortSignal) {
    this.#events = events;
    this.#sight = new IntersectionObserver(
      entries => {
        for (const { isIntersecting, target } of entries) {
          if (isIntersecting) {
            this.#onScreen.add(target);
          } else {
            this.#onScreen.delete(target);
          }
        }
        requestDraw();
      },
      { rootMargin: NEAR_SCREEN }
    );
    signal.addEventListener('abort', () => {
      this.#sight.disconnect();
      for (const { ended } of this.#plots.values()) {
        ended.abort();
      }
    });
  }

  isOnScreen(plot: Plot): boolean {
    return this.#onScreen.has(plot.node);
  }

  /** The plots in their order. */
  get all(): readonly Plot[] {
    return this.#arranged;
  }

  /** Return the plot of each cell, in its place; those of other cells end. */
  arrange(cells: readonly Cell[], columns: number): readonly Plot[] {
    setStyle(this.node, 'grid-template-columns', `repeat(${columns}, minmax(0px, 1fr))`);
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
    this.#arranged = cells.map((cell, i) => {
      const plot = this.#plotOf(cell);
      if (this.node.children[i] !== plot.node) {
        this.node.insertBefore(plot.node, this.node.children[i] ?? null);
      }
      return plot;
    });
    return this.#arranged;
  }

  #plotOf(cell: Cell): Plot {
    const found = this.#plots.get(cell.group);
    if (found) {
      return found.plot;
    }
    const ended = new AbortController();
    const { watch, ...events } = this.#events;
    const plot: Plot = new Plot(
      cell,
      { ...events, watch: watch && (shown => watch(shown, plot.node)) },
      ended.signal
    );
    this.#plots.set(cell.group, { plot, ended });
    // Until the observer has looked, it counts as seen: the first picture comes with the first draw.
    this.#onScreen.add(plot.node);
    this.#sight.observe(plot.node);
    return plot;
  }
}
