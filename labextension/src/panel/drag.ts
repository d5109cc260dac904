// Dragging something out of the panel: dropped into a notebook, it becomes the cell that uses it.

import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';
import { addStyles, css, type StyleSheet } from '../../../widgets/src/core/styles';
import { sourceOf, type Used } from '../cells/sources';

const DRAGGED_STYLES: StyleSheet = {
  id: 'jupyter-ext-dragged-style',
  text: css`
    .jp-JupyterExt-dragged {
      max-width: 220px;
      padding: 4px 10px;
      border: 1px solid var(--jp-brand-color1);
      border-radius: 4px;
      overflow: hidden;
      text-overflow: ellipsis;
      white-space: nowrap;
      background: var(--jp-layout-color1);
      box-shadow: var(--jp-elevation-z4);
      color: var(--jp-ui-font-color1);
      font-size: var(--jp-ui-font-size1);
    }
  `,
};

/** What a notebook takes as cells, also from its own cells and from other notebooks. */
const CELLS_MIME_TYPE = 'application/vnd.jupyter.cells';
/** A press that moves less is a click. */
const THRESHOLD_PX = 5;

/**
 * Make an element something that can be dragged.
 *
 * @param used Says what it stands for when the drag begins.
 * @param signal Ends it.
 */
export function makeDraggable(node: HTMLElement, used: (target: Element) => Used, signal: AbortSignal): void {
  node.addEventListener(
    'pointerdown',
    press => {
      if (press.button !== 0 || press.pointerType === 'touch') {
        return;
      }
      const moved = new AbortController();
      const stop = () => moved.abort();
      const both = AbortSignal.any([signal, moved.signal]);
      window.addEventListener(
        'pointermove',
        move => {
          if (Math.hypot(move.clientX - press.clientX, move.clientY - press.clientY) > THRESHOLD_PX) {
            stop();
            drag(used(press.target as Element), node, move);
          }
        },
        { signal: both }
      );
      window.addEventListener('pointerup', stop, { signal: both });
      window.addEventListener('pointercancel', stop, { signal: both });
    },
    { signal }
  );
}

function drag(used: Used, node: HTMLElement, { clientX, clientY }: PointerEvent): void {
  const source = sourceOf(used);
  const mimeData = new MimeData();
  mimeData.setData(CELLS_MIME_TYPE, [
    { cell_type: 'code', source, metadata: {}, outputs: [], execution_count: null },
  ]);
  mimeData.setData('text/plain', source);
  addStyles(node, DRAGGED_STYLES);
  const image = document.createElement('div');
  image.className = 'jp-JupyterExt-dragged';
  image.textContent = used.metric ?? used.name ?? used.id;
  const moving = new Drag({
    mimeData,
    dragImage: image,
    proposedAction: 'copy',
    supportedActions: 'copy',
    source: node,
  });
  // The click that would follow opens nothing.
  const swallow = (event: Event) => {
    event.stopPropagation();
    event.preventDefault();
  };
  node.addEventListener('click', swallow, { capture: true });
  void moving.start(clientX, clientY).then(() => {
    moving.dispose();
    setTimeout(() => node.removeEventListener('click', swallow, { capture: true }));
  });
}
