// One tab of the main area: a view, mounted when the tab is first shown, ended when it is closed.

import { Widget } from '@lumino/widgets';
import { MountedView, type View } from '../../../widgets/src/views/view';
import { compareIcon, modelIcon, productIcon, sessionIcon, trainingIcon } from '../icons';
import type { IEngine } from '../tokens';
import { keyOf, shortName, type Target, type TargetKind } from './target';

const ICONS = {
  training: trainingIcon,
  compare: compareIcon,
  trainings: productIcon,
  session: sessionIcon,
  model: modelIcon,
  models: modelIcon,
};

const VIEWS: Record<TargetKind, () => Promise<View>> = {
  training: async () => (await import('../../../widgets/src/views/training')).trainingView,
  trainings: async () => (await import('../../../widgets/src/views/trainings')).trainingsView,
  compare: async () => (await import('../../../widgets/src/views/compare')).compareView,
  session: async () => (await import('../../../widgets/src/views/session')).sessionView,
  model: async () => (await import('../../../widgets/src/views/models')).modelsView,
  models: async () => (await import('../../../widgets/src/views/models')).modelsView,
};

export class Tab extends Widget {
  readonly #engine: IEngine;
  #target: Target;
  #shown: MountedView | null = null;

  constructor(target: Target, engine: IEngine) {
    super();
    this.#engine = engine;
    this.#target = target;
    this.addClass('jp-JupyterExt-tab');
    this.title.icon = ICONS[target.kind];
    this.title.closable = true;
    this.#label();
  }

  get target(): Target {
    return this.#target;
  }

  /** What the tab shows is called so. */
  rename(name: string): void {
    this.#target = { ...this.#target, name };
    this.#label();
  }

  protected override onAfterAttach(): void {
    void this.#mount();
  }

  override dispose(): void {
    this.#shown?.end();
    super.dispose();
  }

  async #mount(): Promise<void> {
    const { kind, id } = this.#target;
    if (this.#shown === null) {
      const view = await VIEWS[kind]();
      if (this.isDisposed) {
        return;
      }
      this.#shown ??= new MountedView(view, this.node, this.#engine.transport, ({ id: next }) => {
        if (typeof next === 'string') {
          this.#target = { ...this.#target, id: next };
        }
      });
    }
    this.#shown.show(kind === 'model' ? { model: id } : { id });
  }

  #label(): void {
    const { trans } = this.#engine;
    const { kind } = this.#target;
    const titles = {
      trainings: trans.__('Trainings'),
      models: trans.__('Models'),
      compare: trans.__('Comparison'),
    };
    this.title.label = kind in titles ? titles[kind as keyof typeof titles] : shortName(this.#target);
    this.title.caption = keyOf(this.#target);
  }
}
