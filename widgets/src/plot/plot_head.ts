// What stands over a plot: its title, which can be dragged and pinned, and its series with their latest values.

import { button, element, setHidden, setText } from '../core/dom';
import { formatValue } from '../core/format';
import type { Theme } from '../core/theme';
import type { Cell } from './cell';
import { styleOf } from './plot_model';

/** What a head tells. */
export interface PlotHeadEvents {
  /** Show or hide a series. */
  toggle(id: string): void;
  /** Show one series alone, or all again. */
  isolate(cell: Cell, id: string): void;
  /** Keep this plot first, or no longer. */
  pin(group: string): void;
  /** Ask when to be told of this plot's metrics, or when to stop; absent where nobody can. */
  watch?(cell: Cell): void;
  /** Put a dragged plot before another, or one place on or back. */
  move(group: string, to: { before: string } | { by: -1 | 1 }): void;
}

export const HEAD_PX = 26;
const DRAGGED = 'application/x-jupyter-ext-plot';

export class PlotHead {
  readonly node: HTMLElement;
  readonly #events: PlotHeadEvents;
  readonly #title: HTMLElement;
  readonly #names = element('div', { class: 'jx-legend-names' });
  readonly #pin: HTMLButtonElement;
  readonly #watch: HTMLButtonElement;
  readonly #values = new Map<string, HTMLElement>();
  #listeners = new AbortController();
  #signature = '';
  #cell: Cell;

  /** @param target The whole plot, on which others can be dropped. */
  constructor(cell: Cell, events: PlotHeadEvents, target: HTMLElement, signal: AbortSignal) {
    this.#cell = cell;
    this.#events = events;
    this.#title = element('span', {
      class: 'jx-legend-title',
      text: cell.group,
      title: `${cell.group}: drag to another place, or Alt and an arrow key`,
      attrs: { draggable: 'true', tabindex: '0' },
    });
    this.#pin = button(
      {
        class: 'jx-bare jx-pin',
        attrs: { 'aria-label': `Keep ${cell.group} first`, 'aria-pressed': 'false' },
      },
      () => events.pin(this.#cell.group),
      signal
    );
    this.#watch = button(
      {
        class: 'jx-bare jx-pin jx-watch',
        attrs: { 'aria-label': `Tell me or stop when ${cell.group} …`, 'aria-haspopup': 'dialog' },
      },
      () => events.watch?.(this.#cell),
      signal
    );
    this.#watch.hidden = true;
    this.node = element('div', { class: 'jx-legend-row' }, this.#title, this.#names, this.#watch, this.#pin);
    this.#listenToDrags(target, signal);
    signal.addEventListener('abort', () => this.#listeners.abort());
  }

  /** @param watched Metrics that a rule is about; `null` where none can be added. */
  drawWatch(watched: ReadonlySet<string> | null): void {
    setHidden(this.#watch, watched === null || !this.#events.watch);
    const isWatched = this.#cell.entries.some(({ series }) => watched?.has(series.key));
    this.#watch.setAttribute('aria-pressed', String(isWatched));
    this.#watch.title = isWatched ? 'Rules watch this plot; add one' : 'Tell me when, or stop when …';
  }

  draw(cell: Cell, theme: Theme, hidden: ReadonlySet<string>, pinned: boolean): void {
    this.#cell = cell;
    const names = cell.entries.map(({ id, label, short, color }) => [id, label, short, color]);
    const signature = JSON.stringify([names, theme.dark]);
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#build(cell, theme);
    }
    this.#pin.setAttribute('aria-pressed', String(pinned));
    this.#pin.title = pinned ? 'No longer first' : 'Keep this plot first';
    for (const { id, series } of cell.entries) {
      const value = this.#values.get(id);
      if (value && series.last) {
        setText(value, formatValue(series.last.value));
        value.classList.toggle('jx-bad', !Number.isFinite(series.last.value));
        value.parentElement?.setAttribute('aria-pressed', String(!hidden.has(id)));
      }
    }
  }

  #build(cell: Cell, theme: Theme): void {
    this.#listeners.abort();
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.#values.clear();
    // One legend names compared runs for all plots; here stand only the few that a head has room for.
    const shown = cell.entries.filter(({ label, short }) => short === label || short !== '');
    const isRuns = cell.entries.some(({ label, short }) => label !== short);
    this.#names.replaceChildren(
      ...(isRuns ? [] : shown).map(({ id, label, short, color, series }) => {
        const swatch = element('span', { class: 'jx-swatch' });
        swatch.style.backgroundColor = styleOf(color, theme).color;
        const value = element('span', { class: 'jx-legend-value' });
        this.#values.set(id, value);
        const toggle = button(
          {
            class: 'jx-legend-name',
            title: `${series.key}${label === short ? '' : `, ${label}`}: click to show or hide, double-click for it alone`,
          },
          () => this.#events.toggle(id),
          signal
        );
        toggle.addEventListener('dblclick', () => this.#events.isolate(this.#cell, id), { signal });
        const isAlone = short === '' || (cell.entries.length === 1 && short === cell.group);
        toggle.append(swatch, ...(isAlone ? [] : [element('span', { text: short })]), value);
        return toggle;
      }),
      ...(isRuns ? splitsOf(cell) : [])
    );
  }

  #listenToDrags(target: HTMLElement, signal: AbortSignal): void {
    this.#title.addEventListener(
      'dragstart',
      event => event.dataTransfer?.setData(DRAGGED, this.#cell.group),
      { signal }
    );
    this.#title.addEventListener(
      'keydown',
      event => {
        if (event.altKey && (event.key === 'ArrowLeft' || event.key === 'ArrowRight')) {
          event.preventDefault();
          event.stopPropagation();
          this.#events.move(this.#cell.group, { by: event.key === 'ArrowLeft' ? -1 : 1 });
          this.#title.focus();
        }
      },
      { signal }
    );
    const isPlot = (event: DragEvent) => event.dataTransfer?.types.includes(DRAGGED) ?? false;
    target.addEventListener(
      'dragover',
      event => {
        if (isPlot(event)) {
          event.preventDefault();
          target.classList.add('jx-drop');
        }
      },
      { signal }
    );
    target.addEventListener('dragleave', () => target.classList.remove('jx-drop'), { signal });
    target.addEventListener(
      'drop',
      event => {
        target.classList.remove('jx-drop');
        const group = event.dataTransfer?.getData(DRAGGED);
        if (group && group !== this.#cell.group) {
          event.preventDefault();
          event.stopPropagation();
          this.#events.move(group, { before: this.#cell.group });
        }
      },
      { signal }
    );
  }
}

// Of compared runs: which splits there are, and how their lines differ.
function splitsOf(cell: Cell): HTMLElement[] {
  const splits = [...new Set(cell.entries.map(({ short }) => short))].filter(Boolean);
  return splits.map(split =>
    element('span', {
      class: split.startsWith('train') ? 'jx-split jx-split-dotted' : 'jx-split',
      text: split,
    })
  );
}
