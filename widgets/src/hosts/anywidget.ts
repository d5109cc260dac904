// The host inside an anywidget: what the loader in live_view.py imports as "panel".

import { type CommModel, CommTransport } from '../transport/comm';
import { cookieFetch } from '../transport/cookie_fetch';
import { ServerTransport } from '../transport/server';
import type { Transport } from '../transport/transport';
import { VIEWS } from '../views';
import { MountedView, type OutputData } from '../views/view';

/** An anywidget model of `LiveView`. */
interface ViewModel extends CommModel {
  /** Which view, by its name. */
  get(name: 'view'): string;
  /** The same data as under the view's MIME type. */
  get(name: 'data'): unknown;
  set(name: 'data', data: OutputData): void;
  save_changes(): void;
  on(event: 'msg:custom', callback: Parameters<CommModel['on']>[1]): void;
  on(event: 'change:data', callback: () => void): void;
  off(event: 'msg:custom', callback: Parameters<CommModel['off']>[1]): void;
  off(event: 'change:data', callback: () => void): void;
}

/** What the loader gives. */
export interface RenderContext {
  model: ViewModel;
  el: HTMLElement;
}

/** The page's server, when the loader found it. */
export interface FoundServer {
  baseUrl: string;
  plotly: string;
}

/**
 * Draw the widget's view.
 *
 * @returns What ends it.
 */
export function render({ model, el }: RenderContext, server?: FoundServer): () => void {
  const view = VIEWS.find(({ name }) => name === model.get('view'));
  if (!view) {
    throw new Error(`this page has no view ${model.get('view')}; reload it to get the newest jupyter-ext`);
  }
  const tunnel = new AbortController();
  const transport: Transport = server
    ? new ServerTransport({ ...server, fetch: cookieFetch })
    : new CommTransport(model, tunnel.signal);
  const shown = new MountedView(view, el, transport, data => {
    model.set('data', data);
    model.save_changes();
  });
  const draw = () => shown.show(model.get('data'));
  model.on('change:data', draw);
  // The kernel keeps a widget in the saved output only where one is looked at.
  model.send({ kind: 'viewed' });
  draw();
  return () => {
    model.off('change:data', draw);
    shown.end();
    tunnel.abort();
  };
}
