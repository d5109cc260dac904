// The status bar's item: what runs, what is loaded, and the memory of both. It has one width, so nothing
// beside it jumps; a click shows the panel.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Widget } from '@lumino/widgets';
import { element, setHidden, setText } from '../../../widgets/src/core/dom';
import { formatBytes } from '../../../widgets/src/core/format';
import { CommandIDs } from '../commands/ids';
import { productIcon } from '../icons';
import { loadedModels, runningSessions, runningTrainings } from '../running/plugin';
import { IEngine } from '../tokens';

const MIB = 2 ** 20;

export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:status',
  description: 'Shows in the status bar what runs and what is loaded.',
  autoStart: true,
  requires: [IEngine],
  optional: [IStatusBar],
  activate: (app: JupyterFrontEnd, engine: IEngine, statusBar: IStatusBar | null) => {
    if (statusBar) {
      const item = new StatusItem(engine, () => void app.commands.execute(CommandIDs.showPanel));
      statusBar.registerStatusItem('jupyter-ext:status', {
        item,
        align: 'left',
        rank: 90,
        isActive: () => true,
      });
    }
  },
};

class StatusItem extends Widget {
  readonly #engine: IEngine;
  readonly #text = element('span', { class: 'jp-JupyterExt-status-text' });
  readonly #ended = new AbortController();
  readonly #button: HTMLButtonElement;
  #isPlanned = false;

  constructor(engine: IEngine, onClick: () => void) {
    super();
    this.#engine = engine;
    this.addClass('jp-JupyterExt-status');
    const icon = element('span', { class: 'jp-JupyterExt-status-icon' });
    productIcon.element({ container: icon, stylesheet: 'statusBar' });
    this.#button = element('button', { attrs: { type: 'button' } }, icon, this.#text);
    this.#button.addEventListener('click', onClick);
    this.node.append(this.#button);
    const { signal } = this.#ended;
    const follower = engine.lists.follow(['trainings', 'sessions', 'models'], () => this.#plan(), signal);
    const look = () => follower.look(document.visibilityState === 'visible' ? 'news' : null);
    document.addEventListener('visibilitychange', look, { signal });
    look();
    this.#draw();
  }

  override dispose(): void {
    this.#ended.abort();
    super.dispose();
  }

  #plan(): void {
    if (!this.#isPlanned) {
      this.#isPlanned = true;
      requestAnimationFrame(() => {
        this.#isPlanned = false;
        this.#draw();
      });
    }
  }

  #draw(): void {
    const { trans, lists } = this.#engine;
    const { data, state } = lists;
    const [numRunning, numSessions, numLoaded] = [runningTrainings, runningSessions, loadedModels].map(
      find => find(lists).length
    );
    const isLive = state === 'live' && data.engine !== null;
    const memory_mib = data.engine
      ? data.engine.memory_mib + data.engine.trainings_mib + data.engine.models_mib
      : 0;
    const counts = isLive
      ? [numRunning && `▸${numRunning}`, numSessions && `‖${numSessions}`, numLoaded && `◆${numLoaded}`]
      : [];
    setText(this.#text, isLive ? [...counts.filter(Boolean), formatBytes(memory_mib * MIB)].join(' ') : '');
    setHidden(this.#text, !isLive);
    const title = isLive
      ? [
          trans._n('%1 training runs', '%1 trainings run', numRunning),
          trans._n('%1 debug session', '%1 debug sessions', numSessions),
          trans._n('%1 model in memory', '%1 models in memory', numLoaded),
          trans.__('Engine, trainings and models: %1', formatBytes(memory_mib * MIB)),
        ].join('\n')
      : state === 'starting'
        ? trans.__('The engine starts')
        : trans.__('The engine is not running');
    this.#button.title = title;
    this.#button.setAttribute(
      'aria-label',
      `${trans.__('Trainings and Models')}: ${title.replaceAll('\n', ', ')}`
    );
    this.node.dataset.state = state;
  }
}
