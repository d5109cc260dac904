// biome-ignore-all lint/suspicious/noControlCharactersInRegex: control characters of a terminal are what this reads
// The lines before those that are held: a space as high as all of them, in which the blocks of lines near the view are drawn.
// A million lines cost no more than the few hundred that are seen.

import { element } from '../core/dom';
import { messageOf } from '../core/errors';
import { BlockHeights } from './block_heights';
import type { LogClient, WholeLine } from './log_client';
import { type Folds, logRow, type Piece, tellFacts } from './log_rows';
import { LogText } from './log_text';
import type { PlacedLine } from './tracebacks';

/** Lines that are fetched and drawn together. */
const BLOCK = 200;
/** What browsers lay out at most, with room to spare. */
const MAX_HEIGHT_PX = 24_000_000;
/** Blocks further away than so many views are taken out of the page. */
const KEEP_VIEWS = 3;

/** A piece of what is above the lines that are held. */
interface BlockPiece extends Piece {
  block: number;
}

interface Block {
  node: HTMLElement;
  lines: PlacedLine[] | null;
}

export class LogHistory {
  readonly node = element('div', { class: 'jx-log-history', attrs: { 'aria-hidden': 'true' } });
  readonly #client: LogClient;
  readonly #scroller: HTMLElement;
  readonly #heights: BlockHeights;
  readonly #signal: AbortSignal;
  readonly #blocks = new Map<number, Block>();
  readonly #rowHeight: number;
  readonly #folds: Folds;
  readonly #refold: () => void;
  #numLines = 0;
  /** Lines before this one are too many to be laid out. */
  #firstLine = 0;
  #marked: number | null = null;
  #centered: number | null = null;

  /**
   * @param client Where lines come from.
   * @param scroller What scrolls; holds `node`.
   * @param rowHeight Of a line that is not wrapped, in pixels.
   * @param folds Which tracebacks are folded.
   * @param refold Folds what is drawn here, and what follows it, anew.
   * @param signal Ends it.
   */
  constructor(
    client: LogClient,
    scroller: HTMLElement,
    rowHeight: number,
    folds: Folds,
    refold: () => void,
    signal: AbortSignal
  ) {
    this.#client = client;
    this.#folds = folds;
    this.#refold = refold;
    this.#scroller = scroller;
    this.#rowHeight = rowHeight;
    this.#heights = new BlockHeights(BLOCK * rowHeight);
    this.#signal = signal;
  }

  get numLines(): number {
    return this.#numLines;
  }

  /** Say how many lines there are before those that are held; the view stays where it is. */
  resize(numLines: number, follow: boolean): void {
    if (numLines === this.#numLines) {
      return;
    }
    const before = this.node.offsetHeight;
    const last = Math.floor((this.#numLines - this.#firstLine - 1) / BLOCK);
    this.#drop(last);
    this.#numLines = numLines;
    this.#firstLine = Math.max(0, numLines - Math.floor(MAX_HEIGHT_PX / this.#rowHeight / BLOCK) * BLOCK);
    this.#layout();
    if (!follow) {
      this.#scroller.scrollTop += this.node.offsetHeight - before;
    }
  }

  /** Draw what is in view. */
  draw(): void {
    if (this.#numLines === 0) {
      return;
    }
    const view = this.#scroller.clientHeight;
    const top = this.#scroller.scrollTop - this.node.offsetTop;
    if (top > this.node.offsetHeight + view || view === 0) {
      return;
    }
    const numBlocks = this.#numBlocks;
    const from = this.#heights.at(Math.max(0, top - view), numBlocks);
    const to = this.#heights.at(Math.max(0, top + 2 * view), numBlocks);
    for (let block = from; block <= to; block++) {
      if (!this.#blocks.has(block)) {
        void this.#load(block);
      }
    }
    const [low, high] = [top - KEEP_VIEWS * view, top + (KEEP_VIEWS + 1) * view];
    for (const block of this.#blocks.keys()) {
      const at = this.#heights.top(block);
      if (at + this.#heights.estimate < low || at > high) {
        this.#drop(block);
      }
    }
  }

  /** Bring a line into the middle of the view, and mark it. */
  show(line: number): void {
    this.#marked = line;
    this.#centered = line;
    const block = Math.floor((line - this.#firstLine) / BLOCK);
    const within = ((line - this.#firstLine) % BLOCK) * this.#rowHeight;
    const top = this.node.offsetTop + this.#heights.top(block) + within;
    this.#scroller.scrollTop = Math.max(0, top - this.#scroller.clientHeight / 2);
    this.#mark();
    this.draw();
  }

  unmark(): void {
    this.#marked = null;
    this.#mark();
  }

  /** Lines are now wrapped, or no longer. */
  rewrap(): void {
    this.#heights.clear();
    for (const block of [...this.#blocks.keys()]) {
      this.#drop(block);
    }
    this.#layout();
    this.draw();
  }

  /**
   * Fold tracebacks as far as is known of them.
   *
   * @param next What follows the last line of here, if that is known; it is folded too.
   */
  fold(next: Piece | null): void {
    for (const run of this.#runs()) {
      const isLast = run[run.length - 1].block === this.#numBlocks - 1;
      if (next && isLast) {
        const other = this.#folds.fold<Piece>([...run, next]);
        this.#settleAll(run.filter(piece => other.includes(piece)));
        return;
      }
      this.#settleAll(this.#folds.fold(run));
    }
    if (next) {
      this.#folds.fold([next]);
    }
  }

  // What is drawn, in runs of blocks that follow on each other.
  #runs(): BlockPiece[][] {
    const runs: BlockPiece[][] = [];
    for (const [block, { node, lines }] of [...this.#blocks].sort(([a], [b]) => a - b)) {
      if (lines) {
        const run = runs[runs.length - 1];
        const piece = { block, rows: node.children, lines };
        if (run && run[run.length - 1].block === block - 1) {
          run.push(piece);
        } else {
          runs.push([piece]);
        }
      }
    }
    return runs;
  }

  #settleAll(pieces: readonly BlockPiece[]): void {
    for (const { block } of pieces) {
      const node = this.#blocks.get(block)?.node;
      if (node) {
        this.#settle(block, node);
      }
    }
  }

  #row(line: WholeLine, text: string, number: number): HTMLElement {
    const row = logRow(text, this.#client.trainingId);
    row.dataset.line = String(number);
    row.dataset.offset = String(line.offset);
    tellFacts(row, { stream: line.stream ?? 'stdout', time: line.time ?? null });
    return row;
  }

  get #numBlocks(): number {
    return Math.ceil((this.#numLines - this.#firstLine) / BLOCK);
  }

  async #load(block: number): Promise<void> {
    const node = element('div', { class: 'jx-log-block' });
    node.style.top = `${this.#heights.top(block)}px`;
    const made: Block = { node, lines: null };
    this.#blocks.set(block, made);
    this.node.append(node);
    const first = this.#firstLine + block * BLOCK;
    try {
      const lines = await this.#client.lines(first, Math.min(BLOCK, this.#numLines - first));
      if (this.#signal.aborted || this.#blocks.get(block) !== made) {
        return;
      }
      made.lines = lines.map(line => ({ offset: line.offset, text: lastState(line.text) }));
      const shown = made.lines;
      node.replaceChildren(...lines.map((line, i) => this.#row(line, shown[i].text, first + i)));
      this.#refold();
      this.#settle(block, node);
    } catch (error) {
      node.textContent = `These lines could not be loaded: ${messageOf(error)}`;
      setTimeout(() => this.#blocks.get(block) === made && this.#drop(block), 3_000);
    }
  }

  // What was drawn is higher or lower than was thought: what is below moves, and the view with it.
  #settle(block: number, node: HTMLElement): void {
    const top = this.#scroller.scrollTop - this.node.offsetTop;
    const wasAbove = this.#heights.top(block) + this.#heights.estimate <= top;
    const delta = this.#heights.measure(block, node.offsetHeight);
    if (Math.abs(delta) > 0.5) {
      this.#layout();
      if (wasAbove) {
        this.#scroller.scrollTop += delta;
      }
    }
    this.#mark();
  }

  #layout(): void {
    this.node.style.height = `${this.#heights.top(this.#numBlocks) - this.#missing()}px`;
    for (const [block, { node }] of this.#blocks) {
      node.style.top = `${this.#heights.top(block)}px`;
    }
  }

  // The last block may be shorter.
  #missing(): number {
    const rest = (this.#numLines - this.#firstLine) % BLOCK;
    const last = this.#blocks.get(this.#numBlocks - 1);
    return rest === 0 || last?.lines ? 0 : (BLOCK - rest) * this.#rowHeight;
  }

  #drop(block: number): void {
    this.#blocks.get(block)?.node.remove();
    this.#blocks.delete(block);
  }

  #mark(): void {
    for (const row of this.node.querySelectorAll('.jx-log-marked')) {
      row.classList.remove('jx-log-marked');
    }
    const row =
      this.#marked === null ? null : this.node.querySelector<HTMLElement>(`[data-line='${this.#marked}']`);
    row?.classList.add('jx-log-marked');
    if (row && this.#folds.open(row)) {
      this.#refold();
      return;
    }
    if (row && this.#centered === this.#marked) {
      this.#centered = null;
      center(this.#scroller, row);
    }
  }
}

/** Scroll so that a row is in the middle; the page itself stays where it is. */
export function center(scroller: HTMLElement, row: Element): void {
  const [outer, inner] = [scroller.getBoundingClientRect(), row.getBoundingClientRect()];
  scroller.scrollTop += inner.top - outer.top - (scroller.clientHeight - inner.height) / 2;
}

/** What a terminal shows of one line at its end. */
function lastState(line: string): string {
  if (!/[\r\b\x1b]/.test(line)) {
    return line;
  }
  const text = new LogText();
  text.write(line, 0);
  return text.lines[text.lines.length - 1]?.text ?? '';
}
