// New notebooks from templates, in the launcher and the palette. The server has them; Jupyter's contents
// API keeps the copy, in the folder that the file browser shows.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { messageOf } from '../../../widgets/src/core/errors';
import { CommandIDs } from '../commands/ids';
import { modelIcon, productIcon, sessionIcon, trainingIcon } from '../icons';
import { IEngine } from '../tokens';

export const templatesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:templates',
  description: 'New notebooks for a first training, fine-tuning, debugging and local models.',
  autoStart: true,
  requires: [IEngine],
  optional: [ILauncher, ICommandPalette, IDefaultFileBrowser],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    browser: IDefaultFileBrowser | null
  ) => {
    const { trans } = engine;
    const templates = [
      {
        name: 'quickstart',
        label: trans.__('First Training'),
        caption: trans.__('A notebook that trains a small network in the background'),
        icon: productIcon,
      },
      {
        name: 'fine-tune',
        label: trans.__('Fine-Tune'),
        caption: trans.__('A notebook that trains a base model and fine-tunes its weights'),
        icon: trainingIcon,
      },
      {
        name: 'debug-a-nan',
        label: trans.__('Debug a NaN'),
        caption: trans.__('A notebook that finds and mends a NaN in a living model'),
        icon: sessionIcon,
      },
      {
        name: 'local-model',
        label: trans.__('Local Model'),
        caption: trans.__('A notebook that downloads, loads and calls a model'),
        icon: modelIcon,
      },
    ];
    const known = (args: Readonly<Record<string, unknown>>) =>
      templates.find(({ name }) => name === args.template) ?? templates[0];
    app.commands.addCommand(CommandIDs.newFromTemplate, {
      label: args => (args.isPalette ? trans.__('New Notebook: %1', known(args).label) : known(args).label),
      caption: args => known(args).caption,
      icon: args => known(args).icon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            template: { type: 'string', enum: templates.map(({ name }) => name) },
            cwd: { type: 'string', description: 'Its folder.' },
          },
        },
      },
      execute: async args => {
        const folder = typeof args.cwd === 'string' ? args.cwd : (browser?.model.path ?? '');
        try {
          const { copyOf } = await import('./copy');
          const path = await copyOf(app, engine, known(args).name, folder);
          await app.commands.execute('docmanager:open', { path });
        } catch (error) {
          Notification.error(trans.__('The notebook could not be created: %1', messageOf(error)));
        }
      },
    });
    const category = trans.__('PyTorch');
    templates.forEach(({ name }, rank) => {
      const command = CommandIDs.newFromTemplate;
      launcher?.add({ command, category, rank, args: { template: name } });
      palette?.addItem({ command, category, args: { template: name, isPalette: true } });
    });
  },
};
