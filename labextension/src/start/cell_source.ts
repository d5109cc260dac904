// Which cells can be started, and what of the notebook goes with one. Pure; knows cells as text.

import type { LaunchSource } from '../../../widgets/src/form/form_client';

/** A code cell as the page has it. */
export interface CellText {
  id: string;
  text: string;
  /** Of its last execution; `null` where it was not executed since the notebook was opened. */
  count: number | null;
}

const COMMAND = /^\s*(%%|[!%?])/;

/** Whether a cell may be trained: one that defines `train`, or any script. */
export function isTrainable(text: string): boolean {
  return text.trim() !== '' && (/^\s*%%train\b/.test(text) || !COMMAND.test(text));
}

/** Whether a cell's own magic line says what it is called. */
export function isNamed(text: string): boolean {
  return /^\s*%%(train|debug_session)\s+[^-\s]/.test(text);
}

/** Whether a cell may be a session's code: one that defines classes, functions or a variable `model`. */
export function isDebuggable(text: string): boolean {
  const defines = /^(class|def|async def)\s|^model\s*=/m.test(text);
  return defines && (/^\s*%%debug_session\b/.test(text) || !COMMAND.test(text));
}

/**
 * Return what the engine is told of a cell.
 *
 * @param cells All code cells of the notebook, in their order.
 * @param index Which of them.
 */
export function sourceOf(
  cells: readonly CellText[],
  index: number,
  rest: Pick<LaunchSource, 'cwd' | 'python' | 'name'>
): LaunchSource {
  const before = cells.slice(0, index).filter(({ text }) => text.trim() !== '');
  return {
    text: cells[index].text,
    label: labelOf(cells[index], index),
    before: before.map((cell, i) => ({ text: cell.text, label: labelOf(cell, i) })),
    ...rest,
  };
}

/** Return what a cell is called in tracebacks and titles. */
export function labelOf({ count }: CellText, index: number): string {
  return count === null ? `Cell ${index + 1}` : `Cell In[${count}]`;
}

/** Put a magic line over a cell's text, in place of the one that it has. */
export function withMagic(text: string, line: string): string {
  const [first, ...rest] = text.split('\n');
  return /^\s*%%(train|debug_session)\b/.test(first) ? [line, ...rest].join('\n') : `${line}\n${text}`;
}
