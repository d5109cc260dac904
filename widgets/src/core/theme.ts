// The page's colours, read from the panel's own CSS variables, so that one place (styles.ts) names the hosts.

/** Colours a chart needs. */
export interface Theme {
  dark: boolean;
  text: string;
  muted: string;
  grid: string;
  axis: string;
  surface: string;
  warning: string;
  error: string;
  font: string;
  /** One colour per series, told apart also by colour-blind eyes. */
  palette: readonly string[];
}

// After Okabe and Ito (https://jfly.uni-koeln.de/color/), darkened or lightened for contrast with the page.
export const NUM_COLORS = 7;
/** Sets of colours to choose from. */
export type PaletteName = 'okabe-ito' | 'tableau';

const TABLEAU_LIGHT = ['#1f77b4', '#e8710a', '#2ca02c', '#d62728', '#9467bd', '#8c564b', '#c85aa5'];
const TABLEAU_DARK = ['#6db6ec', '#ff9a45', '#63cf63', '#ff7573', '#bd97e4', '#c99a8f', '#f39ad2'];
const LIGHT = ['#0f6cbd', '#d1570a', '#0b8a68', '#a04a8e', '#9a7400', '#3a9bd9', '#6b6b6b'];
const DARK = ['#5cb3ff', '#ff9d57', '#3fd0a4', '#e08fcb', '#e6c04d', '#9bd3ff', '#b5b5b5'];

const PALETTES: Readonly<Record<PaletteName, Record<'light' | 'dark', readonly string[]>>> = {
  'okabe-ito': { light: LIGHT, dark: DARK },
  tableau: { light: TABLEAU_LIGHT, dark: TABLEAU_DARK },
};
let palette: PaletteName = 'okabe-ito';

/** Choose the colours of plots that are drawn from now on. */
export function setPalette(name: PaletteName): void {
  palette = name in PALETTES ? name : 'okabe-ito';
}

/** Read the theme at an element. */
export function readTheme(element: HTMLElement): Theme {
  const style = getComputedStyle(element);
  const read = (name: string, fallback: string) => style.getPropertyValue(name).trim() || fallback;
  const dark = luminance(style.color) > 0.5;
  return {
    dark,
    text: style.color,
    muted: read('--jx-muted', '#616161'),
    grid: dark ? 'rgba(255,255,255,0.09)' : 'rgba(0,0,0,0.08)',
    axis: dark ? 'rgba(255,255,255,0.22)' : 'rgba(0,0,0,0.2)',
    surface: read('--jx-surface', dark ? '#212121' : '#ffffff'),
    warning: read('--jx-warning', '#a15c00'),
    error: read('--jx-error', '#d32f2f'),
    font: style.fontFamily,
    palette: PALETTES[palette][dark ? 'dark' : 'light'],
  };
}

/** Call `onSwitch` when the page changes its theme, until `signal` aborts. */
export function watchTheme(onSwitch: () => void, signal: AbortSignal): void {
  // JupyterLab replaces the theme's style sheet after it has set the attribute: look again once that has
  // loaded.
  const changed = () => {
    onSwitch();
    setTimeout(() => signal.aborted || onSwitch(), 300);
  };
  const observer = new MutationObserver(changed);
  const attributeFilter = [
    'class',
    'style',
    'data-jp-theme-name',
    'data-jp-theme-light',
    'data-vscode-theme-kind',
    'theme',
  ];
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, { attributes: true, attributeFilter });
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed, { signal });
  signal.addEventListener('abort', () => observer.disconnect());
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
