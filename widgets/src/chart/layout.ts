// Decides which plots there are, where they stand, and which colour each series has. Pure; knows no plotly.

import { NUM_COLORS } from '../core/theme';
import type { MetricSeries } from '../series/series_store';
import { nameOf, orderGroups, preferredColor } from './grouping';

/** A series and how it is shown. */
export interface Entry {
  /** Unique in the chart. */
  id: string;
  /** What it is: the split, and the rank where there are several. */
  label: string;
  /**
   * What its plot's legend says; of compared runs the split only, as one legend names the runs of all plots.
   */
  short: string;
  /** Index into the palette; grows past its end. */
  color: number;
  series: MetricSeries;
}

/** One plot: where it is, in pixels, and what it shows. */
export interface Cell {
  group: string;
  x: number;
  y: number;
  width: number;
  height: number;
  entries: Entry[];
}

export interface ChartLayout {
  cells: Cell[];
  /** Groups that were left out. */
  omitted: number;
  width: number;
  height: number;
  /** Equal for layouts whose legends are the same. */
  signature: string;
}

/** Plots shown before somebody asks for all. */
export const MAX_CELLS = 6;

const GAP_PX = 20;
const MIN_CELL_WIDTH_PX = 280;
const CELL_HEIGHTS_PX = [236, 208, 184];

export class LayoutPlanner {
  readonly #colors = new Map<string, Map<string, number>>();
  readonly #runs: ReadonlyMap<string, string> | null;
  readonly #ranks: string[];

  /**
   * @param runs Names of ranks that are compared runs, in the order of their colours; else ranks are
   * numbered.
   */
  constructor(runs: ReadonlyMap<string, string> | null = null) {
    this.#runs = runs;
    this.#ranks = [...(runs?.keys() ?? [])];
  }

  /** Arrange series in a width. */
  plan(all: readonly MetricSeries[], width: number, showAll: boolean): ChartLayout {
    const groups = new Map<string, Entry[]>();
    const shown = all.filter(series => !series.isSystem && series.last !== null);
    const ranks = ranksPerKey(shown);
    for (const series of shown) {
      const { group, split } = nameOf(series.key);
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
    const names = orderGroups([...groups.keys()]);
    const visible = showAll ? names : names.slice(0, MAX_CELLS);
    const columns = Math.max(
      1,
      Math.min(visible.length, 3, Math.floor((width + GAP_PX) / (MIN_CELL_WIDTH_PX + GAP_PX)))
    );
    const even = visible.length === 4 ? Math.min(columns, 2) : columns;
    const cellWidth = Math.floor((width - GAP_PX * (even - 1)) / even);
    const rows = Math.ceil(visible.length / even);
    const cellHeight = CELL_HEIGHTS_PX[Math.min(rows, CELL_HEIGHTS_PX.length) - 1] ?? CELL_HEIGHTS_PX[0];
    const cells = visible.map((group, i) => ({
      group,
      x: (i % even) * (cellWidth + GAP_PX),
      y: Math.floor(i / even) * (cellHeight + 8),
      // The last plot takes what its row has left.
      width: i === visible.length - 1 ? width - (i % even) * (cellWidth + GAP_PX) : cellWidth,
      height: cellHeight,
      entries: groups.get(group) ?? [],
    }));
    return {
      cells,
      omitted: names.length - visible.length,
      width,
      height: Math.max(1, rows) * (cellHeight + 8) - 8,
      signature: JSON.stringify(
        cells.map(cell => [cell.x, cell.y, cell.width, cell.group, cell.entries.map(e => [e.id, e.label])])
      ),
    };
  }

  // Of several runs each has one colour in all plots; what was measured on training data is dotted.
  #runColor(rank: string, split: string): number {
    if (!this.#ranks.includes(rank)) {
      this.#ranks.push(rank);
    }
    return (this.#ranks.indexOf(rank) % NUM_COLORS) + (split.startsWith('train') ? NUM_COLORS : 0);
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

function ranksPerKey(all: readonly MetricSeries[]): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const series of all) {
    ranks.set(series.key, (ranks.get(series.key) ?? 0) + 1);
  }
  return ranks;
}
