// Title, series names and latest values over each plot. Clicking a name switches its curve.

import { button, element, setText } from '../core/dom';
import { formatValue } from '../core/format';
import type { Theme } from '../core/theme';
import { CELL_HEADER_PX } from './figure';
import type { ChartLayout } from './layout';

export class Legend {
  readonly node = element('div', { class: 'jx-legend' });
  readonly hidden = new Set<string>();
  readonly #onToggle: () => void;
  readonly #values = new Map<string, HTMLElement>();
  #signature = '';
  #listeners = new AbortController();

  constructor(onToggle: () => void, signal: AbortSignal) {
    this.#onToggle = onToggle;
    signal.addEventListener('abort', () => this.#listeners.abort());
  }

  update(layout: ChartLayout, theme: Theme): void {
    const signature = `${layout.signature}${theme.dark}`;
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#build(layout, theme);
    }
    for (const cell of layout.cells) {
      for (const { id, series } of cell.entries) {
        const value = this.#values.get(id);
        const last = series.last;
        if (value && last) {
          setText(value, formatValue(last.value));
          value.classList.toggle('jx-bad', !Number.isFinite(last.value));
        }
      }
    }
  }

  #build(layout: ChartLayout, theme: Theme): void {
    this.#listeners.abort();
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.#values.clear();
    const rows = layout.cells.map(cell => {
      const names = element('div', { class: 'jx-legend-names' });
      for (const { id, label, short, color, series } of cell.entries) {
        const swatch = element('span', { class: 'jx-swatch' });
        swatch.style.backgroundColor = theme.palette[color % theme.palette.length];
        const value = element('span', { class: 'jx-legend-value' });
        this.#values.set(id, value);
        const toggle = button(
          {
            class: 'jx-legend-name',
            title: `${label === short ? series.key : `${series.key}, ${label}`}: click to show or hide`,
            attrs: { 'aria-pressed': String(!this.hidden.has(id)) },
          },
          () => {
            if (!this.hidden.delete(id)) {
              this.hidden.add(id);
            }
            toggle.setAttribute('aria-pressed', String(!this.hidden.has(id)));
            this.#onToggle();
          },
          signal
        );
        const isAlone = short === '' || (cell.entries.length === 1 && short === cell.group);
        toggle.append(swatch, ...(isAlone ? [] : [element('span', { text: short })]), value);
        names.append(toggle);
      }
      const row = element(
        'div',
        { class: 'jx-legend-row' },
        element('span', { class: 'jx-legend-title', text: cell.group, title: cell.group }),
        names
      );
      Object.assign(row.style, {
        left: `${cell.x}px`,
        top: `${cell.y}px`,
        width: `${cell.width}px`,
        height: `${CELL_HEADER_PX}px`,
      });
      return row;
    });
    this.node.replaceChildren(...rows);
  }
}
