// Draws into SVG what the painter draws on a canvas: the part of a canvas's context that the painter uses.

/** What the painter needs of a context. */
export type PaintContext = Pick<
  CanvasRenderingContext2D,
  | 'save'
  | 'restore'
  | 'translate'
  | 'beginPath'
  | 'moveTo'
  | 'lineTo'
  | 'arc'
  | 'rect'
  | 'clip'
  | 'stroke'
  | 'fill'
  | 'fillRect'
  | 'fillText'
  | 'measureText'
  | 'setLineDash'
  | 'strokeStyle'
  | 'fillStyle'
  | 'lineWidth'
  | 'lineJoin'
  | 'globalAlpha'
  | 'font'
  | 'textAlign'
  | 'textBaseline'
>;

interface State {
  strokeStyle: string;
  fillStyle: string;
  lineWidth: number;
  lineJoin: CanvasLineJoin;
  globalAlpha: number;
  font: string;
  textAlign: CanvasTextAlign;
  textBaseline: CanvasTextBaseline;
  dash: string;
  x: number;
  y: number;
  clip: string;
}

const ANCHORS: Readonly<Record<string, string>> = { center: 'middle', right: 'end', end: 'end' };
/** How far below its position a text's baseline is, in heights of its letters. */
const BASELINES: Readonly<Record<string, number>> = { top: 0.78, middle: 0.35 };
const LETTER_WIDTH = 0.55;

export class SvgContext implements PaintContext {
  readonly #width: number;
  readonly #height: number;
  readonly #parts: string[] = [];
  readonly #defs: string[] = [];
  readonly #stack: State[] = [];
  #path = '';
  #state: State = {
    strokeStyle: '#000',
    fillStyle: '#000',
    lineWidth: 1,
    lineJoin: 'miter',
    globalAlpha: 1,
    font: '10px sans-serif',
    textAlign: 'left',
    textBaseline: 'alphabetic',
    dash: '',
    x: 0,
    y: 0,
    clip: '',
  };

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
  }

  /** Return the document. */
  toString(): string {
    const size = `width="${this.#width}" height="${this.#height}" viewBox="0 0 ${this.#width} ${this.#height}"`;
    const defs = this.#defs.length > 0 ? `<defs>${this.#defs.join('')}</defs>` : '';
    return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${defs}${this.#parts.join('\n')}</svg>`;
  }

  get strokeStyle(): string {
    return this.#state.strokeStyle;
  }
  set strokeStyle(value: string | CanvasGradient | CanvasPattern) {
    this.#state.strokeStyle = String(value);
  }
  get fillStyle(): string {
    return this.#state.fillStyle;
  }
  set fillStyle(value: string | CanvasGradient | CanvasPattern) {
    this.#state.fillStyle = String(value);
  }
  get lineWidth(): number {
    return this.#state.lineWidth;
  }
  set lineWidth(value: number) {
    this.#state.lineWidth = value;
  }
  get lineJoin(): CanvasLineJoin {
    return this.#state.lineJoin;
  }
  set lineJoin(value: CanvasLineJoin) {
    this.#state.lineJoin = value;
  }
  get globalAlpha(): number {
    return this.#state.globalAlpha;
  }
  set globalAlpha(value: number) {
    this.#state.globalAlpha = value;
  }
  get font(): string {
    return this.#state.font;
  }
  set font(value: string) {
    this.#state.font = value;
  }
  get textAlign(): CanvasTextAlign {
    return this.#state.textAlign;
  }
  set textAlign(value: CanvasTextAlign) {
    this.#state.textAlign = value;
  }
  get textBaseline(): CanvasTextBaseline {
    return this.#state.textBaseline;
  }
  set textBaseline(value: CanvasTextBaseline) {
    this.#state.textBaseline = value;
  }

  save(): void {
    this.#stack.push({ ...this.#state });
  }

  restore(): void {
    this.#state = this.#stack.pop() ?? this.#state;
  }

  translate(x: number, y: number): void {
    this.#state.x += x;
    this.#state.y += y;
  }

  beginPath(): void {
    this.#path = '';
  }

  moveTo(x: number, y: number): void {
    this.#path += `M${this.#at(x, y)}`;
  }

  lineTo(x: number, y: number): void {
    this.#path += `${this.#path ? 'L' : 'M'}${this.#at(x, y)}`;
  }

  /** Full circles only. */
  arc(x: number, y: number, radius: number): void {
    const half = `${round(radius)} ${round(radius)} 0 1 0`;
    this.#path += `M${this.#at(x - radius, y)}A${half} ${this.#at(x + radius, y)}A${half} ${this.#at(x - radius, y)}Z`;
  }

  rect(x: number, y: number, width: number, height: number): void {
    this.#path += `M${this.#at(x, y)}h${round(width)}v${round(height)}h${round(-width)}Z`;
  }

  clip(): void {
    const id = `clip${this.#defs.length}`;
    this.#defs.push(`<clipPath id="${id}"><path d="${this.#path}"/></clipPath>`);
    this.#state.clip = ` clip-path="url(#${id})"`;
  }

  stroke(): void {
    const { strokeStyle, lineWidth, lineJoin, dash } = this.#state;
    const dashes = dash ? ` stroke-dasharray="${dash}"` : '';
    this.#parts.push(
      `<path d="${this.#path}" fill="none" stroke="${escaped(strokeStyle)}" stroke-width="${lineWidth}" stroke-linejoin="${lineJoin}"${dashes}${this.#shared()}/>`
    );
  }

  fill(): void {
    this.#parts.push(`<path d="${this.#path}" fill="${escaped(this.#state.fillStyle)}"${this.#shared()}/>`);
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    this.beginPath();
    this.rect(x, y, width, height);
    this.fill();
  }

  fillText(text: string, x: number, y: number): void {
    const { font, fillStyle, textAlign, textBaseline } = this.#state;
    const size = Number(/([\d.]+)px/.exec(font)?.[1] ?? 10);
    const down = y + (BASELINES[textBaseline] ?? 0) * size;
    const [left, top] = this.#at(x, down).split(' ');
    const anchor = ANCHORS[textAlign] ?? 'start';
    this.#parts.push(
      `<text x="${left}" y="${top}" text-anchor="${anchor}" fill="${escaped(fillStyle)}" style="font: ${escaped(font)}"${this.#shared()}>${escaped(text)}</text>`
    );
  }

  measureText(text: string): TextMetrics {
    const size = Number(/([\d.]+)px/.exec(this.#state.font)?.[1] ?? 10);
    return { width: LETTER_WIDTH * size * text.length } as TextMetrics;
  }

  setLineDash(dash: Iterable<number>): void {
    this.#state.dash = [...dash].join(' ');
  }

  #at(x: number, y: number): string {
    return `${round(x + this.#state.x)} ${round(y + this.#state.y)}`;
  }

  #shared(): string {
    const { globalAlpha, clip } = this.#state;
    return `${globalAlpha < 1 ? ` opacity="${globalAlpha}"` : ''}${clip}`;
  }
}

function round(value: number): string {
  return String(Number(value.toFixed(2)));
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, letter => `&#${letter.charCodeAt(0)};`);
}
