// A tab with a form; once its training has started, the training's own tab takes its place.

import { Widget } from '@lumino/widgets';
import { type FormOptions, mountForm } from '../../../widgets/src/form/form_view';
import { trainingIcon } from '../icons';

export class FormTab extends Widget {
  readonly #ended = new AbortController();

  constructor(title: string, caption: string, options: Omit<FormOptions, 'element' | 'signal'>) {
    super();
    this.addClass('jp-JupyterExt-tab');
    this.addClass('jp-JupyterExt-form');
    this.title.icon = trainingIcon;
    this.title.label = title;
    this.title.caption = caption;
    this.title.closable = true;
    mountForm({ ...options, element: this.node, signal: this.#ended.signal });
  }

  override dispose(): void {
    this.#ended.abort();
    super.dispose();
  }
}
