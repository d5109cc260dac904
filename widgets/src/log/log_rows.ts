// Rows of the log: text with its colours, links to cells, which stream wrote them and when, and tracebacks folded.

import { cellLineOf, cellLink } from '../core/cell_link';
import { element } from '../core/dom';
import { renderAnsi } from './ansi';
import { tracebacksOf } from './tracebacks';

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

/** Folds tracebacks; those that somebody has opened stay open, by the byte at which they begin. */
export class Folds {
  readonly #open = new Set<number>();
  readonly #runId: string | null;

  constructor(runId: string | null) {
    this.#runId = runId;
  }

  /** Fold the tracebacks among some rows, one after the other in the page. */
  fold(rows: HTMLCollection, lines: readonly { text: string; offset: number }[]): void {
    const hidden = new Set<Element>();
    for (const { head, last } of tracebacksOf(lines.map(({ text }) => text))) {
      const row = rows[head] as HTMLElement | undefined;
      if (!row || !rows[last]) {
        continue;
      }
      const inner = lines.slice(head + 1, last).map(({ text }) => text);
      row.dataset.fold = String(lines[head].offset);
      row.querySelector('.jx-log-fold')?.remove();
      row.append(this.#control(lines[head].offset, inner));
      if (!this.#open.has(lines[head].offset)) {
        for (let i = head + 1; i < last; i++) {
          hidden.add(rows[i]);
        }
      }
    }
    for (const row of rows) {
      if (row.classList.contains('jx-log-folded') !== hidden.has(row)) {
        row.classList.toggle('jx-log-folded', hidden.has(row));
      }
    }
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
  open(row: Element): boolean {
    if (!row.classList.contains('jx-log-folded')) {
      return false;
    }
    let head: Element | null = row;
    while (head && !(head as HTMLElement).dataset.fold) {
      head = head.previousElementSibling;
    }
    this.#open.add(Number((head as HTMLElement | null)?.dataset.fold));
    return true;
  }

  #control(offset: number, inner: readonly string[]): HTMLElement {
    const isOpen = this.#open.has(offset);
    const toggle = element('button', {
      class: 'jx-link jx-log-fold-toggle',
      text: isOpen ? '▾ fold' : `▸ ${inner.length} lines`,
      attrs: { type: 'button', 'aria-expanded': String(isOpen) },
    });
    const control = element('span', { class: 'jx-log-fold' }, toggle);
    const frame = isOpen ? undefined : inner.findLast(text => cellLineOf(text));
    const place = frame === undefined ? null : cellLineOf(frame);
    if (frame !== undefined && place && this.#runId !== null) {
      const { label, line, from, to } = place;
      control.append(cellLink(frame.slice(from, to), { runId: this.#runId, label, line }));
    }
    return control;
  }
}
