// Tells what ended, failed, arrived or raised an alert while this page was open and did not show it.
// The rule: only of what this page has started or has open, and never of what is in sight.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { isEnded } from '../../../widgets/src/training/labels';
import type { LocalModel, Training } from '../../../widgets/src/wire';
import { isOfOpenNotebook } from '../cells/open_notebooks';
import { CommandIDs } from '../commands/ids';
import type { Target } from '../tabs/target';
import type { IEngine } from '../tokens';
import { isArriving } from './awaiting';
import { Groups, newestNames } from './groups';
import { isWanted, modelNews, type News, trainingNews } from './news';

const SHOWN_MS = 10_000;
/** A comparison of more would show nothing. */
const MAX_COMPARED = 50;

export class Notifier {
  readonly #app: JupyterFrontEnd;
  readonly #engine: IEngine;
  readonly #notebooks: INotebookTracker | null;
  readonly #trainings: Map<string, Training>;
  readonly #models: Map<string, LocalModel>;
  readonly #endedHidden = new Set<string>();
  readonly #groups = new Groups(id => Notification.manager.has(id));
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
      this.#show(news);
    }
  }

  #show(news: News): void {
    const group = this.#groups.add(news);
    const message = group.news.length > 1 ? this.#textOfMany(group.news) : this.#textOf(news);
    const options = {
      autoClose: news.tone === 'error' ? (false as const) : SHOWN_MS,
      actions: group.news.length > 1 ? this.#actionsOfMany(group.news) : this.#actionsOf(news),
    };
    const cut = message.length > 200 ? `${message.slice(0, 199)}…` : message;
    if (group.notification === null) {
      group.notification = Notification.emit(cut, news.tone, options);
    } else {
      Notification.update({ id: group.notification, message: cut, type: news.tone, ...options });
    }
  }

  #textOf({ what, name, detail }: News): string {
    const { trans } = this.#engine;
    return {
      ended: trans.__('Training %1 succeeded.', name),
      failed: trans.__('Training %1 failed: %2', name, detail),
      alert: `${name}: ${detail}`,
      downloaded: trans.__('%1 is downloaded.', name),
      download_failed: trans.__('The download of %1 failed: %2', name, detail),
    }[what];
  }

  #textOfMany(news: News[]): string {
    const { trans } = this.#engine;
    const { what, name, detail } = news[news.length - 1] as News;
    const { names, numMore } = newestNames(news);
    const all = numMore > 0 ? trans.__('%1 and %2 more', names, numMore) : names;
    return {
      ended: trans.__('%1 trainings succeeded: %2.', news.length, all),
      failed: trans.__('%1 trainings failed, the last one %2: %3', news.length, name, detail),
      alert: trans.__('%1: %2 (the last of %3 alerts)', name, detail, news.length),
      downloaded: trans.__('%1 models are downloaded: %2.', news.length, all),
      download_failed: trans.__('%1 downloads failed, the last one of %2: %3', news.length, name, detail),
    }[what];
  }

  #actionsOf({ kind, id, name, what, canResume }: News): Notification.IAction[] {
    const { trans } = this.#engine;
    const open = this.#action(what === 'failed' ? trans.__('Show Error') : trans.__('Open'), {
      kind,
      id,
      name,
    });
    const resume = () => void this.#app.commands.execute(CommandIDs.act, { kind, id, action: 'resume' });
    return canResume ? [open, { label: trans.__('Resume'), callback: resume }] : [open];
  }

  #actionsOfMany(news: News[]): Notification.IAction[] {
    const { trans } = this.#engine;
    const last = news[news.length - 1] as News;
    if (last.kind === 'model') {
      return [this.#action(trans.__('Open'), { kind: 'models', id: '' })];
    }
    if (last.what !== 'ended') {
      return this.#actionsOf({ ...last, canResume: false });
    }
    const ids = [...new Set(news.map(({ id }) => id))].slice(-MAX_COMPARED);
    return [this.#action(trans.__('Compare'), { kind: 'compare', id: ids.join(',') })];
  }

  #action(label: string, target: Target): Notification.IAction {
    const callback = () => void this.#app.commands.execute(CommandIDs.open, { ...target });
    return { label, callback, displayType: 'accent' };
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
