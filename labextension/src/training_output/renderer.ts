// The renderer of `application/vnd.jupyter-ext.training+json`: one panel, kept as long as the id stays the same.

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { ServerConnection } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';
import { mountPanel } from '../../../widgets/src/panel/panel';
import type { Training } from '../../../widgets/src/wire';
import { serverTransport } from './server_transport';

export const TRAINING_MIME_TYPE = 'application/vnd.jupyter-ext.training+json';

/** The data of an output. */
interface TrainingOutput {
  id: string;
  version: number;
  /** The training as it was when the notebook was saved. */
  training?: Training | null;
}

export class TrainingRenderer extends Widget implements IRenderMime.IRenderer {
  readonly #settings: ServerConnection.ISettings;
  #shownId: string | null = null;
  #panel = new AbortController();

  constructor(settings: ServerConnection.ISettings) {
    super();
    this.#settings = settings;
    this.addClass('jupyter-ext-training');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const output = parse(model.data[TRAINING_MIME_TYPE]);
    if (output === null) {
      this.#end();
      this.node.textContent = 'This output names no training; it was made by another version of jupyter-ext.';
      return;
    }
    if (output.id === this.#shownId) {
      return;
    }
    this.#end();
    this.#shownId = output.id;
    this.#panel = new AbortController();
    mountPanel({
      element: this.node,
      trainingId: output.id,
      transport: serverTransport(this.#settings),
      snapshot: output.training?.id === output.id ? output.training : null,
      signal: this.#panel.signal,
    });
  }

  override dispose(): void {
    this.#end();
    super.dispose();
  }

  #end(): void {
    this.#panel.abort();
    this.#shownId = null;
  }
}

function parse(data: unknown): TrainingOutput | null {
  const output = data as Partial<TrainingOutput> | null | undefined;
  return typeof output?.id === 'string' && output.id !== '' ? (output as TrainingOutput) : null;
}
