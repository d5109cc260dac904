// Gives the settings to the plots that are drawn from now on. Loaded where a setting is not as it comes.

import { type PaletteName, setPalette } from '../../../widgets/src/core/theme';
import { type ChartOptions, setDefaultOptions } from '../../../widgets/src/plot/options';
import type { SmoothingKind } from '../../../widgets/src/series/smoothing';

/** As schema/plots.json names them. */
export interface PlotSettings extends Pick<ChartOptions, 'logY' | 'x' | 'ignoreOutliers' | 'size'> {
  smoothing: number;
  smoothingKind: SmoothingKind;
  palette: PaletteName;
}

export function applySettings(settings: PlotSettings): void {
  const { smoothing: weight, smoothingKind: kind, palette, ...rest } = settings;
  setDefaultOptions({ ...rest, smoothing: { kind, weight } });
  setPalette(palette);
}
