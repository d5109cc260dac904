// The way through the kernel, where the page has no server of ours (VS Code, Colab): requests and streams
// travel as custom messages of the widget's comm. Source: docs/architecture/02-wire.md, "Through the kernel".

import type { Bytes } from '../wire';
import { importModule } from './import_module';
import {
  type Answer,
  ConnectionError,
  type OpenStream,
  type StreamHandlers,
  type Transport,
} from './transport';

/** The part of an anywidget model that the tunnel needs. */
export interface CommModel {
  send(content: unknown): void;
  on(event: 'msg:custom', callback: (content: unknown, buffers: Bytes[]) => void): void;
  off(event: 'msg:custom', callback: (content: unknown, buffers: Bytes[]) => void): void;
}

/** What the kernel sends. */
type KernelMessage =
  | { kind: 'response'; id: string; status: number; content_type: string }
  | { kind: 'text'; id: string; data: string }
  | { kind: 'binary'; id: string }
  | { kind: 'closed'; id: string; code: number; reason?: string };

/** A kernel that is busy in its main thread may answer late, but not never. */
const REQUEST_TIMEOUT_MS = 30_000;

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export class CommTransport implements Transport {
  readonly #model: CommModel;
  readonly #waiting = new Map<string, Waiting>();
  readonly #streams = new Map<string, StreamHandlers>();
  readonly #prefix = Math.random().toString(36).slice(2, 10);
  #lastId = 0;

  /**
   * @param model The widget's model.
   * @param signal Ends the tunnel: open requests are rejected and nothing is sent any more.
   */
  constructor(model: CommModel, signal: AbortSignal) {
    this.#model = model;
    const receive = (content: unknown, buffers: Bytes[]) => this.#receive(content as KernelMessage, buffers);
    model.on('msg:custom', receive);
    signal.addEventListener('abort', () => {
      model.off('msg:custom', receive);
      for (const id of [...this.#waiting.keys()]) {
        this.#settle(id)?.reject(new ConnectionError('The view was closed.'));
      }
      this.#streams.clear();
    });
  }

  request(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.#ask({ kind: 'request', method, path, body: body ?? null });
  }

  openStream(path: string, handlers: StreamHandlers): OpenStream {
    const id = this.#newId();
    this.#streams.set(id, handlers);
    this.#model.send({ kind: 'open', id, path });
    return {
      close: () => {
        if (this.#streams.delete(id)) {
          this.#model.send({ kind: 'close', id });
        }
      },
    };
  }

  async importPlotly(): Promise<unknown> {
    const answer = await this.#ask({ kind: 'code', name: 'plotly' });
    if (answer.status !== 200) {
      throw new ConnectionError(
        `The kernel has no chart code (${answer.status}); install jupyter-ext in its environment.`
      );
    }
    const url = URL.createObjectURL(new Blob([answer.body], { type: 'text/javascript' }));
    try {
      return await importModule(url);
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  #ask(message: { kind: string; [field: string]: unknown }): Promise<Answer> {
    const id = this.#newId();
    return new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ConnectionError('The kernel does not answer.'));
      }, REQUEST_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#model.send({ ...message, id });
    });
  }

  #receive(message: KernelMessage, buffers: Bytes[]): void {
    switch (message.kind) {
      case 'response':
        this.#settle(message.id)?.resolve({
          status: message.status,
          contentType: message.content_type,
          body: bufferOf(buffers[0]),
        });
        return;
      case 'text':
        this.#streams.get(message.id)?.text(message.data);
        return;
      case 'binary':
        this.#streams.get(message.id)?.binary(buffers[0]);
        return;
      case 'closed': {
        const handlers = this.#streams.get(message.id);
        this.#streams.delete(message.id);
        handlers?.closed(message.code, message.reason);
        return;
      }
      default:
        // A message of a newer kernel half.
        message satisfies never;
    }
  }

  #settle(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting) {
      clearTimeout(waiting.timer);
      this.#waiting.delete(id);
    }
    return waiting;
  }

  #newId(): string {
    this.#lastId += 1;
    return `${this.#prefix}-${this.#lastId}`;
  }
}

function bufferOf(data: Bytes | undefined): ArrayBuffer {
  if (!data) {
    return new ArrayBuffer(0);
  }
  if (data instanceof ArrayBuffer) {
    return data;
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
}
