// A tab with a form; once its training has started, the training's own tab takes its place.

import { Widget } from '@lumino/widgets';
import { addStyles, css, type StyleSheet } from '../../../widgets/src/core/styles';
import { type FormOptions, mountForm } from '../../../widgets/src/form/form_view';
import { trainingIcon } from '../icons';

const FORM_STYLES: StyleSheet = {
  id: 'jupyter-ext-form-tab-style',
  text: css`
    .jp-JupyterExt-form {
      overflow: auto;
      background: var(--jp-layout-color1);
    }
  `,
};

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
    addStyles(this.node, FORM_STYLES);
    mountForm({ ...options, element: this.node, signal: this.#ended.signal });
  }

  override dispose(): void {
    this.#ended.abort();
    super.dispose();
  }
}
