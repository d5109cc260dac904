// What a host can show: one view per kind of output, drawn from the output's data through a transport.
// A new view is one file here and one line in `views/index.ts`; every host (JupyterLab's MIME renderer, the
// anywidget) has it then. Its MIME type is `application/vnd.jupyter-ext.<name>+json`.

import type { Transport } from '../transport/transport';

/** The data of an output, as the kernel wrote them. */
export type OutputData = Readonly<Record<string, unknown>>;

/** Where and how a view draws. */
export interface ViewContext {
  /** Where to draw; the view fills it, and the host keeps nothing in it. */
  element: HTMLElement;
  /** The way to the engine. */
  transport: Transport;
  /** Ends the view and all it holds: listeners, timers, streams. */
  signal: AbortSignal;
  /**
   * Show something else here from now on, such as the run that a resumed one goes on in. The host keeps it in
   * the saved output
   * where it can.
   *
   * @param text What the output says where nothing is alive.
   */
  supersede(data: OutputData, text: string): void;
}

/** One kind of output. */
export interface View {
  /** Names the MIME type and the widget's `view`, such as `training`. */
  name: string;
  /** One sentence for the list of plugins. */
  description: string;
  /**
   * Say what the data show. While it stays the same, a view stays as it is when new data come; they are only
   * another snapshot.
   *
   * @returns `null` for data that this version cannot read.
   */
  identity(data: OutputData): string | null;
  /** Draw until `context.signal` aborts. */
  mount(context: ViewContext, data: OutputData): void;
}

/** The MIME type from which JupyterLab draws a view. */
export function mimeTypeOf(view: Pick<View, 'name'>): string {
  return `application/vnd.jupyter-ext.${view.name}+json`;
}

/** One view in one element, for as long as its host lives. */
export class MountedView {
  readonly #view: View;
  readonly #element: HTMLElement;
  readonly #transport: Transport;
  readonly #keep: ViewContext['supersede'];
  /**
   * What was here before, by identity, and how to say what is here now: a late snapshot does not bring the
   * old back.
   */
  readonly #superseded = new Map<string, () => void>();
  #identity: string | null = null;
  #drawn = new AbortController();

  /** @param keep Writes into the output what a view wants shown instead. */
  constructor(
    view: View,
    element: HTMLElement,
    transport: Transport,
    keep: ViewContext['supersede'] = () => undefined
  ) {
    this.#view = view;
    this.#element = element;
    this.#transport = transport;
    this.#keep = keep;
  }

  /** Draw these data, unless they show what is drawn already. */
  show(data: unknown): void {
    const known = typeof data === 'object' && data !== null ? (data as OutputData) : {};
    const identity = this.#view.identity(known);
    if (identity !== null && identity === this.#identity) {
      return;
    }
    const keepAgain = identity === null ? undefined : this.#superseded.get(identity);
    if (keepAgain) {
      keepAgain();
      return;
    }
    this.end();
    if (identity === null) {
      this.#element.textContent =
        'This output cannot be read; it was made by another version of jupyter-ext.';
      return;
    }
    this.#identity = identity;
    this.#drawn = new AbortController();
    const supersede: ViewContext['supersede'] = (other, text) => {
      const keep = () => this.#keep(other, text);
      this.#superseded.set(identity, keep);
      this.show(other);
      keep();
    };
    this.#view.mount(
      { element: this.#element, transport: this.#transport, signal: this.#drawn.signal, supersede },
      known
    );
  }

  /** End the view; a later `show` draws anew. */
  end(): void {
    this.#drawn.abort();
    this.#identity = null;
  }
}
