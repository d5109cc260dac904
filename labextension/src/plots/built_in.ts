// How plots look where nothing is set. Pure; knows no page.

import type { PlotSettings } from './apply';

/** The defaults of schema/plots.json, which are also those of the plots themselves. */
export const BUILT_IN: PlotSettings = {
  smoothing: 0,
  smoothingKind: 'ema',
  logY: false,
  x: 'step',
  ignoreOutliers: false,
  size: 'medium',
  palette: 'okabe-ito',
};

/** Whether every setting is as it comes, so that plots need not be told. */
export function isBuiltIn(settings: PlotSettings): boolean {
  return (Object.keys(BUILT_IN) as (keyof PlotSettings)[]).every(name => settings[name] === BUILT_IN[name]);
}
