// What the machine has for models: memory and disk, each as a bar of models, of everything else, and of what
// is left.

import { element, setHidden, setText } from '../core/dom';
import { formatBytes } from '../core/format';
import type { Machine } from '../lists/lists_data';
import type { LocalModel } from '../wire';
import { keptBytes } from './labels';

export class ResourceBars {
  readonly node: HTMLElement;
  readonly #memory = new Meter('Memory');
  readonly #disk = new Meter('Disk');

  constructor() {
    this.node = element('div', { class: 'jx-machine' }, this.#memory.node, this.#disk.node);
  }

  draw(machine: Machine | null, models: readonly LocalModel[]): void {
    setHidden(this.node, machine === null || machine.memory_total_bytes === 0);
    if (machine === null) {
      return;
    }
    const inMemory = models.reduce((sum, { host }) => sum + (host?.memory_bytes ?? 0), 0);
    const onDisk = models.reduce((sum, model) => sum + (model.source === 'file' ? 0 : diskBytes(model)), 0);
    this.#memory.draw(
      machine.memory_total_bytes,
      machine.memory_available_bytes,
      inMemory,
      'available',
      'in loaded models'
    );
    this.#disk.draw(machine.disk_total_bytes, machine.disk_free_bytes, onDisk, 'free', 'in models');
  }
}

class Meter {
  readonly node: HTMLElement;
  readonly #ours = element('span', { class: 'jx-meter-models' });
  readonly #others = element('span', { class: 'jx-meter-others' });
  readonly #bar: HTMLElement;
  readonly #text = element('span');

  constructor(name: string) {
    this.#bar = element(
      'span',
      { class: 'jx-meter', attrs: { role: 'meter', 'aria-label': `${name} in use`, 'aria-valuemin': '0' } },
      this.#ours,
      this.#others
    );
    this.node = element(
      'span',
      { class: 'jx-machine-item' },
      element('span', { text: name }),
      this.#bar,
      this.#text
    );
  }

  draw(total: number, left: number, models: number, leftIs: string, modelsAre: string): void {
    const used = Math.max(0, total - left);
    const ours = Math.min(used, models);
    const percent = (bytes: number) => `${((100 * bytes) / Math.max(1, total)).toFixed(1)}%`;
    this.#ours.style.width = percent(ours);
    this.#others.style.width = percent(used - ours);
    setHidden(this.#bar, total === 0);
    this.#bar.setAttribute('aria-valuemax', String(total));
    this.#bar.setAttribute('aria-valuenow', String(used));
    this.#bar.title = `${formatBytes(ours)} ${modelsAre}, ${formatBytes(used - ours)} of everything else, ${formatBytes(left)} ${leftIs}`;
    setText(
      this.#text,
      `${formatBytes(left)}${total > 0 ? ` of ${formatBytes(total)}` : ''} ${leftIs}${ours > 0 ? `, ${formatBytes(ours)} ${modelsAre}` : ''}`
    );
  }
}

function diskBytes(model: LocalModel): number {
  return model.state === 'absent'
    ? 0
    : model.state === 'partial' || model.state === 'downloading'
      ? keptBytes(model)
      : (model.bytes ?? 0);
}
