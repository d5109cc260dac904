// Which of the lines that are held stderr wrote, and when lines were read. The engine is asked after the text has come, as these are no
// part of it, and once more when no more text comes, as a mark may follow its text.

import type { LogClient } from './log_client';
import type { LineFacts } from './log_rows';

type Pair = [number, number];

const EVERY_MS = 500;
const AFTER_ERROR_MS = 5_000;

export class LogSpans {
  readonly #client: LogClient;
  readonly #onChange: (from: number) => void;
  readonly #signal: AbortSignal;
  /** Where what stderr wrote begins and ends, in bytes. */
  #stderr: Pair[] = [];
  /** Where what was read together ends, and when it was read, Unix seconds. */
  #times: Pair[] = [];
  #wanted: readonly [number, number] = [0, 0];
  /** Up to where it was asked, and up to where the time before. */
  #asked = 0;
  #settled = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param onChange Called with the byte from which on more is known.
   * @param signal Ends it.
   */
  constructor(client: LogClient, onChange: (from: number) => void, signal: AbortSignal) {
    this.#client = client;
    this.#onChange = onChange;
    this.#signal = signal;
    signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  /** Say which piece of the log is held. */
  want(first: number, end: number): void {
    const [before] = this.#wanted;
    this.#wanted = [first, end];
    if (first < before) {
      this.#asked = this.#settled = first;
      this.#stderr = [];
      this.#times = [];
    }
    this.#plan(this.#asked === 0 ? 0 : EVERY_MS);
  }

  /** What is known of the line that begins at a byte. */
  factsOf(offset: number): LineFacts {
    const span = this.#stderr[firstAbove(this.#stderr, 1, offset)];
    const batch = this.#times[firstAbove(this.#times, 0, offset)];
    return { stream: span && span[0] <= offset ? 'stderr' : 'stdout', time: batch ? batch[1] : null };
  }

  #plan(wait: number): void {
    if (this.#settled < this.#wanted[1] && !this.#signal.aborted) {
      this.#timer ??= setTimeout(() => void this.#ask(), wait);
    }
  }

  async #ask(): Promise<void> {
    const [first, end] = this.#wanted;
    const from = Math.max(first, this.#settled);
    try {
      const { stderr, times } = await this.#client.spans(from, end);
      const before = this.#stderr.filter(([begin, to]) => to > first && begin < from);
      this.#stderr = [...before.map(([begin, to]): Pair => [begin, Math.min(to, from)]), ...stderr];
      this.#times = [...this.#times.filter(([to]) => to > first && to <= from), ...times];
      this.#settled = this.#asked;
      this.#asked = end;
      this.#timer = undefined;
      if (!this.#signal.aborted) {
        this.#onChange(from);
      }
      this.#plan(EVERY_MS);
    } catch {
      this.#timer = undefined;
      this.#plan(AFTER_ERROR_MS);
    }
  }
}

// The first pair whose number at a place is above a value.
function firstAbove(pairs: readonly (readonly [number, number])[], at: 0 | 1, value: number): number {
  let [low, high] = [0, pairs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pairs[middle][at] > value) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
