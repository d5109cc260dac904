// What the pointer is at, in all plots of a chart at once: a line at its x, the run it is near to, and the box of values.

import type { ChartMark } from '../plot/marks';
import type { Hover, Plot } from '../plot/plot';
import { Tooltip } from '../plot/tooltip';

/** Marks so near to the pointer are named, as a share of the visible range. */
const MARK_REACH = 0.01;

/** What the pointer's box asks of its chart. */
export interface PointingContext {
  /** The plots that can be seen. */
  seen: () => readonly Plot[];
  /** What the box stands in. */
  chart: () => HTMLElement;
  /** The rank that the others are compared with. */
  baseline: () => string | null;
  /** A mark in words. */
  markText: (mark: ChartMark) => string;
}

export class Pointing {
  readonly #context: PointingContext;
  readonly #tooltip = new Tooltip();
  #hover: Hover | null = null;
  #plot: Plot | null = null;
  #frame = 0;

  constructor(context: PointingContext, signal: AbortSignal) {
    this.#context = context;
    signal.addEventListener('abort', () => cancelAnimationFrame(this.#frame));
  }

  /** The box of values. */
  get node(): HTMLElement {
    return this.#tooltip.node;
  }

  /** Point at something in all plots with the next frame; the box stands in `plot`, if there is one. */
  set(plot: Plot | null, hover: Hover | null): void {
    this.#hover = hover;
    this.#plot = plot;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Point at the same again, after the plots have changed. */
  redraw(): void {
    if (this.#hover) {
      this.#draw();
    }
  }

  #draw(): void {
    this.#frame = 0;
    let points: ReturnType<Plot['drawHover']> = [];
    for (const plot of this.#context.seen()) {
      const found = plot.drawHover(this.#hover);
      points = plot === this.#plot ? found : points;
    }
    const [plot, x] = [this.#plot, this.#hover?.x ?? null];
    if (!plot || x === null || points.length === 0) {
      this.#tooltip.hide();
      return;
    }
    const nearest = points.find(point => point.line.rank === this.#hover?.rank) ?? null;
    const at = (nearest ?? points[0]).x;
    const box = this.#context.chart().getBoundingClientRect();
    const [left, top] = plot.pagePosition(x);
    const reach = MARK_REACH * (plot.xRange[1] - plot.xRange[0]);
    const marks = (plot.model?.marks ?? []).filter(mark => Math.abs(mark.x - x) <= reach);
    this.#tooltip.show(
      {
        title: plot.xText(at),
        points,
        nearest: points.length > 1 ? nearest : null,
        baseline: this.#context.baseline(),
        marks: marks.map(({ mark }) => this.#context.markText(mark)),
      },
      left - box.left,
      top - box.top,
      box.width
    );
  }
}
