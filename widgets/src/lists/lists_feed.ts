// The lists of a page, kept current by one stream whoever looks at them: tables, side panel, tabs, status bar.
// The rule: what is shown is what the engine said last. The stream is open only while somebody looks, carries only the
// lists that are looked at, and never starts an engine.

import { Backoff, BROWSER_CLOCK, type Clock } from '../core/backoff';
import { messageOf } from '../core/errors';
import { type OpenStream, ProblemError, type Transport } from '../transport/transport';
import type {
  DebugSession,
  EngineSummary,
  ListName,
  ListsStreamMessage,
  LocalModel,
  ModelPage,
  Training,
} from '../wire';

/** `stopped`: no engine runs, and none is started because somebody looks. */
export type ListsState = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'stopped' | 'starting';

/** The machine, without its models; bytes. */
export type Machine = Omit<ModelPage, 'models'>;

/** What has changed, for who keeps something of it. `null` is everything. */
export type ListsChange = Exclude<ListsStreamMessage, { kind: 'lists' | 'engine' }> | null;

/** How closely somebody looks: at everything, or only at what is news, such as an end. */
export type Closeness = 'all' | 'news';

/** Somebody who looks. */
export interface Follower {
  /** Look on, or look away; nothing is heard then. */
  look(closeness: Closeness | null): void;
}

/** While nobody starts an engine, it is looked for so often, as long as somebody looks. */
const LOOK_MS = 3_000;
/** Those who look away and back within this time, as when tabs are switched, keep the stream. */
const LINGER_MS = 200;

interface Following {
  names: readonly ListName[];
  closeness: Closeness | null;
  onChange(change: ListsChange): void;
}

const feeds = new WeakMap<Transport, ListsFeed>();

export class ListsFeed {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #followers = new Set<Following>();
  readonly #trainings = new Map<string, Training>();
  readonly #sessions = new Map<string, DebugSession>();
  readonly #models = new Map<string, LocalModel>();
  #counts: Record<string, number> = {};
  #machine: Machine | null = null;
  #engine: EngineSummary | null = null;
  #state: ListsState = 'idle';
  #reason = '';
  #query = '';
  #stream: OpenStream | null = null;
  #cancelTimer: (() => void) | null = null;
  #cancelLinger: (() => void) | null = null;
  #version = 0;

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

  /** Grows when a training appeared, is gone, or has another status: what pages of trainings depend on. */
  get version(): number {
    return this.#version;
  }

  /** Trainings by id: the newest hundred at the stream's beginning, all that run, and all that changed since. */
  get trainings(): ReadonlyMap<string, Training> {
    return this.#trainings;
  }

  get sessions(): ReadonlyMap<string, DebugSession> {
    return this.#sessions;
  }

  get models(): ReadonlyMap<string, LocalModel> {
    return this.#models;
  }

  /** How many trainings there are, by status. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  get machine(): Machine | null {
    return this.#machine;
  }

  get engine(): EngineSummary | null {
    return this.#engine;
  }

  /**
   * Take part; nothing is heard until `look`.
   *
   * @param names The lists that are looked at.
   * @param onChange Called after each change, also of the connection; cheap, draws nothing by itself.
   * @param signal Ends it.
   */
  follow(names: readonly ListName[], onChange: (change: ListsChange) => void, signal: AbortSignal): Follower {
    const following: Following = { names, closeness: null, onChange };
    this.#followers.add(following);
    signal.addEventListener('abort', () => {
      this.#followers.delete(following);
      this.#plan();
    });
    return {
      look: closeness => {
        if (following.closeness !== closeness && !signal.aborted) {
          following.closeness = closeness;
          this.#plan();
        }
      },
    };
  }

  /** Put in what an answer said, without waiting for the stream. */
  putModel(model: LocalModel): void {
    this.#models.set(model.id, model);
    this.#tell({ kind: 'model', model });
  }

  putMachine(machine: Machine): void {
    this.#machine = machine;
    this.#tell(null);
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
      const { status, body } = await this.#transport.request('GET', '/native/engine');
      if (status !== 200) {
        const problem = JSON.parse(new TextDecoder().decode(body)) as { detail?: string };
        throw new ProblemError(status, `HTTP ${status}`, problem.detail ?? '');
      }
      this.#open();
    } catch (error) {
      this.#reason = messageOf(error);
      this.#set('stopped');
      this.#lookLater();
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
    return `lists=${names.join(',')}${quiet ? '&quiet=1' : ''}`;
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
    if (this.#state === 'idle') {
      this.#set('connecting');
    }
    const running = this.#transport.isEngineRunning;
    if (running && this.#stream === null && !(await this.#looksRunning())) {
      return;
    }
    if (this.#wanted() !== '') {
      this.#open();
    }
  }

  // Whether to open a stream; without an engine it is looked for again later.
  async #looksRunning(): Promise<boolean> {
    try {
      const isRunning = await this.#transport.isEngineRunning?.();
      if (isRunning === false) {
        this.#reason = '';
        this.#set('stopped');
        this.#lookLater();
      }
      return isRunning !== false;
    } catch (error) {
      this.#reason = messageOf(error);
      this.#set('reconnecting');
      this.#retryLater();
      return false;
    }
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
      closed: code => stream === this.#stream && this.#closed(code),
    });
    this.#stream = stream;
  }

  #closed(code: number): void {
    this.#stream = null;
    this.#reason = code === 1000 ? 'The engine has stopped.' : 'The engine does not answer.';
    this.#set('reconnecting');
    this.#retryLater();
  }

  #retryLater(): void {
    this.#stopTimer();
    this.#cancelTimer = this.#clock.after(this.#backoff.next(), () => {
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
    switch (message.kind) {
      case 'lists':
        this.#backoff.connected();
        this.#replace(message);
        this.#state = 'live';
        this.#reason = '';
        this.#tell(null);
        return;
      case 'training': {
        const { training, counts } = message;
        const before = this.#trainings.get(training.id);
        this.#trainings.set(training.id, training);
        this.#counts = counts ?? this.#counts;
        if (before?.status !== training.status || counts) {
          this.#version += 1;
        }
        break;
      }
      case 'session':
        this.#sessions.set(message.session.id, message.session);
        break;
      case 'model':
        this.#models.set(message.model.id, message.model);
        break;
      case 'removed': {
        const lists = { trainings: this.#trainings, sessions: this.#sessions, models: this.#models };
        lists[message.list].delete(message.id);
        this.#counts = message.counts ?? this.#counts;
        this.#version += 1;
        break;
      }
      case 'engine':
        this.#engine = message.engine;
        this.#tell(null);
        return;
      default:
        // A message of a newer engine.
        message satisfies never;
        return;
    }
    this.#tell(message);
  }

  #replace({ trainings, sessions, models, engine }: Extract<ListsStreamMessage, { kind: 'lists' }>): void {
    this.#engine = engine;
    if (trainings) {
      fill(this.#trainings, trainings.trainings);
      this.#counts = trainings.counts;
      this.#version += 1;
    }
    if (sessions) {
      fill(this.#sessions, sessions);
    }
    if (models) {
      const { models: all, ...machine } = models;
      fill(this.#models, all);
      this.#machine = machine;
    }
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
  return isCloseEnough && names(wants).every(name => names(has).includes(name)) ? 'more' : 'no';
}

function fill<T extends { id: string }>(map: Map<string, T>, all: readonly T[]): void {
  map.clear();
  for (const one of all) {
    map.set(one.id, one);
  }
}
