// A command that says which half of the product is missing or of another version; what it does is loaded
// when it is used.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { CommandIDs } from '../commands/ids';
import { productIcon } from '../icons';
import { IEngine } from '../tokens';

export const doctorPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:doctor',
  description: 'Says which half of jupyter-ext is missing or of another version.',
  autoStart: true,
  requires: [IEngine],
  optional: [INotebookTracker, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null
  ) => {
    const { trans } = engine;
    app.commands.addCommand(CommandIDs.doctor, {
      label: trans.__('Check the Installation'),
      caption: trans.__('Check that all parts of jupyter-ext are installed in the same version'),
      icon: productIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => (await import('./look')).showFindings(engine, notebooks),
    });
    palette?.addItem({ command: CommandIDs.doctor, category: trans.__('PyTorch') });
  },
};
