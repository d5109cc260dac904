// Makes the plugin that draws one kind of output by its MIME type, with or without a kernel.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import type { Transport } from '../../widgets/src/transport/transport';
import { MountedView, mimeTypeOf, type OutputData, type View } from '../../widgets/src/views/view';
import { serverTransport } from './server_transport';

/** Before HTML, and below -10 of the widget manager's `widget-view+json`: the lowest rank wins. */
const RANK = -20;

/** Make the plugin `jupyter-ext:<name>-output` of a view. */
export function outputPlugin(view: View): JupyterFrontEndPlugin<void> {
  return {
    id: `jupyter-ext:${view.name}-output`,
    description: view.description,
    autoStart: true,
    requires: [IRenderMimeRegistry],
    activate: (app: JupyterFrontEnd, rendermime: IRenderMimeRegistry) => {
      const { serverSettings } = app.serviceManager;
      rendermime.addFactory(
        {
          // Data become text only, and nothing but looking happens without a click: untrusted notebooks may
          // show it.
          safe: true,
          mimeTypes: [mimeTypeOf(view)],
          defaultRank: RANK,
          createRenderer: () => new OutputRenderer(view, serverTransport(serverSettings)),
        },
        RANK
      );
    },
  };
}

class OutputRenderer extends Widget implements IRenderMime.IRenderer {
  readonly #mimeType: string;
  readonly #shown: MountedView;
  #model: IRenderMime.IMimeModel | null = null;

  constructor(view: View, transport: Transport) {
    super();
    this.#mimeType = mimeTypeOf(view);
    this.#shown = new MountedView(view, this.node, transport, (data, text) => this.#keep(data, text));
    this.addClass('jupyter-ext-output');
    this.addClass(`jupyter-ext-${view.name}`);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    this.#shown.show(model.data[this.#mimeType]);
  }

  override dispose(): void {
    this.#shown.end();
    super.dispose();
  }

  // The output itself changes: saved and opened again, it shows the same.
  #keep(data: OutputData, text: string): void {
    this.#model?.setData({
      data: { [this.#mimeType]: data as IRenderMime.IMimeModel['data'][string], 'text/plain': text },
    });
  }
}
