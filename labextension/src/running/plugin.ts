// Trainings, debug sessions and models in JupyterLab's "Running" panel, with buttons that stop them.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRunningSessionManagers, type IRunningSessions } from '@jupyterlab/running';
import type { LabIcon } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import type { ListsFeed } from '../../../widgets/src/lists/lists_feed';
import { isEnded } from '../../../widgets/src/training/labels';
import { CommandIDs } from '../commands/ids';
import { modelIcon, sessionIcon, trainingIcon } from '../icons';
import { titleOf } from '../marks/running';
import type { Item } from '../panel/rows';
import { IEngine } from '../tokens';

export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:running',
  description: 'Lists trainings, debug sessions and loaded models among what is running.',
  autoStart: true,
  requires: [IEngine],
  optional: [IRunningSessionManagers],
  activate: (app: JupyterFrontEnd, engine: IEngine, managers: IRunningSessionManagers | null) => {
    const { trans } = engine;
    const sections: [string, LabIcon, (lists: ListsFeed) => Item[]][] = [
      [trans.__('Trainings'), trainingIcon, runningTrainings],
      [trans.__('Debug Sessions'), sessionIcon, runningSessions],
      [trans.__('Models in Memory'), modelIcon, loadedModels],
    ];
    for (const [name, icon, find] of managers ? sections : []) {
      managers?.add(sectionOf(app, engine, name, icon, find));
    }
  },
};

function sectionOf(
  app: JupyterFrontEnd,
  { trans, lists }: IEngine,
  name: string,
  icon: LabIcon,
  find: (lists: ListsFeed) => Item[]
): Parameters<IRunningSessionManagers['add']>[0] {
  const changed = new Signal<object, void>({});
  let before = '[]';
  lists.follow(
    ['trainings', 'sessions', 'models'],
    () => {
      const now = JSON.stringify(find(lists).map(({ value }) => [value.id, value.name]));
      if (now !== before) {
        before = now;
        changed.emit();
      }
    },
    new AbortController().signal
  );
  return {
    name,
    supportsMultipleViews: false,
    running: () => find(lists).map(item => new RunningItem(app, item, icon)),
    shutdownAll: () => {
      for (const item of find(lists)) {
        stop(app, item);
      }
    },
    refreshRunning: () => lists.hurry(),
    runningChanged: changed as never,
    shutdownLabel: trans.__('Stop'),
    shutdownAllLabel: trans.__('Stop All'),
    shutdownAllConfirmationText: trans.__('Stop all of them?'),
  };
}

class RunningItem implements IRunningSessions.IRunningItem {
  readonly #app: JupyterFrontEnd;
  readonly #item: Item;
  readonly #icon: LabIcon;

  constructor(app: JupyterFrontEnd, item: Item, icon: LabIcon) {
    this.#app = app;
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
    const { kind, value } = this.#item;
    return [kind === 'training' ? titleOf([value]) : this.label(), value.id].join('\n');
  }
}

const STOPS = { training: 'cancel', session: 'terminate', model: 'unload' } as const;

function stop(app: JupyterFrontEnd, { kind, value }: Item): void {
  void app.commands.execute(CommandIDs.act, { kind, id: value.id, action: STOPS[kind] });
}

function runningTrainings({ data }: ListsFeed): Item[] {
  return [...data.trainings.values()]
    .filter(({ status }) => !isEnded(status))
    .map(value => ({ kind: 'training', value }));
}

function runningSessions({ data }: ListsFeed): Item[] {
  return [...data.sessions.values()]
    .filter(({ status }) => status !== 'ended')
    .map(value => ({ kind: 'session', value }));
}

function loadedModels({ data }: ListsFeed): Item[] {
  return [...data.models.values()]
    .filter(({ state }) => state === 'loaded')
    .map(value => ({ kind: 'model', value }));
}
