// The icons of this product: one family of 1.6-wide lines in 24 × 24, in the colours of JupyterLab's theme.

import { LabIcon } from '@jupyterlab/ui-components';

function lines(...shapes: string[]): string {
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24" fill="none">',
    '<g class="jp-icon3 jp-icon-selectable" stroke="#616161" stroke-width="1.7" stroke-linecap="round" ',
    'stroke-linejoin="round">',
    ...shapes,
    '</g></svg>',
  ].join('');
}

/** The product: a curve that falls, in a frame. */
export const productIcon = new LabIcon({
  name: 'jupyter-ext:product',
  svgstr: lines(
    '<rect x="3" y="3.5" width="18" height="17" rx="3.2"/>',
    '<path d="M6.8 7.6c.9 6 3.4 8 10.4 8.6"/>',
    '<path d="M13.4 7.7h3.8M15.3 5.8v3.8" stroke-width="1.5"/>'
  ),
});

/** A training: a loss over its axes. */
export const trainingIcon = new LabIcon({
  name: 'jupyter-ext:training',
  svgstr: lines('<path d="M4 4v13.5A2.5 2.5 0 0 0 6.5 20H20"/>', '<path d="M8 6.5c.8 6.3 3.6 8.7 11 9.3"/>'),
});

/** Several trainings side by side. */
export const compareIcon = new LabIcon({
  name: 'jupyter-ext:compare',
  svgstr: lines(
    '<path d="M4 4v13.5A2.5 2.5 0 0 0 6.5 20H20"/>',
    '<path d="M8 5.5c.6 4 2.6 6 11 6.5"/>',
    '<path d="M8 9.5c1.2 4.6 4 6.2 11 6.5"/>'
  ),
});

/** A debug session: a prompt with a pulse. */
export const sessionIcon = new LabIcon({
  name: 'jupyter-ext:session',
  svgstr: lines(
    '<rect x="3" y="4" width="18" height="16" rx="3"/>',
    '<path d="M5.8 12.3h3l1.8-4 2.8 7.6 1.8-3.6h3"/>'
  ),
});

/** A model: a cube of layers. */
export const modelIcon = new LabIcon({
  name: 'jupyter-ext:model',
  svgstr: lines(
    '<path d="M12 3.2 20 7.6v8.8l-8 4.4-8-4.4V7.6z"/>',
    '<path d="m4.3 7.8 7.7 4.2 7.7-4.2M12 12v8.6"/>'
  ),
});
