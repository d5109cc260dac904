// Keeps the list of models current: the engine tells the whole of it when a stream opens and each change
// after.
// The rule: what is shown is what the engine said last. After a break the stream begins with the whole list
// again.

import { Backoff, BROWSER_CLOCK, type Clock } from '../core/backoff';
import type { OpenStream } from '../transport/transport';
import type { LocalModel, ModelPage } from '../wire';
import type { ModelsClient } from './models_client';

type ModelsMessage =
  | { kind: 'models'; page: ModelPage }
  | { kind: 'model'; model: LocalModel }
  | { kind: 'removed'; id: string };

export type ModelsFeedState = 'idle' | 'connecting' | 'live' | 'reconnecting';

/** The machine, without its models; bytes. */
export type Machine = Omit<ModelPage, 'models'>;

/** After a change of state the machine's free memory is asked for again, but not more often than this. */
const MACHINE_MS = 400;

export class ModelsFeed {
  readonly #client: ModelsClient;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #backoff: Backoff;
  readonly #models = new Map<string, LocalModel>();
  #machine: Machine | null = null;
  #state: ModelsFeedState = 'idle';
  #stream: OpenStream | null = null;
  #reason = '';
  #stopRetry: (() => void) | null = null;
  #stopMachine: (() => void) | null = null;

  /** @param onChange Called after each change; cheap, draws nothing by itself. */
  constructor(
    client: ModelsClient,
    snapshot: ModelPage | null,
    onChange: () => void,
    clock: Clock = BROWSER_CLOCK
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#backoff = new Backoff(clock);
    if (snapshot) {
      this.#replace(snapshot);
    }
  }

  get state(): ModelsFeedState {
    return this.#state;
  }

  /** Why there is no connection. */
  get reason(): string {
    return this.#reason;
  }

  /** The machine as last heard of. */
  get machine(): Machine | null {
    return this.#machine;
  }

  /** All models, by name. */
  get models(): LocalModel[] {
    return [...this.#models.values()].sort(
      (a, b) => a.name.toLowerCase().localeCompare(b.name.toLowerCase()) || a.id.localeCompare(b.id)
    );
  }

  get(id: string): LocalModel | undefined {
    return this.#models.get(id);
  }

  /** Begin, or go on after `pause`. */
  start(): void {
    if (this.#stream || this.#stopRetry) {
      return;
    }
    if (this.#state === 'idle') {
      this.#set('connecting');
    }
    this.#connect();
  }

  /** Hold no connection and no timer until the next `start`. */
  pause(): void {
    this.#stream?.close();
    this.#stream = null;
    this.#stopRetry?.();
    this.#stopRetry = null;
    this.#stopMachine?.();
    this.#stopMachine = null;
    this.#set('idle');
  }

  /** Put in what an answer said of a model, without waiting for the stream. */
  put(model: LocalModel): void {
    this.#models.set(model.id, model);
    this.#onChange();
  }

  #connect(): void {
    this.#stream = this.#client.stream({
      text: data => this.#apply(JSON.parse(data) as ModelsMessage),
      binary: () => undefined,
      closed: code => this.#closed(code),
    });
  }

  #closed(code: number): void {
    this.#stream = null;
    this.#reason = code === 1000 ? 'The engine has stopped.' : 'The engine does not answer.';
    this.#set('reconnecting');
    this.#stopRetry = this.#clock.after(this.#backoff.next(), () => {
      this.#stopRetry = null;
      this.#connect();
    });
  }

  #apply(message: ModelsMessage): void {
    switch (message.kind) {
      case 'models':
        this.#backoff.connected();
        this.#replace(message.page);
        this.#set('live');
        return;
      case 'model': {
        const before = this.#models.get(message.model.id);
        this.#models.set(message.model.id, message.model);
        if (before?.state !== message.model.state) {
          this.#askMachine();
        }
        break;
      }
      case 'removed':
        this.#models.delete(message.id);
        this.#askMachine();
        break;
      default:
        // A message of a newer engine.
        message satisfies never;
        return;
    }
    this.#onChange();
  }

  #askMachine(): void {
    this.#stopMachine ??= this.#clock.after(MACHINE_MS, () => {
      this.#stopMachine = null;
      this.#client.page().then(
        ({ models: _models, ...machine }) => {
          this.#machine = machine;
          this.#onChange();
        },
        () => undefined // the stream tells that the engine is gone
      );
    });
  }

  #replace({ models, ...machine }: ModelPage): void {
    this.#machine = machine;
    this.#models.clear();
    for (const model of models) {
      this.#models.set(model.id, model);
    }
  }

  #set(state: ModelsFeedState): void {
    if (state !== 'idle' || this.#state !== 'idle') {
      this.#state = state;
      this.#onChange();
    }
  }
}
