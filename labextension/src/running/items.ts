// What JupyterLab's "Running" panel shows of a training, a debug session or a model. Loaded with the first that runs.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IRunningSessions } from '@jupyterlab/running';
import type { LabIcon } from '@jupyterlab/ui-components';
import { actionsOf } from '../commands/actions';
import { CommandIDs } from '../commands/ids';
import { type Item, rowOf } from '../panel/rows';
import type { IEngine } from '../tokens';

export class RunningItem implements IRunningSessions.IRunningItem {
  readonly #app: JupyterFrontEnd;
  readonly #engine: IEngine;
  readonly #item: Item;
  readonly #icon: LabIcon;

  constructor(app: JupyterFrontEnd, engine: IEngine, item: Item, icon: LabIcon) {
    this.#app = app;
    this.#engine = engine;
    this.#item = item;
    this.#icon = icon;
  }

  open(): void {
    const { kind, value } = this.#item;
    void this.#app.commands.execute(CommandIDs.open, { kind, id: value.id, name: value.name });
  }

  shutdown(): void {
    stop(this.#app, this.#item);
  }

  icon(): LabIcon {
    return this.#icon;
  }

  label(): string {
    return this.#item.value.name || this.#item.value.id;
  }

  labelTitle(): string {
    const { facts } = rowOf(this.#item, '', Date.now(), this.#engine.trans);
    return [this.label(), facts.join(' · '), this.#item.value.id].join('\n');
  }
}

/** Stop it, if it can be. */
export function stop(app: JupyterFrontEnd, item: Item): void {
  const { kind, value } = item;
  const stopping = { training: 'cancel', session: 'terminate', model: 'unload' } as const;
  if (actionsOf(item).includes(stopping[kind])) {
    void app.commands.execute(CommandIDs.act, { kind, id: value.id, action: stopping[kind] });
  }
}
