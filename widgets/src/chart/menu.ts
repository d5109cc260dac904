// The chart's menu: what x is, which smoothing, sizes, means over runs, and ways to take the plots along.

import { button, element } from '../core/dom';
import type { Format } from '../plot/export';
import type { ChartOptions, PlotSize, XChoice } from '../plot/options';
import type { SmoothingKind } from '../series/smoothing';

/** What the menu tells. */
export interface MenuEvents {
  /** A choice was made. */
  change(): void;
  save(format: Format): void;
  /** Copy Python that draws the same; absent where there is none. */
  copyCode?(): void;
  /** Names that compared runs can be averaged by, with what to show; absent where nothing is compared. */
  means?: {
    names: readonly (readonly [value: string, text: string])[];
    chosen(): string;
    choose(name: string): void;
  };
}

const SMOOTHINGS: readonly (readonly [SmoothingKind, string])[] = [
  ['ema', 'Exponential, as TensorBoard'],
  ['gaussian', 'Gaussian'],
  ['mean', 'Running mean'],
];
const SIZES: readonly (readonly [PlotSize, string])[] = [
  ['small', 'Small'],
  ['medium', 'Medium'],
  ['large', 'Large'],
];
const FORMATS: readonly (readonly [Format, string])[] = [
  ['png', 'PNG'],
  ['svg', 'SVG'],
  ['html', 'HTML'],
  ['csv', 'CSV'],
];

export class ChartMenu {
  readonly node = element('details', { class: 'jx-menu' });
  readonly #options: ChartOptions;
  readonly #x = element('select', { attrs: { 'aria-label': 'x axis' } });
  readonly #syncs: (() => void)[] = [];
  #keys = '';

  /**
   * @param chooseX Makes x something else.
   * @param signal Ends its listeners.
   */
  constructor(options: ChartOptions, chooseX: (x: XChoice) => void, events: MenuEvents, signal: AbortSignal) {
    this.#options = options;
    const summary = element('summary', {
      text: '⋯',
      title: 'More',
      attrs: { 'aria-label': 'More of the chart' },
    });
    this.#x.addEventListener('change', () => chooseX(this.#x.value as XChoice), { signal });
    const box = element('div', { class: 'jx-popup jx-menu-box' });
    const choice = <T extends string>(
      label: string,
      values: readonly (readonly [T, string])[],
      get: () => T,
      set: (value: T) => void
    ) => {
      const select = element('select', { attrs: { 'aria-label': label } });
      select.append(...values.map(([value, text]) => element('option', { text, attrs: { value } })));
      this.#syncs.push(() => {
        select.value = get();
      });
      select.addEventListener(
        'change',
        () => {
          set(select.value as T);
          events.change();
        },
        { signal }
      );
      return row(label, select);
    };
    const check = (label: string, name: 'logX' | 'ignoreOutliers', title: string) => {
      const input = element('input', { attrs: { type: 'checkbox' } });
      this.#syncs.push(() => {
        input.checked = options[name];
      });
      input.addEventListener(
        'change',
        () => {
          options[name] = input.checked;
          events.change();
        },
        { signal }
      );
      return row(label, input, title);
    };
    box.append(
      row('x axis', this.#x),
      check('Log x', 'logX', 'Logarithmic x axis'),
      check('Ignore outliers', 'ignoreOutliers', 'Leave values far from most others out of the y axis'),
      choice(
        'Smoothing',
        SMOOTHINGS,
        () => options.smoothing.kind,
        kind => {
          options.smoothing.kind = kind;
        }
      ),
      choice(
        'Plots',
        SIZES,
        () => options.size,
        size => {
          options.size = size;
        }
      )
    );
    const { means, copyCode } = events;
    if (means) {
      box.append(choice('Mean over', means.names, means.chosen, means.choose));
    }
    const saves = FORMATS.map(([format, text]) =>
      button(
        { text, title: `Save these plots as ${text}` },
        () => this.#then(() => events.save(format)),
        signal
      )
    );
    box.append(element('div', { class: 'jx-menu-row' }, element('span', { text: 'Save' }), ...saves));
    if (copyCode) {
      const copy = button(
        { text: 'Copy as code', title: 'Python that draws the same with plotly' },
        () => this.#then(copyCode),
        signal
      );
      box.append(element('div', { class: 'jx-menu-row' }, element('span'), copy));
    }
    this.node.append(summary, box);
    this.#closeOutside(signal);
  }

  /** Show what was chosen elsewhere. */
  sync(): void {
    for (const show of this.#syncs) {
      show();
    }
  }

  /** @param keys Metrics that x can be. */
  update(keys: readonly string[]): void {
    const text = JSON.stringify(keys);
    if (text !== this.#keys) {
      this.#keys = text;
      const known: (readonly [string, string])[] = [
        ['step', 'Step'],
        ['time', 'Time since the start'],
        ['clock', 'Time of day'],
        ...keys.map(key => [`metric:${key}`, key] as const),
      ];
      this.#x.replaceChildren(
        ...known.map(([value, label]) => element('option', { text: label, attrs: { value } }))
      );
    }
    if (this.#x.value !== this.#options.x) {
      this.#x.value = this.#options.x;
    }
  }

  #then(work: () => void): void {
    this.node.open = false;
    work();
  }

  #closeOutside(signal: AbortSignal): void {
    document.addEventListener(
      'pointerdown',
      event => {
        if (this.node.open && !event.composedPath().includes(this.node)) {
          this.node.open = false;
        }
      },
      { signal }
    );
    this.node.addEventListener(
      'keydown',
      event => {
        event.stopPropagation(); // the notebook has shortcuts of its own
        if (event.key === 'Escape') {
          this.node.open = false;
        }
      },
      { signal }
    );
  }
}

function row(label: string, control: HTMLElement, title = ''): HTMLElement {
  return element('label', { class: 'jx-menu-row', title }, element('span', { text: label }), control);
}
