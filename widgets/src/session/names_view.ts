// Names and values in a table: the locals of a frame, or the names of a session. A click looks at one of them
// closely.

import { button, element, setHidden } from '../core/dom';
import { messageOf } from '../core/errors';
import { shapeOf } from './labels';
import type { Summary } from './session_client';
import { valueView } from './value_view';

export class NamesView {
  readonly node = element('div', { class: 'jx-names' });
  readonly #look: (expression: string) => Promise<Summary>;
  readonly #signal: AbortSignal;

  /** @param look Looks at a name closely; rejects with what went wrong. */
  constructor(look: (expression: string) => Promise<Summary>, signal: AbortSignal) {
    this.#look = look;
    this.#signal = signal;
  }

  draw(names: readonly Summary[], emptyText: string): void {
    if (names.length === 0) {
      this.node.replaceChildren(element('div', { class: 'jx-names-none', text: emptyText }));
      return;
    }
    this.node.replaceChildren(...names.map(summary => this.#row(summary)));
  }

  #row(summary: Summary): HTMLElement {
    const close = element('div', { class: 'jx-name-close' });
    setHidden(close, true);
    const open = button(
      { class: 'jx-name-open', attrs: { 'aria-expanded': 'false' } },
      () => void this.#toggle(summary.name, open, close),
      this.#signal
    );
    const bad = Boolean(summary.num_nan || summary.num_inf);
    open.append(
      element('code', { class: 'jx-name-name', text: summary.name, title: summary.name }),
      element('span', {
        class: 'jx-name-type',
        text: summary.dtype ? `${summary.dtype} ${shapeOf(summary.shape)}` : summary.type,
      }),
      element('span', {
        class: bad ? 'jx-name-value jx-bad' : 'jx-name-value',
        text: valueText(summary),
        title: summary.text,
      })
    );
    return element('div', { class: 'jx-name-row' }, open, close);
  }

  async #toggle(name: string, open: HTMLElement, close: HTMLElement): Promise<void> {
    const show = close.hidden;
    setHidden(close, !show);
    open.setAttribute('aria-expanded', String(show));
    if (show) {
      try {
        close.replaceChildren(valueView(await this.#look(name)));
      } catch (error) {
        close.replaceChildren(
          element('div', { class: 'jx-message', text: messageOf(error), attrs: { 'data-tone': 'error' } })
        );
      }
    }
  }
}

/** The value without what the type column says already. */
function valueText(summary: Summary): string {
  return summary.dtype === undefined ? summary.text : summary.text.replace(/^\S+\[[^\]]*\]\s*/, '');
}
