// The list of models for one view: what the notebook saved, until the page's feed has heard of the engine's own.

import type { Machine } from '../lists/lists_data';
import type { Follower, ListsFeed } from '../lists/lists_feed';
import type { LocalModel, ModelPage } from '../wire';

export type ModelsFeedState = 'idle' | 'connecting' | 'live' | 'reconnecting';

export class ModelsFeed {
  readonly #lists: ListsFeed;
  readonly #snapshot: ModelPage | null;
  readonly #follower: Follower;

  /** @param onChange Called after each change; cheap, draws nothing by itself. */
  constructor(lists: ListsFeed, snapshot: ModelPage | null, onChange: () => void, signal: AbortSignal) {
    this.#lists = lists;
    this.#snapshot = snapshot;
    this.#follower = lists.follow(
      ['models'],
      change => {
        if (change === null || change.kind === 'model' || change.kind === 'removed') {
          onChange();
        }
      },
      signal
    );
  }

  get state(): ModelsFeedState {
    switch (this.#lists.state) {
      case 'live':
        return this.#isHeard ? 'live' : 'connecting';
      case 'starting': // again, where it was heard before: what is shown is not current until it is heard anew
        return this.#isHeard ? 'reconnecting' : 'connecting';
      case 'stopped':
        return 'reconnecting';
      default:
        return this.#lists.state;
    }
  }

  /** Why there is no connection. */
  get reason(): string {
    return this.#lists.reason || (this.#lists.state === 'stopped' ? 'The engine is not running.' : '');
  }

  /** Why the engine refuses the stream; empty while it does not. */
  get refusal(): string {
    return this.#lists.refusal;
  }

  /** The machine as last heard of. */
  get machine(): Machine | null {
    if (this.#isHeard || this.#snapshot === null) {
      return this.#lists.data.machine;
    }
    const { models: _models, ...machine } = this.#snapshot;
    return machine;
  }

  /** All models, by name. */
  get models(): LocalModel[] {
    const all = this.#isHeard ? this.#lists.data.models.values() : (this.#snapshot?.models ?? []);
    return [...all].sort(
      (a, b) => a.name.toLowerCase().localeCompare(b.name.toLowerCase()) || a.id.localeCompare(b.id)
    );
  }

  /** Begin, or go on after `pause`. An output that is looked at needs the engine, and starts it. */
  start(): void {
    this.#follower.look('all', true);
  }

  /** Look away until the next `start`. */
  pause(): void {
    this.#follower.look(null);
  }

  /** Put in what an answer said of a model, without waiting for the stream. */
  put(model: LocalModel): void {
    this.#lists.putModel(model);
  }

  get #isHeard(): boolean {
    return this.#lists.data.has('models');
  }
}
