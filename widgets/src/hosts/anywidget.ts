// The host inside an anywidget: what the loader in training_panel.py imports as "panel".

import { mountPanel } from '../panel/panel';
import { CommTransport, type CommModel } from '../transport/comm';
import { ServerTransport } from '../transport/server';
import type { Transport } from '../transport/transport';
import type { Training } from '../wire';

/** An anywidget model of `TrainingPanel`. */
interface PanelModel extends CommModel {
  get(name: 'training_id'): string;
  get(name: 'snapshot'): Training | Record<string, never>;
  on(event: 'msg:custom', callback: Parameters<CommModel['on']>[1]): void;
  on(event: 'change:training_id', callback: () => void): void;
  off(event: 'msg:custom', callback: Parameters<CommModel['off']>[1]): void;
  off(event: 'change:training_id', callback: () => void): void;
}

/** What the loader gives. */
export interface RenderContext {
  model: PanelModel;
  el: HTMLElement;
}

/** The page's server, when the loader found it. */
export interface FoundServer {
  baseUrl: string;
  plotly: string;
}

/**
 * Draw the widget's panel.
 *
 * @returns What ends the view.
 */
export function render({ model, el }: RenderContext, server?: FoundServer): () => void {
  const view = new AbortController();
  const transport: Transport = server ? new ServerTransport(server) : new CommTransport(model, view.signal);
  let panel = new AbortController();
  const draw = () => {
    panel.abort();
    panel = new AbortController();
    const snapshot = model.get('snapshot');
    mountPanel({
      element: el,
      trainingId: model.get('training_id'),
      transport,
      snapshot: 'id' in snapshot ? (snapshot as Training) : null,
      signal: panel.signal,
    });
  };
  model.on('change:training_id', draw);
  // The kernel keeps a widget in the saved output only where one is looked at.
  model.send({ kind: 'viewed' });
  draw();
  return () => {
    model.off('change:training_id', draw);
    panel.abort();
    view.abort();
  };
}

export { mountPanel, ServerTransport };
