// Draws the output of a training as a live panel, with or without a kernel.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { TRAINING_MIME_TYPE, TrainingRenderer } from './renderer';

/** Below -10 of the widget manager's `widget-view+json`: the lowest rank wins. */
const RANK = -20;

export const trainingOutput: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:training-output',
  description: 'Draws the output of a training as a live panel.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (app: JupyterFrontEnd, rendermime: IRenderMimeRegistry) => {
    const { serverSettings } = app.serviceManager;
    rendermime.addFactory(
      {
        // Data become text only, and nothing but looking happens without a click: untrusted notebooks may show it.
        safe: true,
        mimeTypes: [TRAINING_MIME_TYPE],
        defaultRank: RANK,
        createRenderer: () => new TrainingRenderer(serverSettings),
      },
      RANK
    );
  },
};
