// What the training was given and what came out, folded away.

import { element, setHidden } from '../core/dom';
import { formatBytes, formatCount } from '../core/format';
import type { Training } from '../wire';
import { checkpointText } from './labels';

const MAX_VALUE_CHARS = 400;
/** Enough of a sha256 to tell versions apart. */
const VERSION_CHARS = 16;

export class DetailsView {
  readonly node = element('details', { class: 'jx-details' }, element('summary', { text: 'Details' }));
  readonly #list = element('dl', { class: 'jx-facts' });
  #drawn = '';

  constructor() {
    this.node.append(this.#list);
  }

  draw(training: Training, now_ms: number): void {
    const {
      input,
      captured,
      output,
      version,
      model,
      created_at,
      started_at,
      completed_at,
      id,
      resumed_from,
    } = training;
    const checkpoint = training.checkpoint ? checkpointText(training.checkpoint, now_ms) : '';
    const key = JSON.stringify([
      input,
      captured,
      output,
      version,
      model,
      created_at,
      started_at,
      completed_at,
      id,
      checkpoint,
      resumed_from,
    ]);
    if (key === this.#drawn) {
      return;
    }
    this.#drawn = key;
    this.#list.replaceChildren();
    this.#group(
      'Inputs',
      Object.entries(input ?? {}).map(([name, value]) => [name, written(value)])
    );
    this.#group(
      'From the notebook',
      (captured ?? []).map(item => [item.name, `${item.type}, ${formatBytes(item.bytes)}`])
    );
    if (output !== null && output !== undefined) {
      this.#group('Output', [['', written(output)]]);
    }
    const times: [string, string | null][] = [
      ['Created', created_at],
      ['Started', started_at],
      ['Ended', completed_at],
    ];
    this.#group('Run', [
      ['Training', id],
      ['Model', model ?? ''],
      ['Version', (version ?? '').slice(0, VERSION_CHARS)],
      ['Resumed from', resumed_from ? `${resumed_from.id}, step ${formatCount(resumed_from.step)}` : ''],
      ['Checkpoint', checkpoint],
      ...times
        .filter(([, at]) => at)
        .map(([name, at]): [string, string] => [name, new Date(at ?? '').toLocaleString()]),
    ]);
    setHidden(this.node, this.#list.childElementCount === 0);
  }

  #group(title: string, facts: [string, string][]): void {
    const known = facts.filter(([, value]) => value !== '');
    if (known.length === 0) {
      return;
    }
    const group = element(
      'div',
      { class: 'jx-fact-group' },
      element('div', { class: 'jx-fact-title', text: title })
    );
    for (const [name, value] of known) {
      group.append(
        element('div', { class: 'jx-fact' }, element('dt', { text: name }), element('dd', { text: value }))
      );
    }
    this.#list.append(group);
  }
}

function written(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS)} …` : text;
}
