// The latest value of each metric, where there are no curves to show.

import { element, setHidden } from '../core/dom';
import { formatCount, formatValue } from '../core/format';
import { SYSTEM_PREFIX } from '../series/series_store';
import { type LastPoint, toNumber } from '../wire';

export class LastValues {
  readonly node = element('div', {
    class: 'jx-last',
    attrs: { role: 'group', 'aria-label': 'Latest values' },
  });
  #drawn = '';

  draw(last: Readonly<Record<string, LastPoint>>): void {
    const shown = Object.entries(last).filter(([key]) => !key.startsWith(SYSTEM_PREFIX));
    setHidden(this.node, shown.length === 0);
    const key = JSON.stringify(shown);
    if (key === this.#drawn) {
      return;
    }
    this.#drawn = key;
    this.node.replaceChildren(
      ...shown.map(([name, point]) =>
        element(
          'div',
          { title: `step ${formatCount(point.step)}` },
          element('span', { text: name }),
          element('span', { text: formatValue(toNumber(point.value)) })
        )
      )
    );
  }
}
