// A line of a notebook's cell, as a traceback names it, told to whoever holds the notebook by a CustomEvent of the document.
// The rule: where nobody holds one, as in VS Code, the line is plain text.

import { element } from './dom';

const OPEN = 'jupyter-ext:cell-line';
/** Set on the document's element by whoever opens lines of cells. */
const ATTRIBUTE = 'data-jupyter-ext-cells';

/** A line of a cell of the notebook that a run was started from. */
export interface CellLine {
  runId: string;
  /** What the traceback calls the cell: `Cell In[5]`, or `Cell NAME` for the one that started the run. */
  label: string;
  /** Counted from 1. */
  line: number;
}

const FRAME = /^((?:\[rank \d+\] )?\s*)((?:Cell [^,\n]+|the cell), line (\d+))/;

/** The line of a cell that a line of a traceback names, and where in it that stands. */
export function cellLineOf(text: string): { label: string; line: number; from: number; to: number } | null {
  const match = FRAME.exec(text);
  return match
    ? {
        label: match[2].slice(0, match[2].lastIndexOf(',')),
        line: Number(match[3]),
        from: match[1].length,
        to: match[0].length,
      }
    : null;
}

/** Whether lines of cells can be opened on this page. */
export function opensCells(): boolean {
  return document.documentElement.hasAttribute(ATTRIBUTE);
}

/** Make a link to a line of a cell; plain text where none can be opened. */
export function cellLink(text: string, target: CellLine): Node {
  if (!opensCells()) {
    return document.createTextNode(text);
  }
  const link = element('button', {
    class: 'jx-link jx-cell-link',
    text,
    title: 'Show this line in the notebook',
    attrs: { type: 'button' },
  });
  link.addEventListener('click', event => {
    event.stopPropagation();
    document.dispatchEvent(new CustomEvent<CellLine>(OPEN, { detail: target }));
  });
  return link;
}

/** Open lines of cells on this page until the returned function is called. */
export function onCellLine(open: (target: CellLine) => void): () => void {
  const heard = (event: Event) => open((event as CustomEvent<CellLine>).detail);
  document.documentElement.setAttribute(ATTRIBUTE, '');
  document.addEventListener(OPEN, heard);
  return () => {
    document.documentElement.removeAttribute(ATTRIBUTE);
    document.removeEventListener(OPEN, heard);
  };
}
