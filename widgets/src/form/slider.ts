// Sliders beside text boxes. The rule: a slider never narrows what may be typed; it writes into the box, and
// goes where a typed number is in its range. Pure but for `makeSlider`.

import { element } from '../core/dom';
import type { LaunchSlider } from '../wire';

/** How many positions a slider without steps of its own has. */
const STOPS = 200;

/** Return the number at a position from 0 to 1. */
export function valueAt({ low, high, scale, step }: LaunchSlider, position: number): number {
  const at = low + position * (high - low);
  if (scale === 'integer') {
    return Math.round(at / step) * step;
  }
  return scale === 'log' ? 10 ** at : at;
}

/** Return where a number is, from 0 to 1, or `null` where that is not on the slider. */
export function positionOf({ low, high, scale }: LaunchSlider, value: number): number | null {
  const at = scale === 'log' ? Math.log10(value) : value;
  return Number.isFinite(at) && at >= low && at <= high ? (at - low) / (high - low) : null;
}

/** Write a number as a person would: three digits, and no more zeros than needed. */
export function textOfNumber(spec: LaunchSlider, value: number): string {
  if (spec.scale === 'integer') {
    return String(value);
  }
  const rounded = Number(value.toPrecision(spec.scale === 'log' ? 2 : 3));
  const size = Math.abs(rounded);
  return size !== 0 && (size < 1e-3 || size >= 1e6)
    ? rounded.toExponential().replace('+', '')
    : String(rounded);
}

/** Make a slider for a box. Readers of the screen have the box; the slider is for the mouse. */
export function makeSlider(spec: LaunchSlider, box: HTMLInputElement, signal: AbortSignal): HTMLInputElement {
  const stops = spec.scale === 'integer' ? Math.min(STOPS * 10, (spec.high - spec.low) / spec.step) : STOPS;
  const slider = element('input', {
    class: 'jx-slider',
    attrs: { type: 'range', min: '0', max: String(stops), step: '1', tabindex: '-1', 'aria-hidden': 'true' },
  });
  const follow = () => {
    const position = box.value.trim() === '' ? null : positionOf(spec, Number(box.value));
    slider.dataset.off = String(position === null);
    if (position !== null) {
      slider.value = String(Math.round(position * stops));
    }
  };
  slider.addEventListener(
    'input',
    () => {
      box.value = textOfNumber(spec, valueAt(spec, Number(slider.value) / stops));
      slider.dataset.off = 'false';
      box.dispatchEvent(new Event('input', { bubbles: true }));
    },
    { signal }
  );
  box.addEventListener('input', event => event.isTrusted && follow(), { signal });
  follow();
  return slider;
}
