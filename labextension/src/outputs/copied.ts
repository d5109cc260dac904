// Outputs of a copied notebook: they show the training of the original, and leave changing it to the
// original. Loaded with the first output whose training was started elsewhere.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import { button, element } from '../../../widgets/src/core/dom';
import { addStyles, css, type StyleSheet } from '../../../widgets/src/core/styles';
import type { Transport } from '../../../widgets/src/transport/transport';
import { Copies } from '../cells/copies';
import { splitPath } from '../start/places';
import type { IEngine } from '../tokens';
import { ReadOnlyTransport } from './read_only';

const NOTE_STYLES: StyleSheet = {
  id: 'jupyter-ext-note-style',
  text: css`
    .jp-JupyterExt-note {
      padding: 0 2px 4px;
      color: var(--jp-ui-font-color2);
      font-size: var(--jp-ui-font-size1);
    }

    .jp-JupyterExt-link {
      padding: 0;
      border: 0;
      background: none;
      color: var(--jp-content-link-color);
      cursor: pointer;
      font: inherit;
    }

    .jp-JupyterExt-link:hover {
      text-decoration: underline;
    }

    .jp-JupyterExt-read-only
      :is(
        .jx-header button,
        .jx-section:has(> .jx-section-head > .jx-console-input),
        .jx-model-actions,
        .jx-models-bar button,
        .jx-models-add,
        .jx-play
      ) {
      display: none;
    }
  `,
};

let copies: Copies | null = null;

/** Where a read-only view draws, and by what. */
export interface Place {
  element: HTMLElement;
  transport: Transport;
}

/**
 * Make the place for a read-only view in an output, under a line that says so.
 *
 * @param path Of the notebook that the output is in.
 * @param from Absolute path of the notebook that it is from.
 * @param what What it shows: a training, or something that no notebook owns, such as a session or models.
 * @returns `null` where the notebook is no copy.
 */
export async function readOnlyPlace(
  app: JupyterFrontEnd,
  { transport, trans }: IEngine,
  output: HTMLElement,
  {
    path,
    from,
    what,
    signal,
  }: { path: string; from: string; what: 'training' | 'output'; signal: AbortSignal }
): Promise<Place | null> {
  const { contents } = app.serviceManager;
  copies ??= new Copies(contents, PageConfig.getOption('serverRoot'), () => undefined);
  const original = await copies.originalOf(path, from);
  if (original === null) {
    return null;
  }
  const { name } = splitPath(original);
  const open = button(
    { class: 'jp-JupyterExt-link', text: name, title: original },
    () => void app.commands.execute('docmanager:open', { path: original }),
    signal
  );
  const place = element('div', { class: 'jp-JupyterExt-read-only' });
  const isTraining = what === 'training';
  const says = isTraining
    ? trans.__('Read-only: started from %1', '\n')
    : trans.__('Read-only: this notebook is a copy of %1', '\n');
  const [before, after] = says.split('\n');
  const note = element(
    'div',
    { class: 'jp-JupyterExt-note' },
    element('span', { text: before }),
    open,
    element('span', { text: after })
  );
  addStyles(output, NOTE_STYLES);
  output.replaceChildren(note, place);
  const why = isTraining
    ? trans.__('This notebook is a copy: change the training in %1.', name)
    : trans.__('This notebook is a copy: do it in %1, or in the side panel.', name);
  return { element: place, transport: new ReadOnlyTransport(transport, why) };
}
