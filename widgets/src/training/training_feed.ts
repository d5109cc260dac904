// Keeps a view of one training complete: fetch what is stored, stream what follows, and continue after each
// break.
// The rule: `#seq` is the number of the newest thing applied. What is not above it was seen already and is
// dropped.

import { Backoff, BROWSER_CLOCK, type Clock } from '../core/backoff';
import { messageOf } from '../core/errors';
import { LogText } from '../log/log_text';
import { DEFAULT_BUCKETS } from '../series/downsampler';
import { SeriesStore } from '../series/series_store';
import { type OpenStream, ProblemError, refusalOf, type Transport } from '../transport/transport';
import { type Bytes, decodeBatch, type Log, parseMessage, type StreamMessage, type Training } from '../wire';
import { TrainingClient } from './training_client';

/** Lines of log that a new view begins with. */
const TAIL_LINES = 400;

/** Messages held while data are fetched anew; with more it is quicker to begin again. */
const MAX_QUEUE = 5_000;

export type TrainingFeedState =
  | { kind: 'idle' }
  | { kind: 'connecting' }
  | { kind: 'live' }
  /** `since_ms` is the clock's time of the break. */
  | { kind: 'reconnecting'; reason: string; since_ms: number }
  | { kind: 'ended' }
  | { kind: 'unavailable'; reason: string };

/** What a feed needs. */
export interface TrainingFeedOptions {
  transport: Transport;
  trainingId: string;
  /** Called after each change; cheap, draws nothing by itself. */
  onChange: () => void;
  clock?: Clock;
}

type Incoming = { text: string } | { binary: Bytes };

export class TrainingFeed {
  readonly client: TrainingClient;
  readonly series = new SeriesStore();
  readonly log = new LogText();
  readonly #options: TrainingFeedOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #state: TrainingFeedState = { kind: 'idle' };
  #training: Training | null = null;
  #seq: number | null = null;
  #stream: OpenStream | null = null;
  #queue: Incoming[] | null = null;
  #cancelTimer: (() => void) | null = null;
  // Grows when work in flight becomes void.
  #generation = 0;
  #paused = false;
  #reportedAt: number | null = null;

  constructor(options: TrainingFeedOptions) {
    this.#options = options;
    this.#clock = options.clock ?? BROWSER_CLOCK;
    this.#backoff = new Backoff(this.#clock);
    this.client = new TrainingClient(options.transport, options.trainingId);
  }

  get state(): TrainingFeedState {
    return this.#state;
  }

  /** The training as last heard of. */
  get training(): Training | null {
    return this.#training;
  }

  /** When the worker last reported, in milliseconds of the clock; `null` when unknown or ended. */
  get reportedAt(): number | null {
    return this.#reportedAt;
  }

  /** Begin, or try again at once; does nothing while connected or ended. */
  start(): void {
    this.#paused = false;
    if (this.#stream || this.#state.kind === 'connecting' || this.#state.kind === 'ended') {
      return;
    }
    this.#stopTimer();
    if (this.#state.kind !== 'reconnecting') {
      this.#setState({ kind: 'connecting' });
    }
    void this.#connect();
  }

  /** Hold no connection and no timer until the next `start`. */
  pause(): void {
    if (this.#paused || this.#state.kind === 'ended' || this.#state.kind === 'unavailable') {
      return;
    }
    this.#paused = true;
    this.#drop();
    this.#setState({ kind: 'idle' });
  }

  /** Replace a line that may be dead, as after a laptop slept. */
  refresh(): void {
    if (this.#stream) {
      this.#drop();
      this.#setState({ kind: 'connecting' });
      void this.#connect();
    } else {
      this.start();
    }
  }

  dispose(): void {
    this.#paused = true;
    this.#drop();
  }

  async #connect(): Promise<void> {
    const generation = ++this.#generation;
    try {
      if (this.#seq === null) {
        await this.#load(generation);
      }
      if (generation === this.#generation) {
        this.#open(generation);
      }
    } catch (error) {
      if (generation === this.#generation) {
        this.#failed(error);
      }
    }
  }

  // Columns first, log second: what lies between them comes over the stream again and is cut by its offset.
  async #load(generation: number): Promise<void> {
    const loaded = this.client.training().then(training => {
      if (generation === this.#generation) {
        this.#setTraining(training);
        this.#options.onChange();
      }
    });
    const [columns] = await Promise.all([this.client.metrics(DEFAULT_BUCKETS), loaded]);
    if (generation !== this.#generation) {
      return;
    }
    // Until the log is here too, a break begins all anew: the old number would bring these points twice.
    this.#seq = null;
    this.series.load(columns);
    this.#options.onChange();
    const page = await this.client.logTail(TAIL_LINES);
    if (generation !== this.#generation) {
      return;
    }
    this.log.reset(page.offset);
    this.log.write(page.text, page.next_offset);
    this.#seq = columns.seq;
    this.#options.onChange();
  }

  #open(generation: number): void {
    let greeted = false;
    const guard = (message: Incoming) => {
      if (generation !== this.#generation) {
        return;
      }
      try {
        if (!greeted) {
          greeted = true;
          this.#backoff.connected();
        }
        this.#receive(message);
        this.#options.onChange();
      } catch (error) {
        this.#seq = null;
        this.#drop();
        this.#failed(error);
      }
    };
    this.#stream = this.client.stream(this.#seq ?? 0, {
      text: text => guard({ text }),
      binary: binary => guard({ binary }),
      closed: (code, why) => {
        if (generation === this.#generation) {
          this.#stream = null;
          this.#queue = null;
          void this.#closed(greeted, code, why);
        }
      },
    });
  }

  // A WebSocket that never opened does not say why: ask, so that an unknown training is not waited for.
  async #closed(greeted: boolean, code: number, why?: string): Promise<void> {
    let reason: unknown = new Error(refusalOf(code, why) || 'The connection was lost.');
    this.#generation += 1;
    if (!greeted) {
      const mine = this.#generation;
      try {
        await this.client.training();
      } catch (error) {
        reason = error;
      }
      if (mine !== this.#generation) {
        return;
      }
    }
    this.#failed(reason);
  }

  #failed(error: unknown): void {
    if (this.#paused) {
      return;
    }
    const reason = messageOf(error);
    if (error instanceof ProblemError && [401, 403, 404].includes(error.status)) {
      this.#setState({
        kind: 'unavailable',
        reason: error.status === 404 ? reason : 'Sign in to this Jupyter server again.',
      });
      return;
    }
    const since_ms = this.#state.kind === 'reconnecting' ? this.#state.since_ms : this.#clock.now();
    this.#setState({ kind: 'reconnecting', reason, since_ms });
    this.#stopTimer();
    this.#cancelTimer = this.#backoff.retry(() => {
      this.#cancelTimer = null;
      void this.#connect();
    });
  }

  #receive(incoming: Incoming): void {
    if ('binary' in incoming) {
      if (this.#queue) {
        this.#enqueue(incoming);
      } else {
        this.#batch(incoming.binary);
      }
      return;
    }
    const message = parseMessage(incoming.text);
    if (message) {
      this.#message(message, incoming);
    }
  }

  #message(message: StreamMessage, incoming: Incoming): void {
    switch (message.kind) {
      case 'hello':
        this.series.beginConnection();
        this.series.announce(message.series);
        this.#setTraining(message.training);
        this.#setState({ kind: 'live' });
        return;
      case 'state':
        this.#setTraining(message.training);
        return;
      case 'series':
      case 'log':
      case 'end':
        if (this.#queue) {
          this.#enqueue(incoming);
        } else if (message.kind === 'series') {
          this.series.announce(message.series);
        } else if (message.kind === 'log') {
          this.#logChunk(message);
        } else {
          this.#drop();
          this.#setState({ kind: 'ended' });
        }
        return;
      case 'reset':
        void this.#reload();
        return;
      default:
        message satisfies never;
    }
  }

  // Fetch anew on an open stream; what arrives meanwhile waits.
  async #reload(): Promise<void> {
    const generation = this.#generation;
    this.#queue = [];
    try {
      await this.#load(generation);
      if (generation !== this.#generation) {
        return;
      }
      const queue: Incoming[] = this.#queue ?? [];
      this.#queue = null;
      for (const [i, incoming] of queue.entries()) {
        this.#receive(incoming);
        if (this.#queue !== null) {
          (this.#queue as Incoming[]).push(...queue.slice(i + 1));
          return;
        }
      }
      this.#options.onChange();
    } catch (error) {
      if (generation === this.#generation) {
        this.#seq = null;
        this.#drop();
        this.#failed(error);
      }
    }
  }

  #enqueue(incoming: Incoming): void {
    this.#queue?.push(incoming);
    if (this.#queue && this.#queue.length > MAX_QUEUE) {
      throw new Error('Too much arrived while data were fetched.');
    }
  }

  #batch(data: Bytes): void {
    const batch = decodeBatch(data);
    if (this.#seen(batch.seq)) {
      return;
    }
    for (const block of batch.blocks) {
      if (!this.series.append(block)) {
        throw new Error(`Series ${block.index} came without a name.`);
      }
    }
    this.#seq = batch.seq;
    this.#reported();
  }

  #logChunk(message: Log): void {
    if (this.#seen(message.seq)) {
      return;
    }
    const have = this.log.nextOffset;
    if (message.offset > have) {
      // Lines are missing; begin with a new tail rather than show a hole as if it were none.
      void this.#reload();
      return;
    }
    if (message.next_offset > have) {
      this.log.write(
        message.offset === have ? message.text : tailBytes(message.text, have - message.offset),
        message.next_offset
      );
    }
    this.#seq = message.seq;
    this.#reported();
  }

  #seen(seq: number): boolean {
    return this.#seq !== null && seq <= this.#seq;
  }

  #reported(): void {
    this.#reportedAt = this.#clock.now();
  }

  #setTraining(training: Training): void {
    this.#training = training;
    this.#reportedAt = training.silent_s === null ? null : this.#clock.now() - 1000 * training.silent_s;
  }

  #setState(state: TrainingFeedState): void {
    this.#state = state;
    this.#options.onChange();
  }

  #drop(): void {
    this.#generation += 1;
    this.#stream?.close();
    this.#stream = null;
    this.#queue = null;
    this.#stopTimer();
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}

function tailBytes(text: string, skip: number): string {
  return new TextDecoder().decode(new TextEncoder().encode(text).subarray(skip));
}
