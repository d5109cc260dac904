// Draws the output of `%trainings` as a live table, with or without a kernel.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { TRAININGS_MIME_TYPE, TrainingsRenderer } from './renderer';

/** Before HTML; the lowest rank wins. */
const RANK = -20;

export const trainingsOutput: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:trainings-output',
  description: 'Draws the output of %trainings as a live table.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (app: JupyterFrontEnd, rendermime: IRenderMimeRegistry) => {
    const { serverSettings } = app.serviceManager;
    rendermime.addFactory(
      {
        // Data become text only, and nothing but looking happens without a click: untrusted notebooks may show it.
        safe: true,
        mimeTypes: [TRAININGS_MIME_TYPE],
        defaultRank: RANK,
        createRenderer: () => new TrainingsRenderer(serverSettings),
      },
      RANK
    );
  },
};
