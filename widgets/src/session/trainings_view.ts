// The trainings of a session, newest first; the newest with its curves.

import { element, setHidden } from '../core/dom';
import type { DebugSession } from '../wire';
import type { SessionFeedState } from './session_feed';
import { TrainingRow, type TrainingsContext } from './training_row';

/** Older trainings stay in the session, but not on the page. */
const MAX_SHOWN = 6;

export class TrainingsView {
  readonly node: HTMLElement;
  readonly #context: TrainingsContext;
  readonly #list = element('div');
  readonly #rows = new Map<string, TrainingRow>();

  constructor(context: TrainingsContext) {
    this.#context = context;
    this.node = element(
      'section',
      { class: 'jx-section' },
      element(
        'div',
        { class: 'jx-section-head' },
        element('span', { class: 'jx-section-title', text: 'Trainings' })
      ),
      this.#list
    );
  }

  draw(session: DebugSession, now_s: number, feed: SessionFeedState): void {
    const shown = session.trainings.slice(-MAX_SHOWN).reverse();
    setHidden(this.node, shown.length === 0);
    for (const [id, row] of this.#rows) {
      if (!shown.some(training => training.id === id)) {
        row.end();
        this.#rows.delete(id);
      }
    }
    shown.forEach((training, i) => {
      let row = this.#rows.get(training.id);
      if (!row) {
        row = new TrainingRow(training, this.#context);
        this.#rows.set(training.id, row);
      }
      if (this.#list.children[i] !== row.node) {
        this.#list.insertBefore(row.node, this.#list.children[i] ?? null);
      }
      row.draw(training, i === 0, now_s, feed);
    });
  }
}
