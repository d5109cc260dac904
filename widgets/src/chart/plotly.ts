// The part of plotly.js that the chart uses, loaded once per page.

import type { Transport } from '../transport/transport';

export type PlotData = Record<string, unknown>;
export type PlotLayout = Record<string, unknown>;

/** An element that plotly has drawn into. */
export interface PlotElement extends HTMLElement {
  on(event: string, callback: (data: Record<string, unknown>) => void): void;
  removeAllListeners?(event?: string): void;
}

export interface PlotlyApi {
  react(
    element: HTMLElement,
    data: PlotData[],
    layout: PlotLayout,
    config: Record<string, unknown>
  ): Promise<unknown>;
  purge(element: HTMLElement): void;
}

interface Cache {
  jupyterExtPlotly?: Promise<PlotlyApi>;
}

/** Load plotly.js, or return the one that another view of the page has loaded. */
export function loadPlotly(transport: Transport): Promise<PlotlyApi> {
  const cache = globalThis as Cache;
  cache.jupyterExtPlotly ??= transport.importPlotly().then(
    module => (module as { default: PlotlyApi }).default,
    (error: unknown) => {
      cache.jupyterExtPlotly = undefined;
      throw error;
    }
  );
  return cache.jupyterExtPlotly;
}
