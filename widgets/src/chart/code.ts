// Python that draws the plots of a chart with plotly.

import type { ChartOptions } from '../plot/options';

/** Return code that draws these trainings with these choices. */
export function codeOf(ids: readonly string[], options: ChartOptions): string {
  const { x, logX, logY, smoothing, ignoreOutliers } = options;
  const choices = [
    x === 'step' ? '' : `x=${JSON.stringify(x.replace(/^metric:/, ''))}`,
    logX ? 'log_x=True' : '',
    logY ? 'log_y=True' : '',
    smoothing.weight > 0 ? `smoothing=${Number(smoothing.weight.toFixed(4))}` : '',
    smoothing.weight > 0 && smoothing.kind !== 'ema'
      ? `smoothing_kind=${JSON.stringify(smoothing.kind)}`
      : '',
    ignoreOutliers ? 'ignore_outliers=True' : '',
  ].filter(Boolean);
  const of =
    ids.length === 1
      ? `jx.trainings.get(${JSON.stringify(ids[0])})`
      : `jx.compare([${ids.map(id => JSON.stringify(id)).join(', ')}])`;
  return `import jupyter_ext as jx\n\n${of}.figure(${choices.join(', ')})\n`;
}
