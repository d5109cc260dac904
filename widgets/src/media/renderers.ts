// One item as an element. The rule: what a run logged is never markup of the page: it is text, a picture, or a document in
// a frame without an origin.

import { element } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatBytes, formatCount, formatValue } from '../core/format';
import type { Transport } from '../transport/transport';
import type { MediaItem } from '../wire';
import { type Counted, curve, histogram, type PrecisionRecall } from './drawings';
import type { MediaFeed } from './media_feed';

/** Rows of a table that are drawn at first, and with each "more". */
const TABLE_ROWS = 100;
const MAX_TEXT = 100_000;
/** A picture with fewer pixels a side is enlarged without smoothing. */
const PIXELATED_BELOW = 128;
const FRAME_POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; " +
  'media-src data: blob:; font-src data:';

/** What drawing one needs. */
export interface Source {
  feed: MediaFeed;
  transport: Transport;
  signal: AbortSignal;
}

interface TableData {
  columns: string[];
  rows: unknown[][];
}

interface MatrixData {
  labels: string[];
  counts: number[][];
}

type Renderer = (item: MediaItem, source: Source) => Promise<HTMLElement>;

/** Draw an item into a box, which shows what went wrong where that fails. */
export function render(item: MediaItem, source: Source): HTMLElement {
  const box = element('div', { class: 'jx-media-item' });
  const draw = RENDERERS[item.kind] ?? unknown;
  draw(item, source).then(
    made => box.replaceChildren(made, ...captionOf(item)),
    (error: unknown) =>
      box.replaceChildren(
        element('div', { class: 'jx-media-failed', text: `It could not be shown: ${messageOf(error)}` })
      )
  );
  return box;
}

function captionOf(item: MediaItem): HTMLElement[] {
  return item.caption ? [element('div', { class: 'jx-media-caption', text: item.caption })] : [];
}

async function image(item: MediaItem, { feed }: Source): Promise<HTMLElement> {
  const made = element('img', { attrs: { alt: item.caption ?? `${item.key} at step ${item.step}` } });
  made.src = await feed.url(fileOf(item));
  const { width, height } = item.facts as { width?: number; height?: number };
  if (width && height) {
    made.width = width;
    made.height = height;
    made.classList.toggle('jx-media-pixels', Math.max(width, height) < PIXELATED_BELOW);
    made.title = `${width} × ${height}, ${formatBytes(item.bytes)}`;
  }
  await made.decode();
  return made;
}

async function video(item: MediaItem, source: Source): Promise<HTMLElement> {
  const file = fileOf(item);
  if (/\.(png|gif)$/.test(file)) {
    return image(item, source);
  }
  const made = element('video', { attrs: { controls: '', loop: '', playsinline: '' } });
  made.muted = true;
  made.src = await source.feed.url(file);
  return made;
}

async function audio(item: MediaItem, { feed }: Source): Promise<HTMLElement> {
  const made = element('audio', { attrs: { controls: '', preload: 'metadata' } });
  made.src = await feed.url(fileOf(item));
  return made;
}

async function text(item: MediaItem, { feed }: Source): Promise<HTMLElement> {
  const content = String(await feed.json<unknown>(item));
  const shown = content.length > MAX_TEXT ? `${content.slice(0, MAX_TEXT)}…` : content;
  return element('pre', { class: 'jx-media-text', text: shown, attrs: { tabindex: '0' } });
}

async function html(item: MediaItem, { feed }: Source): Promise<HTMLElement> {
  const content = new TextDecoder().decode(await feed.bytes(fileOf(item)));
  const made = element('iframe', {
    class: 'jx-media-frame',
    attrs: { sandbox: 'allow-scripts', referrerpolicy: 'no-referrer', title: item.caption ?? item.key },
  });
  made.srcdoc = `<meta http-equiv="Content-Security-Policy" content="${FRAME_POLICY}">${content}`;
  return made;
}

async function table(item: MediaItem, { feed, signal }: Source): Promise<HTMLElement> {
  const { columns, rows } = await feed.json<TableData>(item);
  const body = element('tbody');
  const head = element(
    'tr',
    {},
    ...columns.map(name => element('th', { text: name, attrs: { scope: 'col' } }))
  );
  const made = element('table', { class: 'jx-media-table' }, element('thead', {}, head), body);
  const box = element('div', { class: 'jx-media-scroll', attrs: { tabindex: '0' } }, made);
  const more = element('button', { class: 'jx-link' });
  const append = () => {
    const from = body.childElementCount;
    body.append(
      ...rows.slice(from, from + TABLE_ROWS).map(row => element('tr', {}, ...row.map(value => cell(value))))
    );
    const rest = rows.length - body.childElementCount;
    more.hidden = rest <= 0;
    more.textContent = `${formatCount(rest)} more rows`;
  };
  more.addEventListener('click', append, { signal });
  append();
  const total = Number(item.facts.rows ?? rows.length);
  const cut =
    total > rows.length ? `The first ${formatCount(rows.length)} of ${formatCount(total)} rows.` : '';
  return element('div', {}, box, more, element('div', { class: 'jx-media-caption', text: cut }));
}

function cell(value: unknown): HTMLElement {
  const isNumber = typeof value === 'number';
  const shown = isNumber
    ? Number.isInteger(value)
      ? String(value)
      : formatValue(value)
    : String(value ?? '');
  return element('td', { class: isNumber ? 'jx-media-number' : '', text: shown });
}

async function matrix(item: MediaItem, { feed }: Source): Promise<HTMLElement> {
  const { labels, counts } = await feed.json<MatrixData>(item);
  const sums = counts.map(row => row.reduce((sum, count) => sum + count, 0));
  const head = element(
    'tr',
    {},
    element('th', { text: 'true \\ predicted' }),
    ...labels.map(name => element('th', { text: name, attrs: { scope: 'col' } }))
  );
  const rows = counts.map((row, i) =>
    element(
      'tr',
      {},
      element('th', { text: labels[i], attrs: { scope: 'row' } }),
      ...row.map((count, j) => {
        const share = count / (sums[i] || 1);
        const made = element('td', {
          class: 'jx-media-number',
          text: formatCount(count),
          title: `${labels[i]} taken for ${labels[j]}: ${formatCount(count)} (${(100 * share).toFixed(1)} %)`,
        });
        made.style.setProperty('--jx-share', `${Math.round(70 * share)}%`);
        made.dataset.diagonal = String(i === j);
        return made;
      })
    )
  );
  return element(
    'div',
    { class: 'jx-media-scroll', attrs: { tabindex: '0' } },
    element(
      'table',
      { class: 'jx-media-table jx-media-matrix' },
      element('thead', {}, head),
      element('tbody', {}, ...rows)
    )
  );
}

async function prCurve(item: MediaItem, { feed }: Source): Promise<HTMLElement> {
  const made = curve(await feed.json<PrecisionRecall>(item));
  const average = item.facts.average_precision;
  if (typeof average === 'number') {
    made.append(
      element('div', { class: 'jx-media-caption', text: `average precision ${formatValue(average)}` })
    );
  }
  return made;
}

async function plotly(item: MediaItem, { feed, transport, signal }: Source): Promise<HTMLElement> {
  const [module, figure] = await Promise.all([
    transport.importPlotly() as Promise<{ default: Plotly }>,
    feed.json<{ data: unknown[]; layout?: Record<string, unknown> }>(item),
  ]);
  const made = element('div', { class: 'jx-media-plotly' });
  const api = module.default;
  const layout = { ...figure.layout, autosize: true, height: 320 };
  await api.react(made, figure.data, layout, { displayModeBar: false, responsive: true });
  signal.addEventListener('abort', () => api.purge(made));
  return made;
}

interface Plotly {
  react(element: HTMLElement, data: unknown[], layout: unknown, config: unknown): Promise<unknown>;
  purge(element: HTMLElement): void;
}

async function unknown(item: MediaItem): Promise<HTMLElement> {
  return element('div', {
    class: 'jx-media-failed',
    text: `This page does not know media of the kind ${item.kind}; update jupyter-ext.`,
  });
}

function fileOf(item: MediaItem): string {
  if (item.file === null) {
    throw new Error('its file is not named');
  }
  return item.file;
}

const RENDERERS: Readonly<Record<string, Renderer>> = {
  image,
  video,
  audio,
  text,
  html,
  table,
  plotly,
  histogram: async (item, { feed }) => histogram(await feed.json<Counted>(item)),
  confusion_matrix: matrix,
  pr_curve: prCurve,
};
