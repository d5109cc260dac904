// What the engine has said of its lists.

import type {
  DebugSession,
  EngineSummary,
  ListName,
  ListsMessage,
  ListsStreamMessage,
  LocalModel,
  ModelPage,
  Training,
} from '../wire';

/** The machine, without its models; bytes. */
export type Machine = Omit<ModelPage, 'models'>;

export class ListsData {
  /** Trainings by id: the newest hundred at the stream's beginning, all that run, and all that changed since. */
  readonly trainings = new Map<string, Training>();
  readonly sessions = new Map<string, DebugSession>();
  readonly models = new Map<string, LocalModel>();
  /** How many trainings there are, by status. */
  counts: Readonly<Record<string, number>> = {};
  machine: Machine | null = null;
  engine: EngineSummary | null = null;
  /** Grows when a training appeared, is gone, or has another status: what pages of trainings depend on. */
  version = 0;
  readonly #known = new Set<ListName>();

  /** Return whether a list was ever heard of. */
  has(name: ListName): boolean {
    return this.#known.has(name);
  }

  /** Take a message in; returns whether the machine's free memory or disk may be another since. */
  apply(message: ListsStreamMessage): boolean {
    switch (message.kind) {
      case 'lists':
        this.#replace(message);
        return false;
      case 'training': {
        const { training, counts } = message;
        const before = this.trainings.get(training.id);
        this.trainings.set(training.id, training);
        this.counts = counts ?? this.counts;
        if (before?.status !== training.status || counts) {
          this.version += 1;
        }
        return false;
      }
      case 'session':
        this.sessions.set(message.session.id, message.session);
        return false;
      case 'model': {
        const before = this.models.get(message.model.id);
        this.models.set(message.model.id, message.model);
        return before?.state !== message.model.state;
      }
      case 'removed':
        this[message.list].delete(message.id);
        this.counts = message.counts ?? this.counts;
        this.version += 1;
        return message.list === 'models';
      case 'engine':
        this.engine = message.engine;
        return false;
      default:
        // A message of a newer engine.
        message satisfies never;
        return false;
    }
  }

  #replace({ trainings, sessions, models, engine }: ListsMessage): void {
    this.engine = engine;
    if (trainings) {
      fill(this.trainings, trainings.trainings);
      this.counts = trainings.counts;
      this.version += 1;
      this.#known.add('trainings');
    }
    if (sessions) {
      fill(this.sessions, sessions);
      this.#known.add('sessions');
    }
    if (models) {
      const { models: all, ...machine } = models;
      fill(this.models, all);
      this.machine = machine;
      this.#known.add('models');
    }
  }
}

function fill<T extends { id: string }>(map: Map<string, T>, all: readonly T[]): void {
  map.clear();
  for (const one of all) {
    map.set(one.id, one);
  }
}
