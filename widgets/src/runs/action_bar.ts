// What can be done with the selected runs. Deleting asks once more, in place.

import { button, element, setHidden, setText } from '../core/dom';
import { isEnded, isResumable } from '../training/labels';
import type { Training } from '../wire';

/** What the buttons do. */
export interface Actions {
  compare(): void;
  /** Asks for other inputs first where there is one run only. */
  rerun(): void;
  resume(): void;
  cancel(): void;
  remove(): void;
  clear(): void;
}

export class ActionBar {
  readonly node: HTMLElement;
  readonly #count = element('span');
  readonly #error = element('span', { class: 'jx-bad', attrs: { role: 'alert' } });
  readonly #buttons: Record<
    'compare' | 'rerun' | 'resume' | 'cancel' | 'remove' | 'sure' | 'keep' | 'clear',
    HTMLButtonElement
  >;
  #asked: string | null = null;
  #shown: readonly Training[] = [];

  constructor(actions: Actions, signal: AbortSignal) {
    const make = (text: string, onClick: () => void, more = '') =>
      button({ class: `jx-button ${more}`, text }, onClick, signal);
    const ask = (key: string | null) => {
      this.#asked = key;
      this.draw(this.#shown, this.#buttons.compare.getAttribute('aria-pressed') === 'true');
    };
    this.#buttons = {
      compare: make('Compare', actions.compare),
      rerun: make('Run again', actions.rerun),
      resume: make('Resume', actions.resume),
      cancel: make('Cancel', actions.cancel),
      remove: make('Delete…', () => ask(keyOf(this.#shown))),
      sure: make(
        'Delete',
        () => {
          ask(null);
          actions.remove();
        },
        'jx-danger jx-danger-confirm'
      ),
      keep: make('Keep', () => ask(null)),
      clear: make('Clear', actions.clear),
    };
    this.node = element(
      'div',
      { class: 'jx-runs-bar jx-runs-actions', attrs: { role: 'group', 'aria-label': 'Selected trainings' } },
      this.#count,
      ...Object.values(this.#buttons),
      this.#error
    );
  }

  say(error: string): void {
    setText(this.#error, error);
  }

  draw(selected: readonly Training[], comparing: boolean): void {
    this.#shown = selected;
    const num = selected.length;
    const ended = selected.filter(training => isEnded(training.status)).length;
    if (this.#asked !== keyOf(selected)) {
      this.#asked = null;
    }
    const asking = this.#asked !== null;
    setHidden(this.node, num === 0 && this.#error.textContent === '');
    setText(
      this.#count,
      asking
        ? `Delete ${ended === 1 ? 'this run' : `${ended} runs`} with all files? This cannot be undone.`
        : `${num} selected`
    );
    const { compare, rerun, resume, cancel, remove, sure, keep, clear } = this.#buttons;
    for (const other of [compare, rerun, resume, cancel, remove, clear]) {
      setHidden(other, asking || num === 0);
    }
    setHidden(sure, !asking);
    setHidden(keep, !asking);
    setText(rerun, num === 1 ? 'Run again…' : 'Run again');
    rerun.title = num === 1 ? 'With the same inputs or others' : 'Each with its own inputs';
    resume.disabled = !selected.some(isResumable);
    resume.title = resume.disabled
      ? 'Only what failed or was canceled and has a checkpoint can be resumed'
      : 'Go on from the last checkpoint, in a new run';
    setText(compare, comparing ? 'Close comparison' : 'Compare');
    compare.setAttribute('aria-pressed', String(comparing));
    cancel.disabled = ended === num;
    remove.disabled = ended === 0;
    remove.title = ended < num ? 'Those that still run stay; cancel them first' : '';
  }
}

function keyOf(selected: readonly Training[]): string {
  return selected.map(training => training.id).join();
}
