// What the machine has for models: free disk, and memory as a bar of our models, of everything else, and of what is left.

import { element, setHidden, setText } from '../dom';
import { formatBytes } from '../format';
import type { LocalModel } from '../wire';
import type { Machine } from './models_feed';

export class MachineView {
  readonly node: HTMLElement;
  readonly #disk = element('span');
  readonly #memory = element('span');
  readonly #models = element('span', { class: 'jx-meter-models' });
  readonly #others = element('span', { class: 'jx-meter-others' });
  readonly #meter = element('span', { class: 'jx-meter', attrs: { role: 'meter', 'aria-label': 'Memory in use', 'aria-valuemin': '0' } }, this.#models, this.#others);

  constructor() {
    this.node = element('div', { class: 'jx-machine' }, element('span', { class: 'jx-machine-item' }, element('span', { text: 'Memory' }), this.#meter, this.#memory), element('span', { class: 'jx-machine-item' }, element('span', { text: 'Disk' }), this.#disk));
  }

  draw(machine: Machine | null, models: readonly LocalModel[]): void {
    setHidden(this.node, machine === null || machine.memory_total_bytes === 0);
    if (machine === null) {
      return;
    }
    const { memory_total_bytes: total, memory_available_bytes: available } = machine;
    const used = Math.max(0, total - available);
    const ours = Math.min(used, models.reduce((sum, model) => sum + (model.host?.memory_bytes ?? 0), 0));
    const percent = (bytes: number) => `${((100 * bytes) / Math.max(1, total)).toFixed(1)}%`;
    this.#models.style.width = percent(ours);
    this.#others.style.width = percent(used - ours);
    this.#meter.setAttribute('aria-valuemax', String(total));
    this.#meter.setAttribute('aria-valuenow', String(used));
    this.#meter.title = `loaded models ${formatBytes(ours)}, everything else ${formatBytes(used - ours)}, available ${formatBytes(available)}`;
    setText(this.#memory, `${formatBytes(available)} of ${formatBytes(total)} available${ours > 0 ? `, ${formatBytes(ours)} in loaded models` : ''}`);
    setText(this.#disk, `${formatBytes(machine.disk_free_bytes)} free`);
  }
}
