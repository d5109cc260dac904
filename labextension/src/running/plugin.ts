// Trainings, debug sessions and models in JupyterLab's "Running" panel, with buttons that stop them.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRunningSessionManagers } from '@jupyterlab/running';
import type { LabIcon } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import type { ListsFeed } from '../../../widgets/src/lists/lists_feed';
import { isEnded } from '../../../widgets/src/training/labels';
import { modelIcon, sessionIcon, trainingIcon } from '../icons';
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
  engine: IEngine,
  name: string,
  icon: LabIcon,
  find: (lists: ListsFeed) => Item[]
): Parameters<IRunningSessionManagers['add']>[0] {
  const { trans, lists } = engine;
  const changed = new Signal<object, void>({});
  let before = '[]';
  let items: typeof import('./items') | null = null;
  const look = async () => {
    const now = JSON.stringify(find(lists).map(({ value }) => [value.id, value.name]));
    if (now !== before) {
      before = now;
      items ??= await import('./items');
      changed.emit();
    }
  };
  lists.follow(['trainings', 'sessions', 'models'], () => void look(), new AbortController().signal);
  return {
    name,
    supportsMultipleViews: false,
    running: () =>
      find(lists).flatMap(item => (items ? [new items.RunningItem(app, engine, item, icon)] : [])),
    shutdownAll: () => {
      for (const item of find(lists)) {
        items?.stop(app, item);
      }
    },
    refreshRunning: () => lists.hurry(),
    runningChanged: changed as never,
    shutdownLabel: trans.__('Stop'),
    shutdownAllLabel: trans.__('Stop All'),
    shutdownAllConfirmationText: trans.__('Stop all of them?'),
  };
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
