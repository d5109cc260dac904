// The settings of plots, schema/plots.json: how one looks before anything is chosen in it.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type PaletteName, setPalette } from '../../../widgets/src/core/theme';
import { type ChartOptions, setDefaultOptions } from '../../../widgets/src/plot/options';
import type { SmoothingKind } from '../../../widgets/src/series/smoothing';

const PLUGIN_ID = 'jupyter-ext:plots';

interface PlotSettings extends Pick<ChartOptions, 'logY' | 'x' | 'ignoreOutliers' | 'size'> {
  smoothing: number;
  smoothingKind: SmoothingKind;
  palette: PaletteName;
}

export const plotsPlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'The settings of plots.',
  autoStart: true,
  requires: [ISettingRegistry],
  activate: async (_app: JupyterFrontEnd, registry: ISettingRegistry) => {
    const settings = await registry.load(PLUGIN_ID);
    const read = () => {
      const values = settings.composite as unknown as PlotSettings;
      const { smoothing: weight, smoothingKind: kind, palette, ...rest } = values;
      setDefaultOptions({ ...rest, smoothing: { kind, weight } });
      setPalette(palette);
    };
    settings.changed.connect(read);
    read();
  },
};
