// Lines for the user under the header: what happened, what is odd, what can be done about it.

import { button, element, setHidden } from '../core/dom';

export type Tone = 'info' | 'warning' | 'error';

export interface Message {
  tone: Tone;
  text: string;
  /** A button at the end of the line. */
  action?: { label: string; run: () => void };
}

/** Return text with what stands in backticks as code. */
function withCode(text: string): (Node | string)[] {
  return text.split('`').map((part, i) => (i % 2 === 1 ? element('code', { text: part }) : part));
}

export class Messages {
  readonly node = element('div', { class: 'jx-messages', attrs: { 'aria-live': 'polite' } });
  #drawn = '';
  #listeners = new AbortController();

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => this.#listeners.abort());
  }

  draw(messages: readonly Message[]): void {
    const key = JSON.stringify(messages);
    if (key === this.#drawn) {
      return;
    }
    this.#drawn = key;
    this.#listeners.abort();
    this.#listeners = new AbortController();
    setHidden(this.node, messages.length === 0);
    this.node.replaceChildren(
      ...messages.map(({ tone, text, action }) => {
        const line = element('div', { class: 'jx-message' }, element('span', {}, ...withCode(text)));
        line.dataset.tone = tone;
        if (action) {
          line.append(button({ class: 'jx-link', text: action.label }, action.run, this.#listeners.signal));
        }
        return line;
      })
    );
  }
}
