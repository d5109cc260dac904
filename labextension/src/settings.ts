// What a person has set, by its name in schema/settings.json.

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

/** The settings' values. */
export interface Values {
  /** What this page tells when its panel is out of sight. */
  notifications: 'all' | 'failures' | 'none';
  /** Whether the browser tab's title tells an end that happened while it was hidden. */
  title: boolean;
  /** The metric of the small curves; empty to choose one. */
  metric: string;
  /** How often the side panel is redrawn at most, seconds. */
  refresh_s: number;
}

const DEFAULTS: Values = { notifications: 'all', title: true, metric: '', refresh_s: 0.5 };

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
