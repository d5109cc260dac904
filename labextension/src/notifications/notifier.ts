// Tells what ended, failed, arrived or raised an alert while this page was open and did not show it.
// The rule: only of what this page has started or has open, and never of what is in sight.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { isEnded } from '../../../widgets/src/training/labels';
import type { LocalModel, Training } from '../../../widgets/src/wire';
import { isOfOpenNotebook } from '../cells/open_notebooks';
import { CommandIDs } from '../commands/ids';
import type { IEngine } from '../tokens';
import { isArriving } from './awaiting';
import { isWanted, modelNews, type News, trainingNews } from './news';

const SHOWN_MS = 10_000;

export class Notifier {
  readonly #app: JupyterFrontEnd;
  readonly #engine: IEngine;
  readonly #notebooks: INotebookTracker | null;
  readonly #trainings: Map<string, Training>;
  readonly #models: Map<string, LocalModel>;
  readonly #endedHidden = new Set<string>();
  #title: string | null = null;

  /** @param before What was known when the page began to load this. */
  constructor(
    app: JupyterFrontEnd,
    engine: IEngine,
    notebooks: INotebookTracker | null,
    before: { trainings: Map<string, Training>; models: Map<string, LocalModel> }
  ) {
    const { lists } = engine;
    this.#app = app;
    this.#engine = engine;
    this.#notebooks = notebooks;
    this.#trainings = before.trainings;
    this.#models = before.models;
    const follower = lists.follow(
      ['trainings', 'models'],
      change => {
        if (change === null) {
          this.#catchUp();
        } else if (change.kind === 'training') {
          this.#training(change.training);
        } else if (change.kind === 'model') {
          this.#model(change.model);
        }
        look();
      },
      new AbortController().signal
    );
    // A hidden page keeps its quiet stream only while something runs whose end is to be told.
    const look = () =>
      follower.look(document.visibilityState === 'hidden' && this.#isAwaiting() ? 'news' : null);
    this.#catchUp();
    document.addEventListener('visibilitychange', () => {
      look();
      if (document.visibilityState === 'visible') {
        this.#endedHidden.clear();
        this.#drawTitle();
      }
    });
  }

  #isAwaiting(): boolean {
    return (
      [...this.#trainings.values()].some(
        ({ id, status, started_from: from }) => !isEnded(status) && this.#isWatched(id, from?.cell)
      ) || [...this.#models.values()].some(model => isArriving(model) && this.#isWatched(model.id))
    );
  }

  // The whole lists came: what ended while there was no stream is told too.
  #catchUp(): void {
    const { data } = this.#engine.lists;
    for (const training of data.trainings.values()) {
      this.#training(training);
    }
    for (const model of data.models.values()) {
      this.#model(model);
    }
  }

  #training(training: Training): void {
    const before = this.#trainings.get(training.id);
    this.#trainings.set(training.id, training);
    for (const news of before === training ? [] : trainingNews(before, training)) {
      if (this.#isWatched(training.id, training.started_from?.cell)) {
        this.#tell(news);
      }
    }
  }

  #model(model: LocalModel): void {
    const before = this.#models.get(model.id);
    this.#models.set(model.id, model);
    for (const news of before === model ? [] : modelNews(before, model)) {
      if (this.#isWatched(model.id)) {
        this.#tell(news);
      }
    }
  }

  // What nobody here started or opened is another's: of a script, another browser, a service.
  #isWatched(id: string, cell?: string): boolean {
    const { started, tabs } = this.#engine;
    return (
      started.has(id) ||
      [...tabs].some(target => target.id.split(',').includes(id)) ||
      isOfOpenNotebook(this.#notebooks, id, cell)
    );
  }

  #tell(news: News): void {
    const { values } = this.#engine.settings;
    const isHidden = document.visibilityState === 'hidden';
    if (isHidden && values.title && (news.what === 'ended' || news.what === 'failed')) {
      this.#endedHidden.add(`${news.tone === 'error' ? '✗' : '✓'} ${news.name}`);
      this.#drawTitle();
    }
    if (isWanted(news, values.notifications) && (isHidden || !isInSight(news.id))) {
      Notification.emit(this.#textOf(news), news.tone === 'info' ? 'info' : news.tone, {
        autoClose: news.tone === 'error' ? false : SHOWN_MS,
        actions: this.#actionsOf(news),
      });
    }
  }

  #textOf({ what, name, detail }: News): string {
    const { trans } = this.#engine;
    const text = {
      ended: trans.__('Training %1 succeeded.', name),
      failed: trans.__('Training %1 failed: %2', name, detail),
      alert: `${name}: ${detail}`,
      downloaded: trans.__('%1 is downloaded.', name),
      download_failed: trans.__('The download of %1 failed: %2', name, detail),
    }[what];
    return text.length > 200 ? `${text.slice(0, 199)}…` : text;
  }

  #actionsOf({ kind, id, name, what, canResume }: News): Notification.IAction[] {
    const { trans } = this.#engine;
    const run = (command: string, args: Record<string, string>) => () =>
      void this.#app.commands.execute(command, args);
    const open: Notification.IAction = {
      label: what === 'failed' ? trans.__('Show Error') : trans.__('Open'),
      callback: run(CommandIDs.open, { kind, id, name }),
      displayType: 'accent',
    };
    return canResume
      ? [open, { label: trans.__('Resume'), callback: run(CommandIDs.act, { kind, id, action: 'resume' }) }]
      : [open];
  }

  // `✓ digits — JupyterLab` until the page is looked at again.
  #drawTitle(): void {
    const ended = [...this.#endedHidden].at(-1);
    if (ended !== undefined) {
      this.#title ??= document.title;
      document.title = `${ended} — ${this.#title}`;
    } else if (this.#title !== null) {
      document.title = this.#title;
      this.#title = null;
    }
  }
}

/** Whether a panel, a tab or a row of the side panel on the screen shows it. */
function isInSight(id: string): boolean {
  const marks = document.querySelectorAll<HTMLElement>('.jx-id, .jx-side-row');
  return [...marks].some(mark => {
    if (mark.title !== id && mark.dataset.id !== id) {
      return false;
    }
    const box = mark.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < window.innerHeight;
  });
}
