// The lists of a page, kept current by one stream whoever looks at them: tables, side panel, tabs, status bar.
// The rule: what is shown is what the engine said last. The stream is open only while somebody looks, carries only the
// lists that are looked at, and starts no engine unless an output is looked at, which needs one.

import { Backoff, BROWSER_CLOCK, type Clock } from '../core/backoff';
import { messageOf } from '../core/errors';
import { jsonOf, type OpenStream, reasonOfEnd, refusalOf, type Transport } from '../transport/transport';
import type { ListName, ListsStreamMessage, LocalModel, ModelPage } from '../wire';
import { ListsData } from './lists_data';

/** `stopped`: no engine runs, and none is started because somebody looks. */
export type ListsState = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'stopped' | 'starting';

/** What has changed, for who keeps something of it. `null` is everything. */
export type ListsChange = Exclude<ListsStreamMessage, { kind: 'lists' | 'engine' }> | null;

/** How closely somebody looks: at everything, or only at what is news, such as an end. */
export type Closeness = 'all' | 'news';

/** Somebody who looks. */
export interface Follower {
  /**
   * Look on, or look away; nothing is heard then.
   *
   * @param needsEngine Whether an engine is started where none runs, and kept from ending: an output is looked at.
   */
  look(closeness: Closeness | null, needsEngine?: boolean): void;
}

/** While nobody starts an engine, it is looked for so often, as long as somebody looks. */
const LOOK_MS = 3_000;
/** After a model's state changed, the machine's free memory is asked for again, but not more often than this. */
const MACHINE_MS = 400;
/** Those who look away and back within this time, as when tabs are switched, keep the stream. */
const LINGER_MS = 200;

interface Following {
  names: readonly ListName[];
  closeness: Closeness | null;
  needsEngine: boolean;
  onChange(change: ListsChange): void;
}

const feeds = new WeakMap<Transport, ListsFeed>();

export class ListsFeed {
  /** What is known. */
  readonly data = new ListsData();
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #followers = new Set<Following>();
  #state: ListsState = 'idle';
  #reason = '';
  #refusal = '';
  #query = '';
  #stream: OpenStream | null = null;
  #cancelTimer: (() => void) | null = null;
  #cancelLinger: (() => void) | null = null;
  #cancelMachine: (() => void) | null = null;
  #isConnecting = false;

  /** @param clock Of the browser, replaced in tests. */
  constructor(transport: Transport, clock: Clock = BROWSER_CLOCK) {
    this.#transport = transport;
    this.#clock = clock;
    this.#backoff = new Backoff(clock);
  }

  /** Return the one feed of a transport. */
  static of(transport: Transport): ListsFeed {
    let feed = feeds.get(transport);
    if (!feed) {
      feed = new ListsFeed(transport);
      feeds.set(transport, feed);
    }
    return feed;
  }

  get state(): ListsState {
    return this.#state;
  }

  /** Why there is no connection. */
  get reason(): string {
    return this.#reason;
  }

  /** Why the engine refuses the stream; empty while it does not. */
  get refusal(): string {
    return this.#state === 'reconnecting' ? this.#refusal : '';
  }

  /**
   * Take part; nothing is heard until `look`.
   *
   * @param names The lists that are looked at.
   * @param onChange Called after each change, also of the connection; cheap, draws nothing by itself.
   * @param signal Ends it.
   */
  follow(names: readonly ListName[], onChange: (change: ListsChange) => void, signal: AbortSignal): Follower {
    const following: Following = { names, closeness: null, needsEngine: false, onChange };
    this.#followers.add(following);
    signal.addEventListener('abort', () => {
      this.#followers.delete(following);
      this.#plan();
    });
    return {
      look: (closeness, needsEngine = false) => {
        const isOther = following.closeness !== closeness || following.needsEngine !== needsEngine;
        if (isOther && !signal.aborted) {
          following.closeness = closeness;
          following.needsEngine = needsEngine;
          this.#plan();
        }
      },
    };
  }

  /** Put in what an answer said of a model, without waiting for the stream. */
  putModel(model: LocalModel): void {
    this.data.models.set(model.id, model);
    this.#tell({ kind: 'model', model });
  }

  /** Try at once: somebody knows, or has reason to think, that an engine runs now. */
  hurry(): void {
    if (this.#wanted() && !this.#stream) {
      this.#stopTimer();
      void this.#connect();
    }
  }

  /** Start the engine, because somebody asked for it. */
  async start(): Promise<void> {
    this.#stopTimer();
    this.#set('starting');
    try {
      const way = this.#transport;
      jsonOf<unknown>(await (way.startEngine?.() ?? way.request('GET', '/native/engine')));
      this.#set('connecting');
      this.#open();
    } catch (error) {
      this.#reason = messageOf(error);
      this.#set('stopped');
      this.#lookLater(this.#isNeeded() ? this.#backoff.next() : LOOK_MS);
    }
  }

  // The lists that are looked at, by all together, and how closely.
  #wanted(): string {
    const active = [...this.#followers].filter(({ closeness }) => closeness !== null);
    if (active.length === 0) {
      return '';
    }
    const names = [...new Set(active.flatMap(({ names }) => names))].sort();
    const quiet = active.every(({ closeness }) => closeness === 'news');
    return `lists=${names.join(',')}${quiet ? '&quiet=1' : ''}${this.#isNeeded() ? '&keep=1' : ''}`;
  }

  #plan(): void {
    const wanted = this.#wanted();
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    if (wanted !== '' && (this.#stream === null || covers(this.#query, wanted) === 'no')) {
      if (this.#state !== 'stopped' && this.#state !== 'starting') {
        this.#stopTimer();
        void this.#connect();
      } else if (this.#cancelTimer === null && this.#state === 'stopped') {
        this.#lookLater(0);
      }
    } else if (wanted === '' || covers(this.#query, wanted) === 'more') {
      this.#cancelLinger = this.#clock.after(LINGER_MS, () => {
        this.#cancelLinger = null;
        this.#settle();
      });
    }
  }

  // Nobody has looked again: hold no more than is looked at.
  #settle(): void {
    const wanted = this.#wanted();
    if (wanted === '') {
      this.#stopTimer();
      this.#close();
      if (this.#state !== 'stopped' && this.#state !== 'starting') {
        this.#set('idle');
      }
    } else if (this.#stream && covers(this.#query, wanted) === 'more') {
      this.#open();
    }
  }

  async #connect(): Promise<void> {
    if (this.#isConnecting) {
      return;
    }
    if (this.#state === 'idle') {
      this.#set('connecting');
    }
    if (this.#stream === null && this.#transport.isEngineRunning) {
      this.#isConnecting = true;
      const isRunning = await this.#looksRunning();
      this.#isConnecting = false;
      if (!isRunning) {
        return;
      }
    }
    this.#open();
  }

  // Whether to open a stream; without an engine it is looked for again later.
  async #looksRunning(): Promise<boolean> {
    try {
      const isRunning = await this.#transport.isEngineRunning?.();
      if (isRunning === false && !(this.#isNeeded() && this.#transport.mayStart?.() !== false)) {
        this.#reason = '';
        this.#set('stopped');
        this.#lookLater();
        return false;
      }
      if (isRunning === false) {
        void this.start();
        return false;
      }
      return true;
    } catch (error) {
      this.#reason = messageOf(error);
      this.#refusal = '';
      this.#set('reconnecting');
      this.#retryLater();
      return false;
    }
  }

  #isNeeded(): boolean {
    return [...this.#followers].some(({ closeness, needsEngine }) => closeness !== null && needsEngine);
  }

  #open(): void {
    const wanted = this.#wanted();
    if (wanted === '') {
      return;
    }
    this.#close();
    this.#stopTimer();
    this.#query = wanted;
    const way = this.#transport.running ?? this.#transport;
    const stream = way.openStream(`/native/lists/stream?${wanted}`, {
      text: data => stream === this.#stream && this.#apply(JSON.parse(data) as ListsStreamMessage),
      binary: () => undefined,
      closed: (code, reason) => stream === this.#stream && this.#closed(code, reason),
    });
    this.#stream = stream;
  }

  #closed(code: number, reason?: string): void {
    this.#stream = null;
    const isNews = this.#state === 'reconnecting' && this.refusal !== refusalOf(code, reason);
    this.#reason = reasonOfEnd(code, reason);
    this.#refusal = refusalOf(code, reason);
    this.#set('reconnecting');
    if (isNews) {
      this.#tell(null);
    }
    this.#retryLater();
  }

  #retryLater(): void {
    this.#stopTimer();
    this.#cancelTimer = this.#backoff.retry(() => {
      this.#cancelTimer = null;
      void this.#connect();
    });
  }

  #lookLater(ms: number = LOOK_MS): void {
    this.#stopTimer();
    if (this.#wanted() !== '') {
      this.#cancelTimer = this.#clock.after(ms, () => {
        this.#cancelTimer = null;
        void this.#connect();
      });
    }
  }

  #apply(message: ListsStreamMessage): void {
    if (this.data.apply(message)) {
      this.#askMachine();
    }
    if (message.kind === 'lists') {
      this.#backoff.connected();
      this.#state = 'live';
      this.#reason = '';
    }
    this.#tell(message.kind === 'lists' || message.kind === 'engine' ? null : message);
  }

  #askMachine(): void {
    this.#cancelMachine ??= this.#clock.after(MACHINE_MS, () => {
      this.#cancelMachine = null;
      (this.#transport.running ?? this.#transport)
        .request('GET', '/native/models')
        .then(jsonOf<ModelPage>)
        .then(
          ({ models: _models, ...machine }) => {
            this.data.machine = machine;
            this.#tell(null);
          },
          () => undefined // the stream tells that the engine is gone
        );
    });
  }

  #set(state: ListsState): void {
    if (state !== this.#state) {
      this.#state = state;
      this.#tell(null);
    }
  }

  #tell(change: ListsChange): void {
    for (const { onChange } of [...this.#followers]) {
      onChange(change);
    }
  }

  #close(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#cancelMachine?.();
    this.#cancelMachine = null;
    stream?.close();
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}

// Whether a stream carries what is wanted: exactly, more than that, or less.
function covers(query: string, wanted: string): 'exactly' | 'more' | 'no' {
  if (query === wanted) {
    return 'exactly';
  }
  const [has, wants] = [query, wanted].map(text => new URLSearchParams(text));
  const names = (of: URLSearchParams) => (of.get('lists') ?? '').split(',');
  const isCloseEnough = !has.has('quiet') || wants.has('quiet');
  const isKeptEnough = has.has('keep') || !wants.has('keep');
  return isCloseEnough && isKeptEnough && names(wants).every(name => names(has).includes(name))
    ? 'more'
    : 'no';
}
