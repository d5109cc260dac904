// One section of the panel: a head that folds it, rows with a roving focus, or the first step where there
// is nothing.

import type { LabIcon } from '@jupyterlab/ui-components';
import { button, element, setHidden, setText } from '../../../widgets/src/core/dom';
import { RowView } from './row_view';
import type { Row } from './rows';

/** What a section is made of. */
export interface SectionOptions {
  /** Names it in the page and in what is remembered. */
  name: string;
  title: string;
  icon: LabIcon;
  /** What the head's button opens. */
  openTitle: string;
  /** What is said where there is nothing, and what the button there does. */
  empty: { text: string; button: string; insert: () => void };
  menuLabel: string;
  /** Opens the list in a tab. */
  openList: (() => void) | null;
  open(row: Row): void;
  /** Shows what can be done with a row, at a place of the page. */
  showMenu(row: Row, x: number, y: number): void;
  /** The key for the last of the actions. */
  remove(row: Row): void;
  folded: boolean;
  onFold(folded: boolean): void;
  signal: AbortSignal;
}

export class Section {
  readonly node: HTMLElement;
  readonly #options: SectionOptions;
  readonly #count = element('span', { class: 'jx-side-count' });
  readonly #list: HTMLElement;
  readonly #body = element('div', { class: 'jx-side-body' });
  readonly #empty: HTMLElement;
  readonly #none = element('div', { class: 'jx-side-none' });
  readonly #more: HTMLButtonElement;
  readonly #views = new Map<string, RowView>();
  #rows: readonly Row[] = [];
  #focused: string | null = null;

  constructor(options: SectionOptions) {
    const { signal, title, name } = options;
    this.#options = options;
    const bodyId = `jx-side-${name}`;
    this.#body.id = bodyId;
    const fold = button(
      { class: 'jx-side-fold', attrs: { 'aria-controls': bodyId } },
      () => this.#fold(!this.#body.hidden),
      signal
    );
    const icon = element('span', { class: 'jx-side-icon' });
    options.icon.element({ container: icon, width: '14px', height: '14px' });
    fold.append(
      element('span', { class: 'jx-side-caret', attrs: { 'aria-hidden': 'true' } }),
      icon,
      element('span', { class: 'jx-side-title', text: title }),
      this.#count
    );
    const open = options.openList;
    const head = element('h2', { class: 'jx-side-head' }, fold);
    if (open) {
      head.append(
        button(
          {
            class: 'jx-side-open',
            text: '⤢',
            title: options.openTitle,
            attrs: { 'aria-label': options.openTitle },
          },
          open,
          signal
        )
      );
    }
    this.#list = element('ul', { class: 'jx-side-list', attrs: { 'aria-label': title } });
    this.#empty = element(
      'div',
      { class: 'jx-side-empty' },
      element('p', { text: options.empty.text }),
      button({ class: 'jx-button', text: options.empty.button }, options.empty.insert, signal)
    );
    this.#more = button({ class: 'jx-link jx-side-more' }, () => options.openList?.(), signal);
    this.#body.append(this.#list, this.#empty, this.#none, this.#more);
    this.node = element(
      'section',
      { class: 'jx-side-section', attrs: { 'aria-label': title } },
      head,
      this.#body
    );
    this.node.dataset.section = name;
    this.#list.addEventListener('keydown', event => this.#onKey(event), { signal });
    this.#list.addEventListener('click', event => this.#onClick(event), { signal });
    this.#list.addEventListener('contextmenu', event => this.#onMenu(event), { signal });
    this.#list.addEventListener('focusin', event => this.#onFocus(event), { signal });
    this.#foldButton = fold;
    this.#fold(options.folded, false);
  }

  readonly #foldButton: HTMLButtonElement;

  /** Where rows are dragged from. */
  get list(): HTMLElement {
    return this.#list;
  }

  /** Return the row that an element is in. */
  rowAt(target: Element): Row | undefined {
    const id = target.closest<HTMLElement>('.jx-side-row')?.dataset.id;
    return this.#rows.find(row => row.id === id);
  }

  /**
   * @param rows What fits the filter, as far as it is shown.
   * @param total How many there are at all; `null` while that is not known.
   * @param count What the head says, such as `2 running`.
   * @param more How many more fit than are shown.
   * @param curve Returns the path of a row's small curve.
   */
  draw(
    rows: readonly Row[],
    {
      total,
      count,
      none,
      more,
      curve,
    }: { total: number | null; count: string; none: string; more: string; curve(row: Row): string }
  ): void {
    this.#rows = rows;
    setText(this.#count, count);
    if (this.#body.hidden) {
      return;
    }
    const wanted = new Set(rows.map(({ id }) => id));
    for (const [id, view] of this.#views) {
      if (!wanted.has(id)) {
        view.node.remove();
        this.#views.delete(id);
      }
    }
    rows.forEach((row, i) => {
      let view = this.#views.get(row.id);
      if (!view) {
        view = new RowView(row, this.#options.menuLabel);
        this.#views.set(row.id, view);
      }
      if (this.#list.children[i] !== view.node) {
        this.#list.insertBefore(view.node, this.#list.children[i] ?? null);
      }
      view.draw(row, curve(row));
    });
    setHidden(this.#list, rows.length === 0);
    setHidden(this.#empty, total !== 0);
    setText(this.#none, none);
    setHidden(this.#none, rows.length > 0 || total === 0 || none === '');
    setText(this.#more, more);
    setHidden(this.#more, more === '');
    this.#rove();
  }

  #fold(folded: boolean, isTold = true): void {
    setHidden(this.#body, folded);
    this.#foldButton.setAttribute('aria-expanded', String(!folded));
    if (isTold) {
      this.#options.onFold(folded);
    }
  }

  // One row of the list is reached by Tab: the one that was focused last, else the first.
  #rove(): void {
    const current = this.#rows.some(({ id }) => id === this.#focused) ? this.#focused : this.#rows[0]?.id;
    for (const [id, { main }] of this.#views) {
      main.tabIndex = id === current ? 0 : -1;
    }
  }

  #onFocus(event: FocusEvent): void {
    const row = this.rowAt(event.target as Element);
    if (row) {
      this.#focused = row.id;
      this.#rove();
    }
  }

  #onClick(event: MouseEvent): void {
    const target = event.target as Element;
    const row = this.rowAt(target);
    if (!row) {
      return;
    }
    if (target.closest('.jx-side-menu')) {
      const box = target.getBoundingClientRect();
      this.#options.showMenu(row, box.left, box.bottom);
    } else {
      this.#options.open(row);
    }
  }

  #onMenu(event: MouseEvent): void {
    const row = this.rowAt(event.target as Element);
    if (!row) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const isByKey = event.clientX === 0 && event.clientY === 0;
    const box = (event.target as Element).getBoundingClientRect();
    this.#options.showMenu(
      row,
      isByKey ? box.left + 24 : event.clientX,
      isByKey ? box.bottom : event.clientY
    );
  }

  #onKey(event: KeyboardEvent): void {
    const row = this.rowAt(event.target as Element);
    const at = row ? this.#rows.indexOf(row) : -1;
    if (!row || at < 0) {
      return;
    }
    const steps: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: this.#rows.length - 1,
    };
    const { main, menu } = this.#views.get(row.id) ?? {};
    if (event.key in steps) {
      const next = this.#rows[Math.min(this.#rows.length - 1, Math.max(0, steps[event.key]))];
      this.#views.get(next.id)?.main.focus();
    } else if (event.key === 'ArrowRight') {
      menu?.focus();
    } else if (event.key === 'ArrowLeft') {
      main?.focus();
    } else if (event.key === 'Delete') {
      this.#options.remove(row);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
