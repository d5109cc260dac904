// Makes the plugin that draws one kind of output by its MIME type, with or without a kernel. The view's code is
// loaded with the first output that needs it.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import type { Transport } from '../../../widgets/src/transport/transport';
import type { LazyView } from '../../../widgets/src/views/lazy';
import { MountedView, mimeTypeOf, type OutputData } from '../../../widgets/src/views/view';
import { IEngine } from '../tokens';

/** Before HTML, and below -10 of the widget manager's `widget-view+json`: the lowest rank wins. */
const RANK = -20;

/** Make the plugin `jupyter-ext:<name>-output` of a view. */
export function outputPlugin(view: LazyView): JupyterFrontEndPlugin<void> {
  return {
    id: `jupyter-ext:${view.name}-output`,
    description: view.description,
    autoStart: true,
    requires: [IRenderMimeRegistry, IEngine],
    activate: (_app: JupyterFrontEnd, rendermime: IRenderMimeRegistry, engine: IEngine) => {
      rendermime.addFactory(
        {
          // Data become text only, and nothing but looking happens without a click: untrusted notebooks may
          // show it.
          safe: true,
          mimeTypes: [mimeTypeOf(view)],
          defaultRank: RANK,
          createRenderer: () => new OutputRenderer(view, engine.transport),
        },
        RANK
      );
    },
  };
}

class OutputRenderer extends Widget implements IRenderMime.IRenderer {
  readonly #view: LazyView;
  readonly #transport: Transport;
  #shown: MountedView | null = null;
  #model: IRenderMime.IMimeModel | null = null;

  constructor(view: LazyView, transport: Transport) {
    super();
    this.#view = view;
    this.#transport = transport;
    this.addClass('jupyter-ext-output');
    this.addClass(`jupyter-ext-${view.name}`);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    const view = await this.#view.load();
    if (this.isDisposed || this.#model !== model) {
      return;
    }
    this.#shown ??= new MountedView(view, this.node, this.#transport, (data, text) => this.#keep(data, text));
    this.#shown.show(model.data[mimeTypeOf(view)]);
  }

  override dispose(): void {
    this.#shown?.end();
    super.dispose();
  }

  // The output itself changes: saved and opened again, it shows the same.
  #keep(data: OutputData, text: string): void {
    this.#model?.setData({
      data: {
        [mimeTypeOf(this.#view)]: data as IRenderMime.IMimeModel['data'][string],
        'text/plain': text,
      },
    });
  }
}
