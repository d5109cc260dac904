// Saves the plots of a chart as they are seen: PNG, SVG, an HTML page, and the drawn points as CSV.

import type { Theme } from '../core/theme';
import { COLUMN_GAP_PX, ROW_GAP_PX } from './cell';
import type { Plot } from './plot';
import { type PaintContext, SvgContext } from './svg_context';

export type Format = 'png' | 'svg' | 'html' | 'csv';

const PNG_SCALE = 2;
const MARGIN_PX = 12;
const TYPES: Readonly<Record<Format, string>> = {
  png: 'image/png',
  svg: 'image/svg+xml',
  html: 'text/html',
  csv: 'text/csv',
};

/** Save plots as a file named after `name`. */
export async function savePlots(
  plots: readonly Plot[],
  format: Format,
  name: string,
  columns: number,
  theme: Theme
): Promise<void> {
  const blob =
    format === 'png'
      ? await pngOf(plots, columns, theme)
      : new Blob([textOf(plots, format, name, columns, theme)], { type: TYPES[format] });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\p{L}\p{N}._-]+/gu, '-') || 'chart'}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function textOf(plots: readonly Plot[], format: Format, name: string, columns: number, theme: Theme): string {
  if (format === 'csv') {
    return csvOf(plots);
  }
  const { width, height } = sizeOf(plots, columns);
  const context = new SvgContext(width, height);
  paintAll(context, plots, columns, theme);
  if (format === 'svg') {
    return context.toString();
  }
  const title = name.replace(/[&<>]/g, letter => `&#${letter.charCodeAt(0)};`);
  return `<!doctype html><meta charset="utf-8"><title>${title}</title>\n${context}\n`;
}

async function pngOf(plots: readonly Plot[], columns: number, theme: Theme): Promise<Blob> {
  const { width, height } = sizeOf(plots, columns);
  const canvas = document.createElement('canvas');
  canvas.width = PNG_SCALE * width;
  canvas.height = PNG_SCALE * height;
  const context = canvas.getContext('2d');
  if (!context) {
    throw new Error('this browser gives no canvas');
  }
  context.scale(PNG_SCALE, PNG_SCALE);
  paintAll(context, plots, columns, theme);
  const blob = await new Promise<Blob | null>(resolve => canvas.toBlob(resolve));
  if (!blob) {
    throw new Error('this browser makes no picture of it');
  }
  return blob;
}

function sizeOf(plots: readonly Plot[], columns: number): { width: number; height: number } {
  const { width, height } = plots[0]?.size ?? { width: 0, height: 0 };
  const rows = Math.ceil(plots.length / columns);
  const used = Math.min(columns, plots.length);
  return {
    width: used * (width + COLUMN_GAP_PX) - COLUMN_GAP_PX + 2 * MARGIN_PX,
    height: rows * (height + ROW_GAP_PX) - ROW_GAP_PX + 2 * MARGIN_PX,
  };
}

function paintAll(context: PaintContext, plots: readonly Plot[], columns: number, theme: Theme): void {
  const { width, height } = sizeOf(plots, columns);
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, width, height);
  plots.forEach((plot, i) => {
    const { size } = plot;
    const left = MARGIN_PX + (i % columns) * (size.width + COLUMN_GAP_PX);
    const top = MARGIN_PX + Math.floor(i / columns) * (size.height + ROW_GAP_PX);
    plot.paintInto(context, left, top);
  });
}

/** Return the drawn points, one a line. */
function csvOf(plots: readonly Plot[]): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = ['plot,curve,x,y'];
  for (const curve of plots.flatMap(plot => plot.curves())) {
    const begin = `${quoted(curve.group)},${quoted(curve.name)}`;
    curve.x.forEach((x, i) => {
      lines.push(`${begin},${x},${curve.y[i]}`);
    });
  }
  return `${lines.join('\n')}\n`;
}
