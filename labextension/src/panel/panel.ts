// What the side panel shows: the engine's state, a search, and one section each for trainings, debug
// sessions and models.
// The rule: it follows the page's one list stream while it is in sight, and starts nothing by itself.

import type { CommandRegistry } from '@lumino/commands';
import { Menu } from '@lumino/widgets';
import { button, element, setHidden, setText } from '../../../widgets/src/core/dom';
import { DrawScheduler } from '../../../widgets/src/core/draw_scheduler';
import { formatBytes } from '../../../widgets/src/core/format';
import { addStyles } from '../../../widgets/src/core/styles';
import { isEnded } from '../../../widgets/src/training/labels';
import { FIRST_CELLS } from '../cells/sources';
import { actionsOf, labelOf } from '../commands/actions';
import { CommandIDs } from '../commands/ids';
import { modelIcon, sessionIcon, trainingIcon } from '../icons';
import type { IEngine } from '../tokens';
import { Curves, pathOf } from './curves';
import { makeDraggable } from './drag';
import { CURVE_HEIGHT, CURVE_WIDTH } from './row_view';
import { fits, type Item, metricOf, type Row, rowOf } from './rows';
import { Section } from './section';
import { PANEL_STYLES } from './styles';

/** Rows of a section; the rest is in its tab. */
const MAX_ROWS = 40;
const TICK_MS = 1_000;
const MIB = 2 ** 20;
const KINDS = ['training', 'session', 'model'] as const;
type Kind = (typeof KINDS)[number];
const EXPORTS = [
  ['csv', 'CSV'],
  ['parquet', 'Parquet'],
  ['tensorboard', 'TensorBoard'],
] as const;

/** Draw the panel until `signal` aborts. */
export function mountPanel(
  place: HTMLElement,
  engine: IEngine,
  commands: CommandRegistry,
  signal: AbortSignal
): void {
  new SidePanel(place, engine, commands, signal);
}

class SidePanel {
  readonly #engine: IEngine;
  readonly #commands: CommandRegistry;
  readonly #signal: AbortSignal;
  readonly #curves: Curves;
  readonly #sections: Record<Kind, Section>;
  readonly #scheduler: DrawScheduler;
  readonly #search: HTMLInputElement;
  readonly #filter: HTMLSelectElement;
  readonly #state = element('span', { class: 'jx-side-state', attrs: { role: 'status' } });
  readonly #memory = element('span', { class: 'jx-side-memory' });
  readonly #start: HTMLButtonElement;
  #drawnAt = -Infinity;

  constructor(place: HTMLElement, engine: IEngine, commands: CommandRegistry, signal: AbortSignal) {
    const { trans, lists, transport, settings } = engine;
    this.#engine = engine;
    this.#commands = commands;
    this.#signal = signal;
    this.#curves = new Curves(transport.running, () => this.#scheduler.request());
    this.#search = element('input', {
      attrs: { type: 'search', placeholder: trans.__('Search'), 'aria-label': trans.__('Search') },
    });
    this.#filter = element(
      'select',
      { attrs: { 'aria-label': trans.__('Which') } },
      element('option', { text: trans.__('All'), attrs: { value: '' } }),
      element('option', { text: trans.__('Active'), attrs: { value: 'active' } }),
      element('option', { text: trans.__('Failed'), attrs: { value: 'failed' } })
    );
    this.#start = button(
      { class: 'jx-button jx-primary', text: trans.__('Start') },
      () => void lists.start(),
      signal
    );
    this.#sections = {
      training: this.#makeSection(
        'training',
        trans.__('Trainings'),
        trans.__('Open the Table of Trainings'),
        {
          text: trans.__(
            'No trainings yet. A cell that starts with %1 runs in the background, even after the notebook is closed.',
            '%%train'
          ),
          button: trans.__('Insert an example training'),
        }
      ),
      session: this.#makeSection('session', trans.__('Debug Sessions'), '', {
        text: trans.__(
          'No debug sessions. A session keeps a model in memory between calls and stops where an exception is raised.'
        ),
        button: trans.__('Insert an example session'),
      }),
      model: this.#makeSection('model', trans.__('Models'), trans.__('Open the List of Models'), {
        text: trans.__('No local models. A model is downloaded once and shared by all notebooks.'),
        button: trans.__('Insert an example model'),
      }),
    };
    const root = element(
      'div',
      {
        class: 'jx-panel jx-side',
        attrs: { role: 'region', 'aria-label': trans.__('Trainings and Models') },
      },
      element('div', { class: 'jx-side-engine' }, this.#state, this.#memory, this.#start),
      element('div', { class: 'jx-side-search' }, this.#search, this.#filter),
      element('div', { class: 'jx-side-sections' }, ...KINDS.map(kind => this.#sections[kind].node))
    );
    place.replaceChildren(root);
    addStyles(root, PANEL_STYLES);
    this.#scheduler = new DrawScheduler(
      root,
      () => this.#draw(),
      inSight => follower.look(inSight ? 'all' : null),
      signal
    );
    const follower = lists.follow(
      ['trainings', 'sessions', 'models'],
      change => this.#changed(change === null),
      signal
    );
    const request = () => this.#scheduler.hurry();
    this.#search.addEventListener('input', request, { signal });
    this.#filter.addEventListener('change', request, { signal });
    this.#search.addEventListener('keydown', event => event.stopPropagation(), { signal });
    settings.changed.connect(request);
    const ticker = setInterval(() => this.#scheduler.request(), TICK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(ticker);
      settings.changed.disconnect(request);
      root.remove();
    });
    this.#scheduler.request();
  }

  #changed(isSoon: boolean): void {
    const wait_ms = 1000 * this.#engine.settings.values.refresh_s - (performance.now() - this.#drawnAt);
    if (isSoon || wait_ms <= 0) {
      this.#scheduler?.request();
    }
  }

  #makeSection(
    kind: Kind,
    title: string,
    openTitle: string,
    empty: { text: string; button: string }
  ): Section {
    const { trans } = this.#engine;
    const storage = `jupyter-ext:folded:${kind}`;
    const list = { training: 'trainings', session: null, model: 'models' }[kind];
    const section = new Section({
      name: kind,
      title,
      icon: { training: trainingIcon, session: sessionIcon, model: modelIcon }[kind],
      openTitle,
      empty: {
        ...empty,
        insert: () =>
          void this.#commands.execute(CommandIDs.insertCells, { sources: [...FIRST_CELLS[kind]] }),
      },
      menuLabel: trans.__('Actions of %1', '%1'),
      openList: list ? () => void this.#commands.execute(CommandIDs.open, { kind: list }) : null,
      open: row => void this.#commands.execute(CommandIDs.open, { kind, id: row.id, name: row.name }),
      showMenu: (row, x, y) => this.#showMenu(row, x, y),
      remove: row => this.#remove(row),
      folded: localStorage.getItem(storage) === '1',
      onFold: folded => {
        localStorage.setItem(storage, folded ? '1' : '0');
        this.#scheduler.hurry();
      },
      signal: this.#signal,
    });
    makeDraggable(
      section.list,
      target => {
        const row = section.rowAt(target);
        const isCurve = target.closest('.jx-side-curve, .jx-side-value') !== null;
        const metric = isCurve ? (row?.metric ?? undefined) : undefined;
        return { kind, id: row?.id ?? '', name: row?.name, metric };
      },
      this.#signal
    );
    return section;
  }

  #itemOf({ kind, id }: Row): Item | null {
    const { trainings, sessions, models } = this.#engine.lists.data;
    const value = { training: trainings, session: sessions, model: models }[kind].get(id);
    return value ? ({ kind, value } as Item) : null;
  }

  #showMenu(row: Row, x: number, y: number): void {
    const { trans } = this.#engine;
    const item = this.#itemOf(row);
    const { kind, id, name, metric } = row;
    const args = { kind, id, name };
    const menu = new Menu({ commands: this.#commands });
    menu.addClass('jp-JupyterExt-menu');
    menu.addItem({ command: CommandIDs.open, args });
    menu.addItem({ command: CommandIDs.use, args });
    if (metric) {
      menu.addItem({
        command: CommandIDs.use,
        args: { ...args, metric, label: trans.__('Insert Plot of %1', metric) },
      });
    }
    menu.addItem({ type: 'separator' });
    for (const action of item ? actionsOf(item) : []) {
      menu.addItem({ command: CommandIDs.act, args: { ...args, action, label: labelOf(action, trans) } });
    }
    menu.addItem({ type: 'separator' });
    menu.addItem({ command: CommandIDs.copyId, args });
    if (kind === 'training') {
      menu.addItem({ type: 'separator' });
      for (const [format, word] of EXPORTS) {
        const label = trans.__('Export Metrics as %1', word);
        menu.addItem({ command: CommandIDs.exportMetrics, args: { ...args, format, label } });
      }
    }
    menu.aboutToClose.connect(() => requestAnimationFrame(() => menu.dispose()));
    menu.open(x, y);
  }

  #remove(row: Row): void {
    const item = this.#itemOf(row);
    const action = item ? actionsOf(item).at(-1) : undefined;
    if (action) {
      void this.#commands.execute(CommandIDs.act, { kind: row.kind, id: row.id, action });
    }
  }

  #draw(): void {
    this.#drawnAt = performance.now();
    const { lists, trans, settings } = this.#engine;
    const { data, state } = lists;
    this.#drawEngine();
    const now_ms = Date.now();
    const { metric } = settings.values;
    const itemsOf: Record<Kind, Item[]> = {
      training: [...data.trainings.values()]
        .sort(
          (a, b) =>
            Number(isEnded(a.status)) - Number(isEnded(b.status)) || (a.created_at < b.created_at ? 1 : -1)
        )
        .map(value => ({ kind: 'training', value })),
      session: [...data.sessions.values()]
        .sort(
          (a, b) => Number(a.status === 'ended') - Number(b.status === 'ended') || b.created_at - a.created_at
        )
        .map(value => ({ kind: 'session', value })),
      model: [...data.models.values()].map(value => ({ kind: 'model', value })),
    };
    const known = { training: 'trainings', session: 'sessions', model: 'models' } as const;
    for (const kind of KINDS) {
      const rows = itemsOf[kind].map(item => rowOf(item, metric, now_ms, trans));
      if (kind === 'model') {
        rows.sort((a, b) => Number(b.isActive) - Number(a.isActive) || a.name.localeCompare(b.name));
      }
      const fitting = rows.filter(row => this.#fits(row));
      const numActive = rows.filter(({ isActive }) => isActive).length;
      const isKnown = data.has(known[kind]);
      this.#sections[kind].draw(fitting.slice(0, MAX_ROWS), {
        total: isKnown || state === 'stopped' ? rows.length : null,
        count: this.#countText(kind, numActive, rows.length),
        none: isKnown ? trans.__('No matches.') : state === 'live' ? '' : trans.__('Asking the engine…'),
        more: fitting.length > MAX_ROWS ? trans.__('%1 more in the table', fitting.length - MAX_ROWS) : '',
        curve: row => this.#curveOf(row),
      });
    }
  }

  #countText(kind: Kind, numActive: number, num: number): string {
    const { trans } = this.#engine;
    if (num === 0) {
      return '';
    }
    return numActive === 0
      ? String(num)
      : kind === 'model'
        ? trans.__('%1 in use of %2', numActive, num)
        : trans.__('%1 running of %2', numActive, num);
  }

  #fits(row: Row): boolean {
    const which = this.#filter.value;
    const isWanted = which === '' || (which === 'active' ? row.isActive : row.status === 'failed');
    return isWanted && fits(row, this.#search.value);
  }

  #curveOf(row: Row): string {
    const training = row.kind === 'training' ? this.#engine.lists.data.trainings.get(row.id) : undefined;
    const metric = training ? metricOf(training, this.#engine.settings.values.metric) : null;
    return training && metric ? pathOf(this.#curves.points(training, metric), CURVE_WIDTH, CURVE_HEIGHT) : '';
  }

  #drawEngine(): void {
    const { trans, lists } = this.#engine;
    const { state, reason, refusal } = lists;
    const { engine } = lists.data;
    const texts: Record<typeof state, string> = {
      idle: '',
      connecting: trans.__('Asking for the engine…'),
      live: trans.__('Engine'),
      reconnecting: trans.__('Reconnecting…'),
      stopped: trans.__('Engine is not running'),
      starting: trans.__('Starting the engine…'),
    };
    this.#state.dataset.state = state;
    const why = state === 'stopped' ? reason : refusal && `${refusal} ${trans.__('Trying again.')}`;
    setText(this.#state, why || texts[state]);
    this.#state.title = [reason, ...(engine?.problems ?? [])].filter(Boolean).join('\n');
    const isLive = state === 'live' && engine !== null;
    setHidden(this.#memory, !isLive);
    if (isLive) {
      const all_mib = engine.memory_mib + engine.trainings_mib + engine.models_mib;
      setText(this.#memory, formatBytes(all_mib * MIB));
      this.#memory.title = [
        trans.__('engine %1', formatBytes(engine.memory_mib * MIB)),
        trans.__('trainings %1', formatBytes(engine.trainings_mib * MIB)),
        trans.__('models %1', formatBytes(engine.models_mib * MIB)),
      ].join('\n');
    }
    setHidden(this.#start, state !== 'stopped');
  }
}
