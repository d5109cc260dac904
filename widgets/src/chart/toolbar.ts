// The chart's controls: the few that are used often in a row, the others in a menu.

import { button, element, setHidden, setText } from '../core/dom';
import type { ChartOptions, XChoice } from '../plot/options';
import { ChartMenu, type MenuEvents } from './menu';

/** What the controls tell. */
export interface ToolbarEvents extends MenuEvents {
  /** The whole run shall be seen again. */
  reset(): void;
}

/** What the controls show. */
export interface ToolbarState {
  zoomed: boolean;
  omitted: number;
  numGroups: number;
  /** Metrics that x can be. */
  keys: readonly string[];
}

/** From so many plots on there is a box to search them. */
const SEARCHED_FROM = 7;
/** The slider is finer near 1, where the moving average changes most. */
const SLIDER_POWER = 1.6;
const MAX_WEIGHT = 0.998;

export class ChartToolbar {
  readonly node: HTMLElement;
  showAll = false;
  search = '';
  readonly #options: ChartOptions;
  readonly #events: ToolbarEvents;
  readonly #reset: HTMLButtonElement;
  readonly #more: HTMLButtonElement;
  readonly #log: HTMLButtonElement;
  readonly #segments: readonly (readonly [XChoice, HTMLButtonElement])[];
  readonly #menu: ChartMenu;
  readonly #weight = element('input', {
    attrs: { type: 'range', min: '0', max: '100', step: '1', 'aria-label': 'Smoothing' },
  });
  readonly #weightText = element('span', { class: 'jx-slider-value' });
  readonly #search = element('input', {
    class: 'jx-plot-search',
    attrs: { type: 'search', placeholder: 'Find plots', 'aria-label': 'Find plots' },
  });

  /** @param signal Ends its listeners. */
  constructor(options: ChartOptions, events: ToolbarEvents, signal: AbortSignal) {
    this.#options = options;
    this.#events = events;
    const choose = (x: XChoice) => {
      options.x = x;
      events.reset();
      events.change();
    };
    const segment = (x: XChoice, text: string) =>
      [x, button({ text, title: xTitle(x) }, () => choose(x), signal)] as const;
    this.#segments = [segment('step', 'Step'), segment('time', 'Time')];
    this.#log = button(
      { class: 'jx-toggle', text: 'Log y', title: 'Logarithmic y axis' },
      () => {
        options.logY = !options.logY;
        events.change();
      },
      signal
    );
    this.#reset = button(
      { class: 'jx-toggle jx-reset', text: 'Reset zoom', title: 'Show the whole run (double click)' },
      () => events.reset(),
      signal
    );
    this.#more = button({ class: 'jx-toggle' }, () => this.#toggleAll(), signal);
    this.#menu = new ChartMenu(options, choose, events, signal);
    this.#search.addEventListener('keydown', event => event.stopPropagation(), { signal });
    this.#search.addEventListener(
      'input',
      () => {
        this.search = this.#search.value;
        events.change();
      },
      { signal }
    );
    this.node = element(
      'div',
      { class: 'jx-toolbar', attrs: { role: 'toolbar', 'aria-label': 'Chart' } },
      this.#search,
      element('span', { class: 'jx-spacer' }),
      this.#more,
      this.#reset,
      this.#slider(signal),
      this.#log,
      element(
        'div',
        { class: 'jx-segments', attrs: { role: 'group', 'aria-label': 'x axis' } },
        ...this.#segments.map(([, made]) => made)
      ),
      this.#menu.node
    );
    this.update({ zoomed: false, omitted: 0, numGroups: 0, keys: [] });
    this.sync();
  }

  update({ zoomed, omitted, numGroups, keys }: ToolbarState): void {
    setHidden(this.#reset, !zoomed);
    setHidden(this.#more, omitted === 0 && !(this.showAll && numGroups > SEARCHED_FROM - 1));
    setText(this.#more, this.showAll ? 'Fewer plots' : `${omitted} more`);
    setHidden(this.#search, numGroups < SEARCHED_FROM && this.search === '');
    this.#log.setAttribute('aria-pressed', String(this.#options.logY));
    for (const [x, made] of this.#segments) {
      made.setAttribute('aria-pressed', String(this.#options.x === x));
    }
    this.#menu.update(keys);
  }

  #toggleAll(): void {
    this.showAll = !this.showAll;
    this.#events.change();
  }

  /** Show what was chosen elsewhere. */
  sync(): void {
    const { weight } = this.#options.smoothing;
    this.#weight.value = String(Math.round(100 * sliderOf(weight)));
    this.#weightText.textContent = weightText(weight);
    this.#menu.sync();
  }

  #slider(signal: AbortSignal): HTMLElement {
    this.#weight.addEventListener(
      'input',
      () => {
        const weight = weightOf(Number(this.#weight.value) / 100);
        this.#options.smoothing.weight = weight;
        this.#weightText.textContent = weightText(weight);
        this.#events.change();
      },
      { signal }
    );
    return element(
      'label',
      { class: 'jx-slider', title: 'Smoothed curves; what was logged stays faint behind them' },
      'Smooth',
      this.#weight,
      this.#weightText
    );
  }
}

function weightOf(at: number): number {
  return at === 0 ? 0 : Math.max(0.01, MAX_WEIGHT * (1 - (1 - at) ** SLIDER_POWER));
}

function sliderOf(weight: number): number {
  return weight <= 0 ? 0 : 1 - (1 - weight / MAX_WEIGHT) ** (1 / SLIDER_POWER);
}

function weightText(weight: number): string {
  return weight === 0 ? 'off' : weight.toFixed(weight >= 0.99 ? 3 : 2);
}

/** Say what an x is. */
export function xTitle(x: XChoice): string {
  switch (x) {
    case 'step':
      return 'Steps, as they were logged';
    case 'time':
      return 'Time since the start of each run';
    case 'clock':
      return 'Time of day';
    default:
      return `The value of ${x.slice('metric:'.length)} at the same step`;
  }
}
