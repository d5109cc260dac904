// What an output of a copied notebook is drawn with: it shows what is, and changes nothing.

import type { Answer, OpenStream, StreamHandlers, Transport } from '../../../widgets/src/transport/transport';

/** A way to the engine that only asks. */
export class ReadOnlyTransport implements Transport {
  readonly running: Transport;
  readonly #transport: Transport;
  readonly #why: string;

  /** @param why What who tries to change something is told. */
  constructor(transport: Transport, why: string) {
    this.#transport = transport;
    this.#why = why;
    const { running } = transport;
    this.running = running && running !== transport ? new ReadOnlyTransport(running, why) : this;
  }

  async request(method: string, path: string): Promise<Answer> {
    if (method !== 'GET') {
      throw new Error(this.#why);
    }
    return this.#transport.request(method, path);
  }

  // Streams that only send; a model's `generate` runs it.
  openStream(path: string, handlers: StreamHandlers): OpenStream {
    if (!/\/(stream|search)$/.test(path.split('?')[0])) {
      throw new Error(this.#why);
    }
    return this.#transport.openStream(path, handlers);
  }

  async isEngineRunning(): Promise<boolean> {
    return (await this.#transport.isEngineRunning?.()) ?? true;
  }

  async startEngine(): Promise<Answer> {
    return this.#transport.startEngine?.() ?? this.#transport.request('GET', '/native/engine');
  }

  mayStart(): boolean {
    return this.#transport.mayStart?.() ?? true;
  }

  importPlotly(): Promise<unknown> {
    return this.#transport.importPlotly();
  }
}
