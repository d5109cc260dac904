// Whether an engine runs. Looking never starts one: a page that is merely open costs no process.

import { Signal } from '@lumino/signaling';
import type { ServerTransport } from '../../../widgets/src/transport/server';

/** `unknown` until somebody has looked. */
export type EngineCondition = 'unknown' | 'running' | 'starting' | 'stopped';

export class EngineState {
  readonly changed = new Signal<this, EngineCondition>(this);
  readonly #transport: ServerTransport;
  #condition: EngineCondition = 'unknown';
  #reason = '';

  constructor(transport: ServerTransport) {
    this.#transport = transport;
  }

  get condition(): EngineCondition {
    return this.#condition;
  }

  /** Why it could not be started. */
  get reason(): string {
    return this.#reason;
  }

  /** Ask the server, which looks for the engine and starts none. */
  async look(): Promise<EngineCondition> {
    if (this.#condition !== 'starting') {
      try {
        this.set((await this.#transport.isEngineRunning()) ? 'running' : 'stopped');
      } catch {
        this.set('stopped');
      }
    }
    return this.#condition;
  }

  /** Start the engine; somebody asked for it. */
  async start(): Promise<void> {
    this.#reason = '';
    this.set('starting');
    const answer = await this.#transport.request('GET', '/native/engine').catch(() => null);
    if (answer?.status === 200) {
      this.set('running');
      return;
    }
    this.#reason = 'The engine could not be started; %engine doctor says what is in its way.';
    this.set('stopped');
  }

  set(condition: EngineCondition): void {
    if (condition !== this.#condition) {
      this.#condition = condition;
      this.changed.emit(condition);
    }
  }
}
