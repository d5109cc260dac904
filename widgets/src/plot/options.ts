// What a person chose for the plots of a notebook, and where it is kept.

import type { Smoothing, SmoothingKind } from '../series/smoothing';

/** What x is: the step, seconds since the run's start, the time of day, or another metric at the same step. */
export type XChoice = 'step' | 'time' | 'clock' | `metric:${string}`;

export type PlotSize = 'small' | 'medium' | 'large';

/** All choices; what is not said here is not kept. */
export interface ChartOptions {
  x: XChoice;
  logX: boolean;
  logY: boolean;
  smoothing: Smoothing;
  /** Whether the y axis leaves out values far from most others. */
  ignoreOutliers: boolean;
  size: PlotSize;
  /** Groups that stand first, in their order. */
  pinned: string[];
  /** Groups in the order in which somebody dragged them. */
  order: string[];
}

export const PLOT_HEIGHTS_PX: Readonly<Record<PlotSize, number>> = { small: 176, medium: 232, large: 340 };
const KINDS: readonly SmoothingKind[] = ['ema', 'gaussian', 'mean'];
const PREFIX = 'jupyter-ext:chart:';

let settings: Partial<ChartOptions> = {};

/** Set what is chosen before somebody chooses, in plots that are drawn from now on. */
export function setDefaultOptions(defaults: Partial<ChartOptions>): void {
  settings = defaults;
}

/** Return the choices of somebody who has made none. */
export function defaultOptions(): ChartOptions {
  return {
    x: 'step',
    logX: false,
    logY: false,
    smoothing: { kind: 'ema', weight: 0 },
    ignoreOutliers: false,
    size: 'medium',
    pinned: [],
    order: [],
    ...structuredClone(settings),
  };
}

/** Return options from stored text; what is missing or malformed is as at the start. */
export function parseOptions(text: string | null, defaults: Partial<ChartOptions> = {}): ChartOptions {
  const options = { ...defaultOptions(), ...defaults };
  let found: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text ?? '{}');
    found = typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return options;
  }
  const { x, smoothing, size } = found;
  if (typeof x === 'string' && /^(step|time|clock|metric:.+)$/.test(x)) {
    options.x = x as XChoice;
  }
  if (typeof size === 'string' && size in PLOT_HEIGHTS_PX) {
    options.size = size as PlotSize;
  }
  const { kind, weight } = (smoothing ?? {}) as Partial<Smoothing>;
  if (kind && KINDS.includes(kind) && typeof weight === 'number' && weight >= 0 && weight < 1) {
    options.smoothing = { kind, weight };
  }
  for (const name of ['logX', 'logY', 'ignoreOutliers'] as const) {
    options[name] = typeof found[name] === 'boolean' ? found[name] : options[name];
  }
  for (const name of ['pinned', 'order'] as const) {
    const list = found[name];
    options[name] = Array.isArray(list) ? list.filter(item => typeof item === 'string') : options[name];
  }
  return options;
}

/** Keeps the options of one kind of chart in a notebook, in this browser. */
export class OptionsStore {
  readonly options: ChartOptions;
  readonly #scope: string;
  readonly #defaults: Partial<ChartOptions>;
  #key: string | null = null;

  /**
   * @param scope Names the kind of chart.
   * @param defaults What is chosen before somebody chooses.
   */
  constructor(scope: string, defaults: Partial<ChartOptions> = {}) {
    this.#scope = scope;
    this.#defaults = defaults;
    this.options = { ...defaultOptions(), ...defaults };
  }

  /**
   * Read what was kept, once.
   *
   * @param inside An element that is in the notebook by now.
   * @returns Whether that was the first time.
   */
  load(inside: HTMLElement): boolean {
    if (this.#key !== null) {
      return false;
    }
    this.#key = `${PREFIX}${this.#scope}:${notebookOf(inside)}`;
    Object.assign(this.options, parseOptions(read(this.#key), this.#defaults));
    return true;
  }

  save(): void {
    try {
      localStorage.setItem(this.#key ?? '', JSON.stringify(this.options));
    } catch {
      // A full or forbidden store: the choice holds for as long as the view.
    }
  }
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Return the path of the notebook that an element is in: what JupyterLab's tab says, else the page's address. */
function notebookOf(inside: HTMLElement): string {
  const panel = inside.closest('.jp-NotebookPanel');
  const title = panel?.id
    ? document.querySelector<HTMLElement>(`[data-id="${CSS.escape(panel.id)}"]`)?.title
    : undefined;
  return /^Path: (.+)$/m.exec(title ?? '')?.[1] ?? location.pathname;
}
