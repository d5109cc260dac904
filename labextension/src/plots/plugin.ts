// The settings of plots, schema/plots.json: how one looks before anything is chosen in it.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { PlotSettings } from './apply';
import { isBuiltIn } from './built_in';

const PLUGIN_ID = 'jupyter-ext:plots';

export const plotsPlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'The settings of plots.',
  autoStart: true,
  requires: [ISettingRegistry],
  activate: async (_app: JupyterFrontEnd, registry: ISettingRegistry) => {
    const settings = await registry.load(PLUGIN_ID);
    let isChanged = false;
    const read = async () => {
      const values = settings.composite as unknown as PlotSettings;
      isChanged ||= !isBuiltIn(values);
      if (isChanged) {
        (await import('./apply')).applySettings(values);
      }
    };
    settings.changed.connect(() => void read());
    await read();
  },
};
