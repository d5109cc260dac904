// What a host can show: one view per kind of output, drawn from the output's data through a transport.
// A new view is one file here and one line in `views/index.ts`; every host (JupyterLab's MIME renderer, the anywidget)
// has it then. Its MIME type is `application/vnd.jupyter-ext.<name>+json`.

import type { Transport } from '../transport/transport';

/** The data of an output, as the kernel wrote them. */
export type OutputData = Readonly<Record<string, unknown>>;

/** Where and how a view draws. */
export interface Place {
  /** Where to draw; the view fills it, and the host keeps nothing in it. */
  element: HTMLElement;
  /** The way to the engine. */
  transport: Transport;
  /** Ends the view and all it holds: listeners, timers, streams. */
  signal: AbortSignal;
}

/** One kind of output. */
export interface View {
  /** Names the MIME type and the widget's `view`, such as `training`. */
  name: string;
  /** One sentence for the list of plugins. */
  description: string;
  /**
   * Say what the data show. While it stays the same, a view stays as it is when new data come; they are only another snapshot.
   *
   * @returns `null` for data that this version cannot read.
   */
  identity(data: OutputData): string | null;
  /** Draw until `place.signal` aborts. */
  mount(place: Place, data: OutputData): void;
}

/** The MIME type from which JupyterLab draws a view. */
export function mimeTypeOf(view: View): string {
  return `application/vnd.jupyter-ext.${view.name}+json`;
}

/** One view in one element, for as long as its host lives. */
export class ShownView {
  readonly #view: View;
  readonly #element: HTMLElement;
  readonly #transport: Transport;
  #identity: string | null = null;
  #drawn = new AbortController();

  constructor(view: View, element: HTMLElement, transport: Transport) {
    this.#view = view;
    this.#element = element;
    this.#transport = transport;
  }

  /** Draw these data, unless they show what is drawn already. */
  show(data: unknown): void {
    const known = typeof data === 'object' && data !== null ? (data as OutputData) : {};
    const identity = this.#view.identity(known);
    if (identity !== null && identity === this.#identity) {
      return;
    }
    this.end();
    if (identity === null) {
      this.#element.textContent = 'This output cannot be read; it was made by another version of jupyter-ext.';
      return;
    }
    this.#identity = identity;
    this.#drawn = new AbortController();
    this.#view.mount({ element: this.#element, transport: this.#transport, signal: this.#drawn.signal }, known);
  }

  /** End the view; a later `show` draws anew. */
  end(): void {
    this.#drawn.abort();
    this.#identity = null;
  }
}
