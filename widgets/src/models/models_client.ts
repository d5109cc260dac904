// The requests of the models view. Paths are those of docs/architecture/08-models.md.

import {
  bytesOf,
  jsonOf,
  type OpenStream,
  type StreamHandlers,
  type Transport,
} from '../transport/transport';
import type { LocalModel, ModelPage } from '../wire';
import type { CallInput, CallSummary } from './playground_calls';

/** How a model is to be loaded; what is absent is chosen by the engine. */
export interface LoadOptions {
  device?: string;
  dtype?: string;
}

export class ModelsClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async page(): Promise<ModelPage> {
    return jsonOf<ModelPage>(await this.#transport.request('GET', '/native/models'));
  }

  /**
   * Look a reference up (`hub:org/name`, a path, a URL), and put what is found on the list. Downloads no
   * weights.
   */
  async add(reference: string): Promise<LocalModel> {
    return jsonOf<LocalModel>(
      await this.#transport.request('POST', '/native/models', { id: reference, look: true })
    );
  }

  /** Begin it, and return at once; how it goes is told by the stream. */
  async act(id: string, action: 'download' | 'cancel' | 'unload' | 'update'): Promise<void> {
    bytesOf(
      await this.#transport.request(
        'POST',
        `${path(id)}/${action}`,
        action === 'unload' ? { wait: false } : {}
      )
    );
  }

  /** Ask the hub whether a newer revision exists; fetches nothing. */
  async checkNewer(id: string): Promise<LocalModel> {
    return jsonOf<LocalModel>(await this.#transport.request('POST', `${path(id)}/update`, { check: true }));
  }

  /** Begin to load, and return at once. */
  async load(id: string, options: LoadOptions): Promise<void> {
    bytesOf(await this.#transport.request('POST', `${path(id)}/load`, { ...options, wait: false }));
  }

  /** Change how long a loaded model stays; seconds after its last use, below 0 for ever. */
  async keep(id: string, change: { pinned?: boolean; keep_alive_s?: number }): Promise<LocalModel> {
    return jsonOf<LocalModel>(await this.#transport.request('PATCH', path(id), change));
  }

  async remove(id: string): Promise<void> {
    bytesOf(await this.#transport.request('DELETE', path(id)));
  }

  async call(id: string, input: CallInput): Promise<CallSummary> {
    return jsonOf<CallSummary>(await this.#transport.request('POST', `${path(id)}/call`, input));
  }

  /** Let a model write on from a text; events come as JSON texts, and closing the stream ends the writing. */
  generate(id: string, prompt: string, maxNewTokens: number, handlers: StreamHandlers): OpenStream {
    const query = new URLSearchParams({ prompt, max_new_tokens: String(maxNewTokens) });
    return this.#transport.openStream(`${path(id)}/generate?${query}`, handlers);
  }
}

function path(id: string): string {
  return `/native/models/${encodeURIComponent(id)}`;
}
