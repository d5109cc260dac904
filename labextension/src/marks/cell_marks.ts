// The mark in the gutter of a cell whose training runs: a ring that fills; a click opens the training.
// Loaded with the first training that a cell has started.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Cell } from '@jupyterlab/cells';
import { PageConfig } from '@jupyterlab/coreutils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { element } from '../../../widgets/src/core/dom';
import { addStyles, css, type StyleSheet } from '../../../widgets/src/core/styles';
import type { Training } from '../../../widgets/src/wire';
import { Copies } from '../cells/copies';
import { CommandIDs } from '../commands/ids';
import type { IEngine } from '../tokens';
import { titleOf } from './running';

const MARK_STYLES: StyleSheet = {
  id: 'jupyter-ext-mark-style',
  text: css`
    .jp-Cell:has(> .jp-JupyterExt-mark) {
      position: relative;
    }

    .jp-JupyterExt-mark {
      position: absolute;
      top: 7px;
      left: 18px;
      padding: 2px;
      border: 0;
      border-radius: 50%;
      background: none;
      cursor: pointer;
    }

    .jp-JupyterExt-ring {
      display: block;
      width: 14px;
      height: 14px;
      border-radius: 50%;
      background: conic-gradient(var(--jp-brand-color1) var(--jx-fraction, 30%), var(--jp-border-color1) 0);
      mask: radial-gradient(closest-side, transparent 62%, #000 66%);
    }

    .jp-JupyterExt-badge {
      flex: none;
      width: 12px;
      height: 12px;
      margin-right: 5px;
    }

    .jp-JupyterExt-mark[data-known='false'] .jp-JupyterExt-ring {
      animation: jp-JupyterExt-turn 1.6s linear infinite;
    }

    .jp-JupyterExt-mark:focus-visible {
      outline: 2px solid var(--jp-brand-color1);
      outline-offset: 0;
    }

    @keyframes jp-JupyterExt-turn {
      to {
        transform: rotate(1turn);
      }
    }

    @media (prefers-reduced-motion: reduce) {
      .jp-JupyterExt-mark[data-known='false'] .jp-JupyterExt-ring {
        animation: none;
      }
    }
  `,
};

export class CellMarks {
  readonly #app: JupyterFrontEnd;
  readonly #engine: IEngine;
  readonly #notebooks: INotebookTracker;
  readonly #copies: Copies;
  readonly #marks = new Map<Cell, HTMLButtonElement>();

  /** @param onChange Asks for another `draw`. */
  constructor(app: JupyterFrontEnd, engine: IEngine, notebooks: INotebookTracker, onChange: () => void) {
    this.#app = app;
    this.#engine = engine;
    this.#notebooks = notebooks;
    this.#copies = new Copies(app.serviceManager.contents, PageConfig.getOption('serverRoot'), onChange);
  }

  /** Leave out what the original of a copied notebook has started: a copy's cells have the same ids. */
  ofNotebook({ context }: NotebookPanel, trainings: readonly Training[]): readonly Training[] {
    return trainings.filter(
      ({ started_from: from }) => !this.#copies.isCopy(context.path, from?.notebook ?? '')
    );
  }

  /** Mark the cells of all open notebooks, and no others. */
  draw(running: ReadonlyMap<string, readonly Training[]>): void {
    const marked = new Set<Cell>();
    this.#notebooks.forEach(panel => {
      for (const cell of running.size > 0 ? panel.content.widgets : []) {
        const trainings = this.ofNotebook(panel, running.get(cell.model.id) ?? []);
        if (trainings.length > 0) {
          marked.add(cell);
          this.#mark(cell, trainings);
        }
      }
    });
    for (const [cell, mark] of this.#marks) {
      if (!marked.has(cell)) {
        mark.remove();
        this.#marks.delete(cell);
      }
    }
  }

  #mark(cell: Cell, trainings: readonly Training[]): void {
    const { trans } = this.#engine;
    const newest = trainings[trainings.length - 1];
    let mark = this.#marks.get(cell);
    if (!mark) {
      const ring = element('span', { class: 'jp-JupyterExt-ring' });
      mark = element('button', { class: 'jp-JupyterExt-mark', attrs: { type: 'button' } }, ring);
      mark.addEventListener('click', () => this.#open(mark as HTMLButtonElement));
      // pressed, it does not begin to drag or select the cell
      mark.addEventListener('mousedown', event => event.stopPropagation());
      addStyles(cell.node, MARK_STYLES);
      cell.node.append(mark);
      this.#marks.set(cell, mark);
    }
    const fraction = newest.progress?.fraction;
    mark.dataset.id = newest.id;
    mark.dataset.name = newest.name;
    mark.dataset.known = String(typeof fraction === 'number');
    cell.node.style.setProperty('--jx-fraction', `${Math.round(100 * (fraction ?? 0.3))}%`); // of the badge too
    mark.title = titleOf(trainings);
    mark.setAttribute('aria-label', trans.__('Open the training: %1', titleOf(trainings)));
  }

  #open({ dataset, parentElement }: HTMLElement): void {
    const panel = this.#notebooks.find(({ node }) => node.contains(parentElement));
    void this.#app.commands.execute(CommandIDs.open, {
      kind: 'training',
      id: dataset.id ?? '',
      name: dataset.name ?? '',
      ...(panel && { ref: panel.id, mode: 'split-right' }),
    });
  }
}
