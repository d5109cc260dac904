// How high blocks of lines are, of which only those that were seen are measured. Pure.

export class BlockHeights {
  readonly #measured = new Map<number, number>();

  /** @param estimate Height of a block that was not measured, in pixels. */
  constructor(public estimate: number) {}

  /** Take a block's height; returns by how much it differs from what was thought. */
  measure(block: number, height: number): number {
    const before = this.#measured.get(block) ?? this.estimate;
    this.#measured.set(block, height);
    return height - before;
  }

  /** Pixels above a block. */
  top(block: number): number {
    let top = block * this.estimate;
    for (const [measured, height] of this.#measured) {
      if (measured < block) {
        top += height - this.estimate;
      }
    }
    return top;
  }

  /** The block that is so many pixels from the top. */
  at(pixels: number, numBlocks: number): number {
    let low = 0;
    let high = Math.max(0, numBlocks - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= pixels) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /** Forget what was measured, as when lines are wrapped otherwise. */
  clear(): void {
    this.#measured.clear();
  }
}
