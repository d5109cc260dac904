// "Run again" of one run: its inputs in boxes, of which the changed ones are sent. The engine checks them as
// it checks a launch.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { shortId } from '../core/format';
import type { Training } from '../wire';
import { changesOf, fieldsOf, type RerunField, type VersionSchema } from './rerun_fields';

/** What the editor asks of the table. */
export interface RerunEvents {
  /** Return what the run's code takes, or `null` where nobody knows. */
  schema(training: Training): Promise<VersionSchema | null>;
  /** Start a run of the same code; rejects with what is wrong. */
  start(training: Training, changes: Record<string, unknown>): Promise<Training>;
  /** Show the new run. */
  started(training: Training): void;
}

export class RerunForm {
  readonly node = element('form', { class: 'jx-again', attrs: { 'aria-label': 'Run again' } });
  readonly #events: RerunEvents;
  #listeners = new AbortController();

  constructor(events: RerunEvents, signal: AbortSignal) {
    this.#events = events;
    this.node.hidden = true;
    signal.addEventListener('abort', () => this.#listeners.abort());
  }

  get isOpen(): boolean {
    return !this.node.hidden;
  }

  /** Ask for the inputs of a new run like this one; `null` closes. */
  show(training: Training | null): void {
    this.#listeners.abort();
    this.#listeners = new AbortController();
    setHidden(this.node, training === null);
    this.node.replaceChildren();
    if (training) {
      const { signal } = this.#listeners;
      void this.#events
        .schema(training)
        .then(schema => signal.aborted || this.#draw(training, fieldsOf(training, schema), signal));
    }
  }

  #draw(training: Training, fields: readonly RerunField[], signal: AbortSignal): void {
    const boxes = fields.map(boxOf);
    const changes = () =>
      changesOf(
        fields,
        boxes.map(box => box.value)
      );
    const error = element('div', { class: 'jx-bad', attrs: { role: 'alert' } });
    const start = element('button', {
      class: 'jx-button jx-primary',
      text: 'Start',
      attrs: { type: 'submit' },
    });
    const summary = element('span', { class: 'jx-again-told' });
    const summarize = () => {
      const names = Object.keys(changes());
      setText(summary, names.length === 0 ? 'with the same inputs' : `with another ${names.join(', ')}`);
    };
    const submit = () => {
      start.disabled = true;
      this.#events.start(training, changes()).then(
        started => {
          this.show(null);
          this.#events.started(started);
        },
        (reason: unknown) => {
          start.disabled = false;
          setText(error, messageOf(reason));
        }
      );
    };
    this.node.addEventListener('input', summarize, { signal });
    this.node.addEventListener(
      'submit',
      event => {
        event.preventDefault();
        submit();
      },
      { signal }
    );
    this.node.addEventListener(
      'keydown',
      event => {
        event.stopPropagation(); // the notebook has shortcuts of its own
        if (event.key === 'Escape') {
          this.show(null);
        }
      },
      { signal }
    );
    const rows = fields.map(({ name, title }, i) =>
      element('label', { title }, element('span', { text: name, title: title || name }), boxes[i])
    );
    this.node.replaceChildren(
      element('div', {
        class: 'jx-again-title',
        text: `Run ${training.name} ${shortId(training.id)} again`,
      }),
      rows.length > 0
        ? element('div', { class: 'jx-again-inputs' }, ...rows)
        : element('div', { class: 'jx-again-told', text: 'It takes no inputs.' }),
      error,
      element(
        'div',
        { class: 'jx-again-end' },
        start,
        button({ class: 'jx-button', text: 'Close' }, () => this.show(null), signal),
        summary
      )
    );
    summarize();
    (boxes[0] ?? start).focus();
  }
}

function boxOf({ name, text, isSecret, choices }: RerunField): HTMLInputElement | HTMLSelectElement {
  if (choices.length > 0) {
    const select = element(
      'select',
      { attrs: { 'aria-label': name } },
      ...choices.map(choice => element('option', { text: choice, attrs: { value: choice } }))
    );
    select.value = text;
    return select;
  }
  const box = element('input', {
    attrs: {
      type: isSecret ? 'password' : 'text',
      'aria-label': name,
      spellcheck: 'false',
      autocomplete: 'off',
    },
  });
  box.value = text;
  if (isSecret) {
    box.placeholder = 'kept nowhere: give it again';
  }
  return box;
}
