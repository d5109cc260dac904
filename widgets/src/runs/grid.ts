// The rows of the table of runs. Values that change are written into the row that is there, so that focus and
// clicks find it; a row is made anew only when its controls change, and never while it is edited.

import { button, element, setText } from '../core/dom';
import { shortId } from '../core/format';
import { isEnded } from '../training/labels';
import type { Training } from '../wire';
import type { Column } from './columns';

/** What the grid tells. */
export interface GridEvents {
  sort(column: string): void;
  open(training: Training): void;
  selected(): void;
  label(training: Training, labels: { tags?: string[]; notes?: string }): void;
}

const EDITED = '.jx-runs-edit';

/** A row as it stands: what its controls were made of, and the cells of its columns. */
interface Drawn {
  row: HTMLTableRowElement;
  made: string;
  cells: HTMLElement[];
}

export class Grid {
  readonly node: HTMLElement;
  readonly selection = new Set<string>();
  readonly #head = element('thead');
  readonly #body = element('tbody');
  readonly #events: GridEvents;
  readonly #signal: AbortSignal;
  readonly #rows = new Map<string, Drawn>();
  // What is replaced between press and release is not clicked: meanwhile drawing waits.
  #isPressed = false;
  #waiting: (() => void) | null = null;
  #headShown = '';
  #openedId: string | null = null;

  constructor(events: GridEvents, signal: AbortSignal) {
    this.#events = events;
    this.#signal = signal;
    const table = element(
      'table',
      { class: 'jx-table', attrs: { 'aria-label': 'Trainings' } },
      this.#head,
      this.#body
    );
    this.node = element('div', { class: 'jx-runs-scroll' }, table);
    this.node.addEventListener(
      'pointerdown',
      () => {
        this.#isPressed = true;
      },
      { signal }
    );
    for (const end of ['pointerup', 'pointercancel']) {
      window.addEventListener(end, () => this.#release(), { signal, capture: true });
    }
  }

  draw(
    trainings: readonly Training[],
    columns: readonly Column[],
    sort: string,
    now_ms: number,
    canEdit: boolean,
    openedId: string | null
  ): void {
    if (this.#isPressed) {
      this.#waiting = () => this.draw(trainings, columns, sort, now_ms, canEdit, openedId);
      return;
    }
    this.#openedId = openedId;
    this.#drawHead(columns, sort);
    const rows = trainings.map(training => this.#row(training, columns, now_ms, canEdit));
    const shown = new Set(trainings.map(training => training.id));
    for (const id of this.#rows.keys()) {
      if (!shown.has(id)) {
        this.#rows.delete(id);
      }
    }
    place(this.#body, rows);
  }

  #release(): void {
    const draw = this.#waiting;
    this.#isPressed = false;
    this.#waiting = null;
    if (draw) {
      setTimeout(draw); // after the click, which comes next
    }
  }

  #drawHead(columns: readonly Column[], sort: string): void {
    const all = [
      { sort: 'status', title: 'status', numeric: false },
      { sort: 'name', title: 'name', numeric: false },
      { sort: 'id', title: 'id', numeric: false },
      ...columns,
    ];
    const shown = JSON.stringify([sort, all.map(column => column.sort)]);
    if (shown === this.#headShown) {
      return;
    }
    this.#headShown = shown;
    const cells = all.map(({ sort: column, title, numeric }) => {
      const direction = sort === column ? 'ascending' : sort === `-${column}` ? 'descending' : 'none';
      const arrow = direction === 'ascending' ? ' ▲' : direction === 'descending' ? ' ▼' : '';
      const sorter = button(
        { class: 'jx-bare', text: title + arrow, title: `Sort by ${title}` },
        () => this.#events.sort(column),
        this.#signal
      );
      return element(
        'th',
        {
          class: numeric ? 'jx-num' : '',
          attrs: { scope: 'col', 'aria-sort': direction, 'data-sort': column },
        },
        sorter
      );
    });
    const plain = ['tags', 'notes'].map(text => element('th', { text, attrs: { scope: 'col' } }));
    this.#head.replaceChildren(
      element('tr', {}, element('th', { attrs: { 'aria-label': 'Selected' } }), ...cells, ...plain)
    );
  }

  #row(
    training: Training,
    columns: readonly Column[],
    now_ms: number,
    canEdit: boolean
  ): HTMLTableRowElement {
    const had = this.#rows.get(training.id);
    const texts = columns.map(column => column.text(training, now_ms));
    const chosen = this.selection.has(training.id);
    const { status, stop, name, tags, notes } = training;
    const made = JSON.stringify([
      columns.map(column => column.sort),
      status,
      stop,
      name,
      tags,
      notes,
      chosen,
      canEdit,
      training.id === this.#openedId,
    ]);
    if (had?.row.querySelector(EDITED)) {
      return had.row;
    }
    if (had?.made === made) {
      writeAll(had.cells, texts);
      return had.row;
    }
    const cells = columns.map(column => element('td', { class: column.numeric ? 'jx-num' : '' }));
    writeAll(cells, texts);
    const row = this.#make(training, cells, chosen, canEdit);
    had?.row.replaceWith(row);
    this.#rows.set(training.id, { row, made, cells });
    return row;
  }

  #make(training: Training, cells: HTMLElement[], chosen: boolean, canEdit: boolean): HTMLTableRowElement {
    const box = element('input', {
      attrs: { type: 'checkbox', 'aria-label': `Select ${training.name} ${training.id}` },
    });
    box.checked = chosen;
    box.addEventListener('change', () => {
      this.selection[box.checked ? 'add' : 'delete'](training.id);
      this.#events.selected();
    });
    const status = training.stop && !isEnded(training.status) ? 'stopping' : training.status;
    const chip = element(
      'span',
      { class: 'jx-chip', attrs: { 'data-status': status } },
      element('span', { class: 'jx-dot' }),
      status
    );
    const name = button(
      {
        class: 'jx-bare jx-open',
        text: training.name,
        title: 'Show this training',
        attrs: { 'aria-expanded': String(training.id === this.#openedId) },
      },
      () => this.#events.open(training),
      this.#signal
    );
    const tags = this.#editable('tags', (training.tags ?? []).join(', '), training, canEdit);
    const notes = this.#editable('notes', training.notes ?? '', training, canEdit);
    return element(
      'tr',
      { attrs: { 'data-id': training.id, 'aria-selected': String(chosen) } },
      element('td', {}, box),
      element('td', {}, chip),
      element('td', {}, name),
      element('td', { class: 'jx-runid', text: shortId(training.id), title: training.id }),
      ...cells,
      tags,
      notes
    );
  }

  // A text that becomes a box when it is clicked: Enter or leaving keeps it, Escape does not.
  #editable(what: 'tags' | 'notes', text: string, training: Training, canEdit: boolean): HTMLElement {
    const cell = element('td');
    const begin = () => {
      const input = element('input', {
        class: 'jx-runs-edit',
        attrs: { 'aria-label': `${what} of ${training.name}`, value: text },
      });
      let over = false;
      const end = (keep: boolean) => {
        if (!over) {
          over = true;
          cell.replaceChildren(show);
          if (keep && input.value !== text) {
            const value = input.value.trim();
            this.#events.label(
              training,
              what === 'tags'
                ? {
                    tags: value
                      .split(',')
                      .map(tag => tag.trim())
                      .filter(Boolean),
                  }
                : { notes: value }
            );
          }
        }
      };
      input.addEventListener('blur', () => end(true));
      input.addEventListener('keydown', event => {
        event.stopPropagation(); // the notebook has shortcuts of its own
        if (event.key === 'Enter' || event.key === 'Escape') {
          end(event.key === 'Enter');
        }
      });
      cell.replaceChildren(input);
      input.focus();
    };
    const options = {
      class: text ? 'jx-bare jx-label' : 'jx-bare jx-label jx-label-none',
      text: text || '+',
      title: text || `Add ${what}`,
      attrs: { 'aria-label': `Edit ${what} of ${training.name}` },
    };
    const show = button(options, begin, this.#signal);
    show.disabled = !canEdit;
    cell.append(show);
    return cell;
  }
}

// Puts rows in order without moving one that is edited or has the focus: moved, it would lose both.
function place(body: HTMLElement, rows: readonly HTMLTableRowElement[]): void {
  const wanted = new Set<Element>(rows);
  for (const row of [...body.children]) {
    if (!wanted.has(row)) {
      row.remove();
    }
  }
  let next: HTMLTableRowElement | null = null;
  for (const row of [...rows].reverse()) {
    const isHeld = row.querySelector(EDITED) !== null || row.contains(document.activeElement);
    const isThere = row.parentElement === body && (isHeld || row.nextElementSibling === next);
    if (!isThere) {
      body.insertBefore(row, next);
    }
    next = row;
  }
}

function writeAll(cells: HTMLElement[], texts: string[]): void {
  for (const [i, cell] of cells.entries()) {
    setText(cell, texts[i]);
    if (cell.title !== texts[i]) {
      cell.title = texts[i];
    }
  }
}
