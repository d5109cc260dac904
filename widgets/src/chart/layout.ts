// Decides which plots there are, in which order, and which colour each series has. Pure; knows no page.

import { NUM_COLORS } from '../core/theme';
import { type Cell, COLUMN_GAP_PX, type Entry, ROW_GAP_PX } from '../plot/cell';
import { type ChartOptions, PLOT_HEIGHTS_PX } from '../plot/options';
import type { MetricSeries } from '../series/series_store';
import { nameOf, orderGroups, preferredColor } from './grouping';
import { runColors } from './run_colors';

export interface ChartLayout {
  cells: Cell[];
  /** Groups that there are. */
  numGroups: number;
  /** Groups that were left out though they fit the search. */
  omitted: number;
  columns: number;
  /** Height of a plot with its title, in pixels. */
  cellHeight: number;
  /** Height of all plots. */
  height: number;
}

/** What of a chart is asked for. */
export interface PlanRequest {
  width: number;
  options: ChartOptions;
  showAll: boolean;
  /** Only groups with this text in their name or in one of their keys. */
  search: string;
}

/** Plots shown before somebody asks for all. */
export const MAX_CELLS = 6;

const MIN_CELL_WIDTH_PX = { small: 210, medium: 280, large: 460 };
const MAX_COLUMNS = { small: 6, medium: 3, large: 2 };

export class LayoutPlanner {
  readonly #colors = new Map<string, Map<string, number>>();
  readonly #runs: ReadonlyMap<string, string> | null;
  readonly #runColors: Map<string, number>;
  readonly #titleOf: ((key: string) => string) | null;

  /**
   * @param runs Names of ranks that are compared runs; else ranks are numbered.
   * @param titleOf Gives each key a plot of its own, with this title, in the order of the series.
   */
  constructor(
    runs: ReadonlyMap<string, string> | null = null,
    titleOf: ((key: string) => string) | null = null
  ) {
    this.#runs = runs;
    this.#titleOf = titleOf;
    this.#runColors = runColors([...(runs?.keys() ?? [])], NUM_COLORS);
  }

  /** Arrange series in a width. */
  plan(all: readonly MetricSeries[], request: PlanRequest): ChartLayout {
    const { width, options, showAll } = request;
    const groups = this.#groups(all.filter(item => item.last !== null));
    const names = ordered([...groups.keys()], options);
    const found = names.filter(name => matches(name, groups.get(name) ?? [], request.search));
    const visible = showAll || request.search ? found : found.slice(0, MAX_CELLS);
    const cells = visible.map(group => ({ group, entries: groups.get(group) ?? [] }));
    const columns = columnsFor(cells.length, width, options.size);
    const rows = Math.max(1, Math.ceil(cells.length / columns));
    const cellHeight = PLOT_HEIGHTS_PX[options.size];
    return {
      cells,
      numGroups: names.length,
      omitted: found.length - visible.length,
      columns,
      cellHeight,
      height: rows * (cellHeight + ROW_GAP_PX) - ROW_GAP_PX,
    };
  }

  #groups(shown: readonly MetricSeries[]): Map<string, Entry[]> {
    const groups = new Map<string, Entry[]>();
    const ranks = ranksPerKey(shown);
    for (const series of shown) {
      const { group, split } = this.#titleOf
        ? { group: this.#titleOf(series.key), split: '' }
        : nameOf(series.key);
      const many = (ranks.get(series.key) ?? 0) > 1;
      const rank = this.#runs
        ? (this.#runs.get(series.rank) ?? series.rank)
        : many
          ? `rank ${series.rank}`
          : '';
      const label = [split || (this.#runs ? '' : group), rank].filter(Boolean).join(' · ');
      const id = `${series.rank}\n${series.key}`;
      const entries = groups.get(group) ?? [];
      groups.set(group, entries);
      entries.push({
        id,
        label,
        short: this.#runs ? split : label,
        color: this.#runs ? this.#runColor(series.rank, split) : this.#color(group, id, split),
        series,
      });
    }
    return groups;
  }

  // Of several runs each has one colour in all plots; what was measured on training data is dotted.
  #runColor(rank: string, split: string): number {
    return (this.#runColors.get(rank) ?? 0) + (split.startsWith('train') ? NUM_COLORS : 0);
  }

  // A series keeps its colour for the life of the view.
  #color(group: string, id: string, split: string): number {
    const colors = this.#colors.get(group) ?? new Map<string, number>();
    this.#colors.set(group, colors);
    const had = colors.get(id);
    if (had !== undefined) {
      return had;
    }
    const used = new Set(colors.values());
    let color = preferredColor(split);
    while (used.has(color)) {
      color += 1;
    }
    colors.set(id, color);
    return color;
  }
}

function matches(group: string, entries: readonly Entry[], search: string): boolean {
  const text = search.trim().toLowerCase();
  return (
    text === '' ||
    group.toLowerCase().includes(text) ||
    entries.some(({ series }) => series.key.toLowerCase().includes(text))
  );
}

// Pinned first, then as somebody dragged them, then in the usual order.
function ordered(groups: readonly string[], { pinned, order }: ChartOptions): string[] {
  const usual = orderGroups(groups);
  const placeOf = (group: string) => {
    const dragged = order.indexOf(group);
    return dragged >= 0 ? dragged : order.length + usual.indexOf(group);
  };
  const placed = [...usual].sort((a, b) => placeOf(a) - placeOf(b));
  return [
    ...pinned.filter(group => placed.includes(group)),
    ...placed.filter(group => !pinned.includes(group)),
  ];
}

function columnsFor(count: number, width: number, size: ChartOptions['size']): number {
  const fitting = Math.floor((width + COLUMN_GAP_PX) / (MIN_CELL_WIDTH_PX[size] + COLUMN_GAP_PX));
  const columns = Math.max(1, Math.min(count, MAX_COLUMNS[size], fitting));
  return count === 4 ? Math.min(columns, 2) : columns;
}

function ranksPerKey(all: readonly MetricSeries[]): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const series of all) {
    ranks.set(series.key, (ranks.get(series.key) ?? 0) + 1);
  }
  return ranks;
}
