// One row of a section: made once, then changed in place, so that focus, hover and drags outlive news.

import { element, setHidden, setText, svg } from '../../../widgets/src/core/dom';
import type { Row } from './rows';

export const CURVE_WIDTH = 48;
export const CURVE_HEIGHT = 18;

export class RowView {
  readonly node: HTMLElement;
  /** What is focused, and opens what the row stands for. */
  readonly main: HTMLButtonElement;
  readonly menu: HTMLButtonElement;
  readonly #dot = element('span', { class: 'jx-side-dot', attrs: { 'aria-hidden': 'true' } });
  readonly #name = element('span', { class: 'jx-side-name' });
  readonly #value = element('span', { class: 'jx-side-value' });
  readonly #facts = element('span', { class: 'jx-side-facts' });
  readonly #path = svg('path', {});
  readonly #curve: SVGSVGElement;
  readonly #bar = element('span', { class: 'jx-side-bar', attrs: { 'aria-hidden': 'true' } });
  readonly #fill = element('span');

  constructor(row: Row, menuLabel: string) {
    this.#curve = svg(
      'svg',
      { class: 'jx-side-curve', viewBox: `0 0 ${CURVE_WIDTH} ${CURVE_HEIGHT}`, 'aria-hidden': 'true' },
      this.#path
    );
    this.#bar.append(this.#fill);
    this.main = element(
      'button',
      { class: 'jx-side-main', attrs: { type: 'button', tabindex: '-1' } },
      element('span', { class: 'jx-side-line' }, this.#dot, this.#name, this.#value),
      element('span', { class: 'jx-side-line jx-side-second' }, this.#facts, this.#curve)
    );
    this.menu = element('button', {
      class: 'jx-side-menu',
      text: '⋯',
      attrs: { type: 'button', tabindex: '-1', 'aria-haspopup': 'menu' },
    });
    this.node = element('li', { class: 'jx-side-row' }, this.main, this.menu, this.#bar);
    this.node.dataset.kind = row.kind;
    this.node.dataset.id = row.id;
    this.#menuLabel = menuLabel;
  }

  readonly #menuLabel: string;

  /** @param path Of the small curve; empty for none. */
  draw(row: Row, path: string): void {
    const { dataset } = this.node;
    dataset.status = row.status;
    dataset.metric = row.metric ?? '';
    setText(this.#name, row.name);
    setText(this.#value, row.value);
    const facts = row.facts.join(' · ');
    setText(this.#facts, facts);
    const title = [row.name, row.statusText, row.metric && row.value && `${row.metric} ${row.value}`, row.id];
    this.main.title = title.filter(Boolean).join('\n');
    this.menu.setAttribute('aria-label', this.#menuLabel.replace('%1', row.name));
    this.main.setAttribute(
      'aria-label',
      [row.name, row.statusText, facts, row.metric, row.value].filter(Boolean).join(', ')
    );
    if (this.#path.getAttribute('d') !== path) {
      this.#path.setAttribute('d', path);
    }
    this.#curve.toggleAttribute('hidden', path === '');
    setHidden(this.#bar, row.fraction === null);
    this.#bar.classList.toggle('jx-side-bar-unknown', row.fraction === 'unknown');
    this.#fill.style.width = typeof row.fraction === 'number' ? `${(100 * row.fraction).toFixed(1)}%` : '';
  }
}
