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
    running: () => find(lists).map(item => rowOf(app, item, icon)),
    shutdownAll: () => {
      find(lists).forEach(item => void stop(app, item));
    },
    refreshRunning: () => lists.hurry(),
    runningChanged: changed as never,
    shutdownLabel: trans.__('Stop'),
    shutdownAllLabel: trans.__('Stop All'),
    shutdownAllConfirmationText: trans.__('Stop all of them?'),
  };
}

function rowOf(app: JupyterFrontEnd, item: Item, icon: LabIcon): IRunningSessions.IRunningItem {
  const { kind, value } = item;
  const { id, name } = value;
  const label = name || id;
  return {
    open: () => void app.commands.execute(CommandIDs.open, { kind, id, name }),
    shutdown: () => stop(app, item),
    icon: () => icon,
    label: () => label,
    labelTitle: () => `${kind === 'training' ? titleOf([value]) : label}\n${id}`,
  };
}

const STOPS = { training: 'cancel', session: 'terminate', model: 'unload' } as const;

function stop(app: JupyterFrontEnd, { kind, value }: Item): void {
  void app.commands.execute(CommandIDs.act, { kind, id: value.id, action: STOPS[kind] });
}

export function runningTrainings({ data }: ListsFeed): Item[] {
  return [...data.trainings.values()]
    .filter(({ status }) => !isEnded(status))
    .map(value => ({ kind: 'training', value }));
}

export function runningSessions({ data }: ListsFeed): Item[] {
  return [...data.sessions.values()]
    .filter(({ status }) => status !== 'ended')
    .map(value => ({ kind: 'session', value }));
}

export function loadedModels({ data }: ListsFeed): Item[] {
  return [...data.models.values()]
    .filter(({ state }) => state === 'loaded')
    .map(value => ({ kind: 'model', value }));
}
