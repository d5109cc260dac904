// The empty frame of the side panel, which is all of it that a page holds until it is shown.

import type { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';
import type { IEngine } from '../tokens';

export class PanelShell extends Widget {
  readonly #engine: IEngine;
  readonly #commands: CommandRegistry;
  readonly #ended = new AbortController();
  #mounted = false;

  constructor(engine: IEngine, commands: CommandRegistry) {
    super();
    this.#engine = engine;
    this.#commands = commands;
    this.addClass('jp-JupyterExt-panel');
  }

  override dispose(): void {
    this.#ended.abort();
    super.dispose();
  }

  protected override onAfterShow(): void {
    void this.#mount();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) {
      void this.#mount();
    }
  }

  async #mount(): Promise<void> {
    if (!this.#mounted) {
      this.#mounted = true;
      const { mountPanel } = await import('./panel');
      mountPanel(this.node, this.#engine, this.#commands, this.#ended.signal);
    }
  }
}
