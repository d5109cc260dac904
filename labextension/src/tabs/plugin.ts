// Tabs of the main area: opened by command, by the page's URL, and again after a reload.

import {
  ILayoutRestorer,
  IRouter,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { CommandIDs } from '../commands/ids';
import { IEngine } from '../tokens';
import { addTab } from './place';
import type { Tab } from './tab';
import { keyOf, parseTarget, type Target, targetOf, URL_PARAMETER } from './target';

export const tabsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:tabs',
  description: 'Opens trainings, debug sessions and models in tabs of the main area.',
  autoStart: true,
  requires: [IEngine],
  optional: [ILayoutRestorer, IRouter],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    restorer: ILayoutRestorer | null,
    router: IRouter | null
  ) => {
    const tracker = new WidgetTracker<MainAreaWidget<Tab>>({ namespace: 'jupyter-ext' });
    app.commands.addCommand(CommandIDs.open, {
      label: engine.trans.__('Open in a Tab'),
      describedBy: {
        args: {
          type: 'object',
          required: ['kind'],
          properties: {
            kind: {
              type: 'string',
              enum: ['training', 'compare', 'trainings', 'session', 'model', 'models'],
            },
            id: {
              type: 'string',
              description: 'Of what; several ids of trainings with commas between them.',
            },
            name: { type: 'string', description: 'What to call the tab.' },
            ref: { type: 'string', description: 'Id of the tab that it goes beside.' },
            mode: { type: 'string', description: 'Where beside it, such as split-right.' },
          },
        },
      },
      execute: async args => {
        const target = targetOf(args);
        if (target) {
          await open(app, engine, tracker, target, args);
        }
      },
    });
    if (restorer) {
      void restorer.restore(tracker, {
        command: CommandIDs.open,
        args: ({ content }) => ({ ...content.target }),
        name: ({ content }) => keyOf(content.target),
      });
    }
    void app.restored.then(() => openFromUrl(app));
    // JupyterLab's `?reset` goes to the address as it was before
    router?.routed.connect(() => void app.restored.then(() => openFromUrl(app)));
  },
};

async function open(
  app: JupyterFrontEnd,
  engine: IEngine,
  tracker: WidgetTracker<MainAreaWidget<Tab>>,
  target: Target,
  place: Readonly<Record<string, unknown>>
): Promise<void> {
  const { Tab } = await import('./tab'); // first: two clicks in a row find the tab of the first
  const key = keyOf(target);
  const shown = tracker.find(({ content }) => keyOf(content.target) === key);
  if (shown) {
    app.shell.activateById(shown.id);
    return;
  }
  const widget = new MainAreaWidget({ content: new Tab(target, engine) });
  widget.id = `jupyter-ext-${key.replace(/[^A-Za-z0-9_-]/g, '_')}`;
  engine.tabs.add(target);
  widget.disposed.connect(() => engine.tabs.delete(target));
  addTab(app, widget, place);
  await tracker.add(widget);
}

// `…/lab?jupyter-ext=training:<id>`: the parameter goes, so that a reload does not open a closed tab again.
async function openFromUrl(app: JupyterFrontEnd): Promise<void> {
  const url = new URL(window.location.href);
  const texts = url.searchParams.getAll(URL_PARAMETER);
  if (texts.length === 0) {
    return;
  }
  url.searchParams.delete(URL_PARAMETER);
  window.history.replaceState(window.history.state, '', url);
  for (const text of texts) {
    const target = parseTarget(text);
    if (target) {
      await app.commands.execute(CommandIDs.open, { ...target });
    }
  }
}
