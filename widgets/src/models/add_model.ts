// The field that puts a model on the list by its reference. Nothing is downloaded by it but what tells how
// big it is.

import { button, element, setText } from '../core/dom';
import { messageOf } from '../core/errors';

export class AddModel {
  readonly node: HTMLElement;
  readonly #input = element('input', {
    attrs: {
      type: 'text',
      placeholder: 'hub:org/name, a path or a URL',
      'aria-label': 'Reference of a model to add',
      spellcheck: 'false',
      autocapitalize: 'off',
    },
  });
  readonly #add: HTMLButtonElement;
  readonly #note = element('div', { class: 'jx-models-note', attrs: { role: 'status' } });
  #adding = false;
  #live = false;

  /** @param add Looks it up; rejects with what went wrong. */
  constructor(add: (reference: string) => Promise<void>, signal: AbortSignal) {
    const start = async () => {
      const reference = this.#input.value.trim();
      if (reference === '' || this.#adding || !this.#live) {
        this.#input.focus();
        return;
      }
      this.#set(true, 'Looking it up…');
      try {
        await add(reference);
        this.#input.value = '';
        this.#set(false, '');
      } catch (error) {
        this.#set(false, messageOf(error), true);
      }
    };
    this.#add = button(
      {
        class: 'jx-button',
        text: 'Add',
        title: 'Look it up and put it on the list; downloads no weights yet',
      },
      () => void start(),
      signal
    );
    this.#input.addEventListener(
      'keydown',
      event => {
        event.stopPropagation(); // the notebook has shortcuts of its own
        if (event.key === 'Enter') {
          void start();
        }
      },
      { signal }
    );
    this.node = element('div', { class: 'jx-models-add' }, this.#input, this.#add);
  }

  /** What it says; stands below the bar that the field is in. */
  get note(): HTMLElement {
    return this.#note;
  }

  draw(live: boolean): void {
    this.#live = live;
    this.#add.disabled = !live || this.#adding;
  }

  #set(adding: boolean, text: string, isError = false): void {
    this.#adding = adding;
    this.draw(this.#live);
    setText(this.#note, text);
    this.#note.dataset.tone = isError ? 'error' : 'info';
  }
}
