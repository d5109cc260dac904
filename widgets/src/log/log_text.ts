// biome-ignore-all lint/suspicious/noControlCharactersInRegex: control characters of a terminal are what this reads
// Folds a log into lines as a terminal would: `\r` rewrites a line, `ESC[nA` goes up, so that a progress bar
// is one line.

/** One line of the log. */
export interface LogLine {
  /** Where the line begins in the log, in bytes. */
  readonly offset: number;
  text: string;
}

// Line ends, and the cursor movements that progress bars use. Colours (ESC[…m) stay in the text.
const CONTROL = /\r\n|[\n\r\b]|\x1b\[(\d*)([A-LN-Za-ln-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;

/** How far up `ESC[nA` may reach. */
const MAX_CURSOR_UP = 64;

/** Lines held until somebody asks for more. */
export const MAX_LINES = 1000;

export class LogText {
  readonly lines: LogLine[] = [];
  /** Lines held; the oldest go first. */
  maxLines = MAX_LINES;
  #row = 0;
  #rewrite = false;
  #partial = '';
  #firstOffset = 0;
  #nextOffset = 0;
  #changedFrom = 0;
  #dropped = 0;
  #epoch = 0;

  /** Grows when lines change other than at the end. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Lines dropped at the top in this epoch. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Byte after the last one that was written. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Byte at which what is held begins: of the first line, also where that begins with control characters. */
  get firstOffset(): number {
    return this.#firstOffset;
  }

  /** Forget everything and begin at a byte offset. */
  reset(offset: number): void {
    this.lines.length = 0;
    this.#row = 0;
    this.#rewrite = false;
    this.#partial = '';
    this.#firstOffset = offset;
    this.#nextOffset = offset;
    this.#beginEpoch();
  }

  /**
   * Add a chunk that ends at `nextOffset`.
   *
   * @param text The chunk; it may end within a control sequence.
   */
  write(text: string, nextOffset: number): void {
    let at = this.#nextOffset;
    const input = this.#partial + text;
    const cut = partialControl(input);
    this.#partial = input.slice(cut);
    at -= byteLength(input) - byteLength(text);
    const whole = input.slice(0, cut);
    let from = 0;
    for (const match of whole.matchAll(CONTROL)) {
      const plain = whole.slice(from, match.index);
      this.#put(plain, at);
      at += byteLength(plain) + byteLength(match[0]);
      from = match.index + match[0].length;
      this.#control(match[0], match[1], match[2], at);
    }
    this.#put(whole.slice(from), at);
    this.#nextOffset = nextOffset;
    this.#trim();
  }

  /** Put earlier lines before the first. */
  prepend(text: string, offset: number): void {
    const earlier = new LogText();
    earlier.reset(offset);
    earlier.maxLines = Infinity;
    earlier.write(text, this.firstOffset);
    const lines = earlier.lines;
    if (lines.length > 0 && lines[lines.length - 1].text === '') {
      lines.pop();
    }
    this.lines.unshift(...lines);
    this.#firstOffset = offset;
    this.#row += lines.length;
    this.maxLines = Math.max(this.maxLines, this.lines.length + MAX_LINES);
    this.#beginEpoch();
  }

  /** Return the first line that changed since the last call. */
  takeChangedFrom(): number {
    const from = this.#changedFrom;
    this.#changedFrom = this.lines.length;
    return from;
  }

  #beginEpoch(): void {
    this.#changedFrom = 0;
    this.#dropped = 0;
    this.#epoch += 1;
  }

  #trim(): void {
    const extra = Math.min(this.lines.length - this.maxLines, this.#row);
    if (extra > 0) {
      this.lines.splice(0, extra);
      this.#firstOffset = this.lines[0]?.offset ?? this.#nextOffset;
      this.#row -= extra;
      this.#dropped += extra;
      this.#changedFrom = Math.max(0, this.#changedFrom - extra);
    }
  }

  #put(text: string, offset: number): void {
    if (text === '') {
      return;
    }
    while (this.lines.length <= this.#row) {
      this.lines.push({ offset, text: '' });
    }
    const line = this.lines[this.#row];
    line.text = this.#rewrite ? text : line.text + text;
    this.#rewrite = false;
    this.#changedFrom = Math.min(this.#changedFrom, this.#row);
  }

  #control(sequence: string, amount: string | undefined, final: string | undefined, offset: number): void {
    if (sequence === '\n' || sequence === '\r\n') {
      while (this.lines.length <= this.#row) {
        this.#changedFrom = Math.min(this.#changedFrom, this.lines.length);
        this.lines.push({ offset: offset - 1, text: '' });
      }
      this.#row += 1;
      this.#rewrite = true;
    } else if (sequence === '\r') {
      this.#rewrite = true;
    } else if (sequence === '\b') {
      const line = this.lines[this.#row];
      if (line && !this.#rewrite) {
        line.text = line.text.slice(0, -1);
        this.#changedFrom = Math.min(this.#changedFrom, this.#row);
      }
    } else if (final === 'A') {
      this.#row = Math.max(0, this.#row - Math.min(MAX_CURSOR_UP, Number(amount || 1)));
      this.#rewrite = true;
    } else if (final === 'K' && this.#rewrite && amount !== '1') {
      // Erase from the start of the line.
      const line = this.lines[this.#row];
      if (line) {
        line.text = '';
        this.#changedFrom = Math.min(this.#changedFrom, this.#row);
      }
    }
  }
}

// Where an unfinished control sequence begins, so that the rest can be waited for. A lone `\r` is complete:
// what follows it (`\n` or text) gives the same lines.
function partialControl(text: string): number {
  const at = text.lastIndexOf('\x1b');
  if (at < 0 || text.length - at > 32) {
    return text.length;
  }
  return /^\x1b(?:\[[\d;?]*|\][^\x07\x1b]*)?$/.test(text.slice(at)) ? at : text.length;
}

const ENCODER = new TextEncoder();

function byteLength(text: string): number {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) {
      return ENCODER.encode(text).length;
    }
  }
  return text.length;
}
