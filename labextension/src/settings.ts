// What a person has set.

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';
import { DEFAULTS, type Values } from './setting_values';

export class Settings {
  readonly changed = new Signal<this, void>(this);
  #values: Values = DEFAULTS;
  #settings: ISettingRegistry.ISettings | null = null;

  get values(): Values {
    return this.#values;
  }

  /** Follow what the registry has for `plugin`; defaults are true until then. */
  async follow(registry: ISettingRegistry, plugin: string): Promise<void> {
    const settings = await registry.load(plugin);
    const read = () => {
      this.#values = { ...DEFAULTS, ...(settings.composite as Partial<Values>) };
      this.changed.emit();
    };
    this.#settings = settings;
    settings.changed.connect(read);
    read();
  }

  async set<K extends keyof Values>(name: K, value: Values[K]): Promise<void> {
    this.#values = { ...this.#values, [name]: value };
    this.changed.emit();
    await this.#settings?.set(name, value);
  }
}
