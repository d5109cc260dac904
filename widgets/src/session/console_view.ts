// A field for expressions: evaluated in the open frame of the last exception, else among the names of the
// session.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { NamesView } from './names_view';
import type { SessionClient } from './session_client';
import { valueView } from './value_view';

const MAX_ANSWERS = 30;

export class ConsoleView {
  readonly node: HTMLElement;
  readonly #client: SessionClient;
  readonly #input = element('input', {
    class: 'jx-console-input',
    attrs: {
      type: 'text',
      'aria-label': 'Expression',
      spellcheck: 'false',
      autocapitalize: 'off',
      autocomplete: 'off',
    },
  });
  readonly #answers = element('div', {
    class: 'jx-console-answers',
    attrs: { role: 'log', 'aria-label': 'Answers' },
  });
  readonly #names: NamesView;
  readonly #listing: HTMLButtonElement;
  readonly #history: string[] = [];
  #at = 0;
  #live = false;

  constructor(client: SessionClient, signal: AbortSignal) {
    this.#client = client;
    this.#names = new NamesView(expression => client.look(expression), signal);
    setHidden(this.#names.node, true);
    this.#listing = button({ class: 'jx-link', text: 'Names' }, () => void this.#list(), signal);
    this.#input.addEventListener('keydown', event => this.#key(event), { signal });
    this.node = element(
      'section',
      { class: 'jx-section' },
      element(
        'div',
        { class: 'jx-section-head' },
        element('span', { class: 'jx-section-title', text: 'Look at' }),
        this.#input,
        this.#listing
      ),
      this.#names.node,
      this.#answers
    );
  }

  /** @param inFrame The number of the exception's frame that expressions are evaluated in, or `null`. */
  draw(live: boolean, inFrame: number | null): void {
    this.#live = live;
    this.#input.disabled = !live;
    this.#listing.disabled = !live;
    this.#input.placeholder =
      inFrame === null
        ? 'an expression, such as model.weight.grad.norm()'
        : `an expression, evaluated in frame ${inFrame} of the exception`;
  }

  #key(event: KeyboardEvent): void {
    event.stopPropagation(); // the notebook has shortcuts of its own
    if (event.key === 'Enter') {
      void this.#evaluate();
    } else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      event.preventDefault();
      this.#at = Math.min(this.#history.length, Math.max(0, this.#at + (event.key === 'ArrowUp' ? -1 : 1)));
      this.#input.value = this.#history[this.#at] ?? '';
    }
  }

  async #evaluate(): Promise<void> {
    const expression = this.#input.value.trim();
    if (expression === '' || !this.#live) {
      return;
    }
    this.#history.push(expression);
    this.#at = this.#history.length;
    this.#input.value = '';
    const answer = element(
      'div',
      { class: 'jx-console-answer' },
      element('code', { text: expression }),
      element('span', { class: 'jx-session-dim', text: ' …' })
    );
    this.#answers.prepend(answer);
    while (this.#answers.childElementCount > MAX_ANSWERS) {
      this.#answers.lastElementChild?.remove();
    }
    try {
      answer.replaceChildren(valueView(await this.#client.look(expression)));
    } catch (error) {
      answer.replaceChildren(
        element('code', { text: expression }),
        element('div', { class: 'jx-bad', text: messageOf(error) })
      );
    }
  }

  async #list(): Promise<void> {
    const show = this.#names.node.hidden;
    setText(this.#listing, show ? 'Hide names' : 'Names');
    setHidden(this.#names.node, !show);
    if (show) {
      try {
        this.#names.draw(
          await this.#client.names(),
          'Nothing is defined in the session beyond its model code.'
        );
      } catch (error) {
        this.#names.draw([], messageOf(error));
      }
    }
  }
}
