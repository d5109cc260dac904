// Makes the plugin that draws one kind of output by its MIME type, with or without a kernel. The view's
// code is loaded with the first output that needs it.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import type { Transport } from '../../../widgets/src/transport/transport';
import type { LazyView } from '../../../widgets/src/views/lazy';
import { MountedView, mimeTypeOf, type OutputData } from '../../../widgets/src/views/view';
import { IEngine } from '../tokens';
import { originOf } from './origin';

/** Before HTML, and below -10 of the widget manager's `widget-view+json`: the lowest rank wins. */
const RANK = -20;

/** Make the plugin `jupyter-ext:<name>-output` of a view. */
export function outputPlugin(view: LazyView): JupyterFrontEndPlugin<void> {
  return {
    id: `jupyter-ext:${view.name}-output`,
    description: view.description,
    autoStart: true,
    requires: [IRenderMimeRegistry, IEngine],
    optional: [INotebookTracker],
    activate: (
      app: JupyterFrontEnd,
      rendermime: IRenderMimeRegistry,
      engine: IEngine,
      notebooks: INotebookTracker | null
    ) => {
      const openedAt = openingTimes(notebooks);
      rendermime.addFactory(
        {
          // Data become text only, and nothing but looking happens without a click: untrusted notebooks may
          // show it.
          safe: true,
          mimeTypes: [mimeTypeOf(view)],
          defaultRank: RANK,
          createRenderer: ({ resolver }) => {
            const place = () => {
              const { path = '' } = (resolver ?? {}) as { path?: string };
              return { path, openedAt_ms: openedAt(path) };
            };
            return new OutputRenderer(view, app, engine, place);
          },
        },
        RANK
      );
    },
  };
}

/** The document that an output is in. */
interface OutputPlace {
  path: string;
  /** When this page opened it; 0 where it is none that is followed. */
  openedAt_ms: number;
}

/** Return what says when a notebook was opened, by its path. */
function openingTimes(notebooks: INotebookTracker | null): (path: string) => number {
  const times = new WeakMap<object, number>();
  notebooks?.widgetAdded.connect((_, panel) => times.set(panel, Date.now()));
  return path => {
    const panel = notebooks?.find(({ context }) => context.path === path);
    return (panel && times.get(panel)) ?? 0;
  };
}

class OutputRenderer extends Widget implements IRenderMime.IRenderer {
  readonly #view: LazyView;
  readonly #app: JupyterFrontEnd;
  readonly #engine: IEngine;
  readonly #place: () => OutputPlace;
  readonly #ended = new AbortController();
  #shown: MountedView | null = null;
  #model: IRenderMime.IMimeModel | null = null;

  constructor(view: LazyView, app: JupyterFrontEnd, engine: IEngine, place: () => OutputPlace) {
    super();
    this.#view = view;
    this.#app = app;
    this.#engine = engine;
    this.#place = place;
    this.addClass('jupyter-ext-output');
    this.addClass(`jupyter-ext-${view.name}`);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    const view = await this.#view.load();
    const data = model.data[mimeTypeOf(view)];
    const { element, transport } = (await this.#copied(data)) ?? {
      element: this.node,
      transport: this.#engine.transport,
    };
    if (this.isDisposed || this.#model !== model) {
      return;
    }
    this.#shown ??= new MountedView(view, element, transport, (data, text) => this.#keep(data, text));
    this.#shown.show(data);
  }

  override dispose(): void {
    this.#shown?.end();
    this.#ended.abort();
    super.dispose();
  }

  // Where it draws if its notebook is a copy. One that was saved under another name goes on with the kernel
  // of the old name: what is started after it was opened is its own.
  async #copied(data: unknown): Promise<{ element: HTMLElement; transport: Transport } | null> {
    const { path, openedAt_ms } = this.#place();
    const { notebook: from, at_ms } = originOf(data);
    const isOwn = path === '' || from === '' || from.endsWith(`/${path}`);
    if (this.#shown || isOwn || at_ms > openedAt_ms) {
      return null;
    }
    const { readOnlyPlace } = await import('./copied');
    const what = this.#view.name === 'training' ? ('training' as const) : ('output' as const);
    const where = { path, from, what, signal: this.#ended.signal };
    return readOnlyPlace(this.#app, this.#engine, this.node, where);
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
