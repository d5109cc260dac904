// The compared runs by colour, for all plots at once: hide, isolate, highlight, and the one to compare with.

import { button, element } from '../core/dom';
import type { Theme } from '../core/theme';
import { NUM_COLORS } from '../core/theme';
import { styleOf } from '../plot/plot_model';
import { runColors } from './run_colors';

/** What the legend tells. */
export interface RunLegendEvents {
  toggle(rank: string): void;
  isolate(rank: string): void;
  /** Point at a run in all plots; `null` at none. */
  point(rank: string | null): void;
  /** Compare all others with this one, or no longer. */
  baseline(rank: string): void;
}

export class RunLegend {
  readonly node = element('ul', { class: 'jx-run-names', attrs: { 'aria-label': 'Runs by colour' } });
  readonly #items = new Map<string, { toggle: HTMLElement; star: HTMLElement; swatch: HTMLElement }>();
  readonly #colors: ReadonlyMap<string, number>;

  /** @param runs Names by rank. */
  constructor(runs: ReadonlyMap<string, string>, events: RunLegendEvents, signal: AbortSignal) {
    this.#colors = runColors([...runs.keys()], NUM_COLORS);
    for (const [rank, name] of runs) {
      const swatch = element('span', { class: 'jx-swatch' });
      const toggle = button(
        {
          class: 'jx-legend-name',
          title: `${name} (${rank}): click to show or hide, double-click for it alone`,
          attrs: { 'aria-pressed': 'true' },
        },
        () => events.toggle(rank),
        signal
      );
      toggle.append(swatch, element('span', { text: name }));
      toggle.addEventListener('dblclick', () => events.isolate(rank), { signal });
      const star = button(
        {
          class: 'jx-bare jx-pin jx-baseline',
          title: 'Compare the others with this run',
          attrs: { 'aria-label': `Compare with ${name}`, 'aria-pressed': 'false' },
        },
        () => events.baseline(rank),
        signal
      );
      const item = element('li', {}, toggle, star);
      item.addEventListener('pointerenter', () => events.point(rank), { signal });
      item.addEventListener('pointerleave', () => events.point(null), { signal });
      toggle.addEventListener('focus', () => events.point(rank), { signal });
      toggle.addEventListener('blur', () => events.point(null), { signal });
      this.#items.set(rank, { toggle, star, swatch });
      this.node.append(item);
    }
  }

  draw(theme: Theme, hidden: ReadonlySet<string>, baseline: string | null): void {
    for (const [rank, { toggle, star, swatch }] of this.#items) {
      const { color, dash } = styleOf(this.#colors.get(rank) ?? 0, theme);
      const [on, off] = dash.length > 0 ? dash : [1, 0];
      swatch.style.background = off
        ? `repeating-linear-gradient(90deg, ${color} 0 ${on}px, transparent ${on}px ${on + off}px)`
        : color;
      toggle.setAttribute('aria-pressed', String(!hidden.has(rank)));
      star.setAttribute('aria-pressed', String(rank === baseline));
    }
  }
}
