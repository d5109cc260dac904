// The side panel: what runs, what is held and what is loaded. Its code is loaded when it is first shown.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { CommandIDs } from '../commands/ids';
import { productIcon } from '../icons';
import { IEngine } from '../tokens';
import { PanelShell } from './shell';

export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:panel',
  description: 'Lists trainings, debug sessions and models in a side panel.',
  autoStart: true,
  requires: [IEngine],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    const { trans } = engine;
    const panel = new PanelShell(engine, app.commands);
    panel.id = 'jupyter-ext-panel';
    panel.title.icon = productIcon;
    panel.title.caption = trans.__('Trainings and Models');
    app.shell.add(panel, 'left', { rank: 350 });
    restorer?.add(panel, 'jupyter-ext-panel');
    app.commands.addCommand(CommandIDs.showPanel, {
      label: trans.__('Show Trainings and Models'),
      caption: trans.__('Show the side panel of trainings, debug sessions and models'),
      icon: productIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => app.shell.activateById(panel.id),
    });
    palette?.addItem({ command: CommandIDs.showPanel, category: trans.__('PyTorch') });
  },
};
