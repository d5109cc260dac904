// Rows of the log: text with its colours, links to cells, which stream wrote them and when, and tracebacks folded.

import { cellLineOf, cellLink } from '../core/cell_link';
import { element } from '../core/dom';
import { renderAnsi } from './ansi';
import { type PlacedLine, type PlacedTraceback, Tracebacks } from './tracebacks';

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });

/** What is known of a line besides its text; `time` is Unix seconds. */
export interface LineFacts {
  stream: 'stdout' | 'stderr';
  time: number | null;
}

/** Make a line's row. */
export function logRow(text: string, runId: string | null): HTMLElement {
  const place = runId === null ? null : cellLineOf(text);
  if (place === null || runId === null) {
    return element('div', { class: 'jx-log-row' }, text === '' ? '\u200b' : renderAnsi(text));
  }
  const { label, line, from, to } = place;
  const link = cellLink(text.slice(from, to), { runId, label, line });
  return element('div', { class: 'jx-log-row' }, text.slice(0, from), link, renderAnsi(text.slice(to)));
}

/** Show who wrote a row, and when. */
export function tellFacts(row: HTMLElement, { stream, time }: LineFacts): void {
  row.classList.toggle('jx-log-err', stream === 'stderr');
  if (time !== null) {
    row.dataset.time = TIME.format(1000 * time);
  }
}

/** Lines that are held together, and their rows in the page. */
export interface Piece {
  rows: HTMLCollection;
  lines: readonly PlacedLine[];
}

/**
 * Folds tracebacks; those that somebody has opened stay open, by the byte at which they begin. A traceback may begin in
 * one piece and end in another.
 */
export class Folds {
  readonly #open = new Set<number>();
  readonly #tracebacks = new Tracebacks();
  readonly #runId: string | null;

  constructor(runId: string | null) {
    this.#runId = runId;
  }

  /**
   * Fold the tracebacks among some rows.
   *
   * @param pieces They follow on each other without a gap.
   * @returns Those of which other rows are folded now.
   */
  fold<P extends Piece>(pieces: readonly P[]): P[] {
    this.#tracebacks.look(pieces.flatMap(({ lines }) => lines));
    return pieces.filter(piece => this.#draw(piece));
  }

  /** Open or close the traceback that a control belongs to; returns whether it was one. */
  toggle(target: Element): boolean {
    const row = target.closest<HTMLElement>('.jx-log-fold-toggle')?.closest<HTMLElement>('[data-fold]');
    if (!row) {
      return false;
    }
    const offset = Number(row.dataset.fold);
    if (!this.#open.delete(offset)) {
      this.#open.add(offset);
    }
    return true;
  }

  /** Remember that the traceback with a folded row is open; returns whether the row was folded. */
  open(row: HTMLElement): boolean {
    if (!row.classList.contains('jx-log-folded')) {
      return false;
    }
    this.#open.add(Number(row.dataset.within));
    return true;
  }

  #draw({ rows, lines }: Piece): boolean {
    let isOther = false;
    let within = lines.length > 0 ? this.#tracebacks.around(lines[0].offset) : null;
    lines.forEach(({ offset }, i) => {
      const row = rows[i] as HTMLElement | undefined;
      if (!row) {
        return;
      }
      if (within && offset >= within.last) {
        within = null;
      }
      const begins = within ? null : this.#tracebacks.beginningAt(offset);
      this.#setControl(row, begins);
      const isFolded = within !== null && !this.#open.has(within.head);
      if (within) {
        row.dataset.within = String(within.head);
      }
      if (row.classList.contains('jx-log-folded') !== isFolded) {
        row.classList.toggle('jx-log-folded', isFolded);
        isOther = true;
      }
      within ??= begins;
    });
    return isOther;
  }

  #setControl(row: HTMLElement, traceback: PlacedTraceback | null): void {
    const had = row.querySelector('.jx-log-fold');
    const isOpen = traceback !== null && this.#open.has(traceback.head);
    const text = traceback && (isOpen ? '▾ fold' : `▸ ${traceback.numInner} lines`);
    if (text === (had?.firstElementChild?.textContent ?? null)) {
      return; // the one that is there keeps the keyboard's focus
    }
    had?.remove();
    delete row.dataset.fold;
    if (traceback && text !== null) {
      row.dataset.fold = String(traceback.head);
      row.append(this.#control(traceback, text, isOpen));
    }
  }

  #control({ frame }: PlacedTraceback, text: string, isOpen: boolean): HTMLElement {
    const toggle = element('button', {
      class: 'jx-link jx-log-fold-toggle',
      text,
      attrs: { type: 'button', 'aria-expanded': String(isOpen) },
    });
    const control = element('span', { class: 'jx-log-fold' }, toggle);
    const place = isOpen || frame === null ? null : cellLineOf(frame);
    if (frame !== null && place && this.#runId !== null) {
      const { label, line, from, to } = place;
      control.append(cellLink(frame.slice(from, to), { runId: this.#runId, label, line }));
    }
    return control;
  }
}
