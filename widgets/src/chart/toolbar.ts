// The chart's few controls.

import { button, element, setHidden, setText } from '../core/dom';
import type { ChartOptions } from './figure';

export class ChartToolbar {
  readonly node: HTMLElement;
  readonly options: ChartOptions = { axis: 'step', logY: false, smoothing: 0, showAll: false };
  readonly #reset: HTMLButtonElement;
  readonly #more: HTMLButtonElement;

  /**
   * @param onChange Called after a choice.
   * @param onReset Called when the whole run shall be seen again.
   * @param signal Ends its listeners.
   */
  constructor(onChange: () => void, onReset: () => void, signal: AbortSignal) {
    const { options } = this;
    const step = button({ text: 'Step', attrs: { 'aria-pressed': 'true' } }, () => choose('step'), signal);
    const time = button({ text: 'Time', attrs: { 'aria-pressed': 'false' } }, () => choose('time'), signal);
    const choose = (axis: ChartOptions['axis']) => {
      options.axis = axis;
      step.setAttribute('aria-pressed', String(axis === 'step'));
      time.setAttribute('aria-pressed', String(axis === 'time'));
      onReset();
      onChange();
    };
    const log = button(
      { class: 'jx-toggle', text: 'Log y', title: 'Logarithmic y axis', attrs: { 'aria-pressed': 'false' } },
      () => {
        options.logY = !options.logY;
        log.setAttribute('aria-pressed', String(options.logY));
        onChange();
      },
      signal
    );
    this.#reset = button(
      { class: 'jx-toggle jx-reset', text: 'Reset zoom', title: 'Show the whole run (double click)' },
      onReset,
      signal
    );
    this.#reset.hidden = true;
    this.#more = button(
      { class: 'jx-toggle' },
      () => {
        options.showAll = !options.showAll;
        onChange();
      },
      signal
    );
    this.#more.hidden = true;
    this.node = element(
      'div',
      { class: 'jx-toolbar', attrs: { role: 'toolbar', 'aria-label': 'Chart' } },
      this.#more,
      this.#reset,
      smoothing(options, onChange, signal),
      log,
      element('div', { class: 'jx-segments', attrs: { role: 'group', 'aria-label': 'x axis' } }, step, time)
    );
  }

  update(zoomed: boolean, omitted: number): void {
    setHidden(this.#reset, !zoomed);
    setHidden(this.#more, omitted === 0 && !this.options.showAll);
    setText(this.#more, this.options.showAll ? 'Fewer plots' : `${omitted} more`);
  }
}

// The slider is finer near 1, where the moving average changes most.
function smoothing(options: ChartOptions, onChange: () => void, signal: AbortSignal): HTMLElement {
  const slider = element('input', {
    attrs: { type: 'range', min: '0', max: '100', step: '1', 'aria-label': 'Smoothing' },
  });
  slider.value = '0';
  const value = element('span', { class: 'jx-slider-value', text: 'off' });
  slider.addEventListener(
    'input',
    () => {
      const at = Number(slider.value) / 100;
      options.smoothing = at === 0 ? 0 : 1 - (1 - at) ** 1.6 * 0.998 - 0.002;
      value.textContent = options.smoothing === 0 ? 'off' : options.smoothing.toFixed(2);
      onChange();
    },
    { signal }
  );
  return element(
    'label',
    { class: 'jx-slider', title: 'Exponential moving average; the raw curve stays faint' },
    'Smooth',
    slider,
    value
  );
}
