// Finds tracebacks among lines, and remembers them, as the lines of a long log come and go in pieces. Pure.

import { cellLineOf } from '../core/cell_link';

/** A traceback: its head, and the line that names the exception. What is between can be folded. */
export interface Traceback {
  head: number;
  last: number;
}

/** So few lines between are not worth a click. */
const MIN_FOLDED = 3;
const HEAD =
  /^(\[rank \d+\] |)([ |+]*)(?:Exception Group )?Traceback \((?:your frames only, )?most recent call last\):\s*$/;

/** List the tracebacks that are whole and worth folding, in order. */
export function tracebacksOf(texts: readonly string[]): Traceback[] {
  const found: Traceback[] = [];
  for (let head = 0; head < texts.length; head++) {
    const match = texts[head].includes('Traceback (') ? HEAD.exec(texts[head]) : null;
    if (!match) {
      continue;
    }
    const inner = `${match[1]}${match[2].replaceAll('+', ' ')} `;
    let last = head + 1;
    while (last < texts.length && texts[last].replaceAll('|', ' ').startsWith(inner.replaceAll('|', ' '))) {
      last += 1;
    }
    const isEnded = last < texts.length && texts[last].startsWith(match[1]);
    if (isEnded && last - head - 1 >= MIN_FOLDED) {
      found.push({ head, last });
    }
    head = last - 1;
  }
  return found;
}

/** A line, and the byte at which it begins. */
export interface PlacedLine {
  readonly text: string;
  readonly offset: number;
}

/** A traceback of the log: the bytes at which its head and its last line begin. */
export interface PlacedTraceback {
  head: number;
  last: number;
  /** Lines between the two. */
  numInner: number;
  /** The innermost of its lines that names a line of a cell. */
  frame: string | null;
}

/** The tracebacks of one log, whichever of its lines are held now. */
export class Tracebacks {
  readonly #known = new Map<number, PlacedTraceback>();

  /** Look through lines that follow on each other without a gap. */
  look(lines: readonly PlacedLine[]): void {
    if (lines.length === 0) {
      return;
    }
    const [from, to] = [lines[0].offset, lines[lines.length - 1].offset];
    for (const { head, last } of this.#known.values()) {
      if (head >= from && last <= to) {
        this.#known.delete(head); // found again, unless its lines were rewritten
      }
    }
    for (const { head, last } of tracebacksOf(lines.map(({ text }) => text))) {
      const inner = lines.slice(head + 1, last);
      this.#known.set(lines[head].offset, {
        head: lines[head].offset,
        last: lines[last].offset,
        numInner: inner.length,
        frame: inner.findLast(({ text }) => cellLineOf(text))?.text ?? null,
      });
    }
  }

  /** Return the traceback whose head begins at a byte. */
  beginningAt(offset: number): PlacedTraceback | null {
    return this.#known.get(offset) ?? null;
  }

  /** Return the traceback that the line at a byte is within: below its head, and above its last line. */
  around(offset: number): PlacedTraceback | null {
    for (const known of this.#known.values()) {
      if (known.head < offset && offset < known.last) {
        return known;
      }
    }
    return null;
  }
}
