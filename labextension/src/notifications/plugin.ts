// Tells what ended, failed, arrived or raised an alert while this page was open and did not show it. What
// tells it is loaded when there is something of which an end could be told.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IEngine } from '../tokens';
import { isAwaiting } from './awaiting';

export const notificationsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:notifications',
  description: 'Notifies of trainings that ended and models that were downloaded.',
  autoStart: true,
  requires: [IEngine],
  optional: [INotebookTracker],
  activate: (app: JupyterFrontEnd, engine: IEngine, notebooks: INotebookTracker | null) => {
    const { lists } = engine;
    const loaded = new AbortController();
    const load = async () => {
      const { trainings, models } = lists.data;
      if (!loaded.signal.aborted && isAwaiting(lists.data)) {
        loaded.abort();
        const before = { trainings: new Map(trainings), models: new Map(models) };
        const { Notifier } = await import('./notifier');
        new Notifier(app, engine, notebooks, before);
      }
    };
    lists.follow(['trainings', 'models'], () => void load(), loaded.signal);
  },
};
