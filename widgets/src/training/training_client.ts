// The requests that one training's view makes. Paths are those of docs/architecture/02-wire.md.

import type { Range } from '../series/downsampler';
import {
  bytesOf,
  jsonOf,
  type OpenStream,
  type StreamHandlers,
  type Transport,
} from '../transport/transport';
import { type Columns, decodeColumns, type LogPage, type Training } from '../wire';
import type { NewRule } from './rule_box';

export class TrainingClient {
  readonly #transport: Transport;
  readonly #native: string;
  readonly #v1: string;

  constructor(transport: Transport, trainingId: string) {
    const id = encodeURIComponent(trainingId);
    this.#transport = transport;
    this.#native = `/native/trainings/${id}`;
    this.#v1 = `/v1/trainings/${id}`;
  }

  async training(): Promise<Training> {
    return jsonOf<Training>(await this.#transport.request('GET', this.#native));
  }

  /** @param keys Only these metrics; all, if absent. */
  async metrics(buckets: number, range?: Range, keys?: readonly string[]): Promise<Columns> {
    // chain: of a resumed training the curve before it too
    const query = new URLSearchParams({ buckets: String(buckets), chain: '1' });
    if (keys) {
      query.set('keys', keys.join(','));
    }
    if (range) {
      query.set('x', range.axis);
      query.set('from', String(range.from));
      query.set('to', String(range.to));
    }
    return decodeColumns(bytesOf(await this.#transport.request('GET', `${this.#native}/metrics?${query}`)));
  }

  async logTail(lines: number): Promise<LogPage> {
    return jsonOf<LogPage>(await this.#transport.request('GET', `${this.#native}/logs?tail=${lines}`));
  }

  /** Return `limit` bytes of log from `offset`. */
  async logPage(offset: number, limit: number): Promise<LogPage> {
    return jsonOf<LogPage>(
      await this.#transport.request('GET', `${this.#native}/logs?offset=${offset}&limit=${limit}`)
    );
  }

  /** Return where each thread of the worker stands now. */
  async stacks(): Promise<string> {
    return jsonOf<{ text: string }>(await this.#transport.request('GET', `${this.#native}/stacks`)).text;
  }

  async cancel(): Promise<void> {
    bytesOf(await this.#transport.request('POST', `${this.#v1}/cancel`));
  }

  /** Have the engine watch for something; answers how the training stands then. */
  async addRule(rule: NewRule): Promise<Training> {
    return jsonOf<Training>(await this.#transport.request('POST', `${this.#native}/rules`, rule));
  }

  /** Start a run that goes on from this one's last checkpoint. */
  async resume(): Promise<Training> {
    return jsonOf<Training>(await this.#transport.request('POST', `${this.#native}/resume`, {}));
  }

  stream(afterSeq: number, handlers: StreamHandlers): OpenStream {
    return this.#transport.openStream(`${this.#native}/stream?after_seq=${afterSeq}`, handlers);
  }
}
