// Finds tracebacks among lines. Pure.

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
