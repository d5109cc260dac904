// What the chart looks like: toolbar, legend, plots.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-toolbar {
    display: flex;
    justify-content: flex-end;
    align-items: center;
    gap: 8px;
    height: 26px;
    margin-bottom: 2px;
    font-size: 11.5px;
    color: var(--jx-muted);
  }
  .jx-toolbar button {
    height: 22px;
    padding: 0 8px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: transparent;
    font-size: 11.5px;
    color: var(--jx-muted);
    cursor: pointer;
  }
  .jx-toolbar button:hover {
    color: var(--jx-text);
  }
  .jx-toolbar button[aria-pressed='true'] {
    color: var(--jx-text);
    background: color-mix(in srgb, var(--jx-accent) 14%, transparent);
    border-color: color-mix(in srgb, var(--jx-accent) 45%, transparent);
  }
  .jx-toolbar :is(button, select, summary) {
    white-space: nowrap;
  }
  .jx-toolbar .jx-reset {
    color: var(--jx-accent);
    border-color: transparent;
  }
  .jx-slider {
    display: inline-flex;
    align-items: center;
    gap: 6px;
  }
  .jx-slider input {
    width: 84px;
    height: 16px;
    cursor: pointer;
  }
  .jx-slider-value {
    width: 2.4em;
  }
  .jx-toolbar .jx-plot-search {
    flex: 0 1 150px;
    min-width: 70px;
    height: 22px;
  }
  .jx-chart {
    position: relative;
    min-height: var(--jx-chart-height, 232px);
  }
  .jx-grid {
    display: grid;
    gap: 10px 20px;
  }
  .jx-cell {
    position: relative;
    min-width: 0;
    border-radius: 4px;
  }
  .jx-cell.jx-drop {
    outline: 2px dashed var(--jx-accent);
    outline-offset: 2px;
  }
  .jx-plot {
    position: relative;
    cursor: crosshair;
    touch-action: pan-y;
    user-select: none;
    border-radius: 3px;
  }
  .jx-plot canvas {
    position: absolute;
    left: 0;
    top: 0;
    pointer-events: none;
  }
  .jx-legend-row {
    display: flex;
    align-items: center;
    gap: 10px;
    height: 26px;
    min-width: 0;
    padding-right: 4px;
  }
  .jx-legend-title {
    flex: 0 1 auto;
    min-width: 2.5em;
    font-weight: 600;
    font-size: 12px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    cursor: grab;
  }
  .jx-legend-names {
    display: flex;
    align-items: center;
    gap: 2px;
    flex: 1 100 60px;
    min-width: 60px;
    overflow-x: auto;
    scrollbar-width: none;
  }
  .jx-split {
    padding: 0 6px;
    font-size: 11.5px;
    color: var(--jx-muted);
    white-space: nowrap;
  }
  .jx-split::before {
    content: '';
    display: inline-block;
    width: 14px;
    margin-right: 5px;
    border-top: 2px solid currentColor;
    vertical-align: middle;
  }
  .jx-split-dotted::before {
    border-top-style: dotted;
  }
  .jx-panel .jx-pin {
    flex: none;
    width: 18px;
    height: 18px;
    color: var(--jx-muted);
    line-height: 18px;
    opacity: 0;
  }
  .jx-pin::before {
    content: '☆';
  }
  .jx-pin[aria-pressed='true']::before {
    content: '★';
  }
  .jx-panel :is(.jx-cell:hover .jx-pin, .jx-run-names li:hover .jx-pin, .jx-pin:focus-visible) {
    opacity: 0.7;
  }
  .jx-panel :is(.jx-pin[aria-pressed='true'], .jx-pin:hover) {
    opacity: 1;
  }
  .jx-watch::before {
    content: '⚐';
  }
  .jx-watch[aria-pressed='true']::before {
    content: '⚑';
  }
  .jx-rule-box {
    z-index: 5;
    top: 26px;
    right: 0;
    max-width: 100%;
    padding: 8px 10px;
    font-size: 12px;
  }
  .jx-rule-line {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 5px;
  }
  .jx-rule-line :is(select, input) {
    height: 24px;
    padding: 0 6px;
  }
  .jx-rule-problem:not(:empty) {
    margin-top: 5px;
    color: var(--jx-error);
  }
  .jx-rule-known {
    margin-top: 5px;
    color: var(--jx-muted);
  }
  .jx-panel .jx-baseline[aria-pressed='true'] {
    color: var(--jx-accent);
  }
  .jx-panel .jx-legend-name {
    display: inline-flex;
    align-items: center;
    gap: 5px;
    flex: none;
    padding: 1px 6px;
    border: 0;
    border-radius: 3px;
    background: none;
    font-size: 11.5px;
    color: var(--jx-muted);
    cursor: pointer;
    white-space: nowrap;
  }
  .jx-panel .jx-legend-name:hover {
    background: color-mix(in srgb, var(--jx-text) 7%, transparent);
  }
  .jx-panel .jx-legend-name[aria-pressed='false'] {
    opacity: 0.4;
    text-decoration: line-through;
  }
  .jx-swatch {
    width: 10px;
    height: 3px;
    border-radius: 2px;
    flex: none;
  }
  .jx-legend-value {
    color: var(--jx-text);
  }
  .jx-chart-note {
    position: absolute;
    inset: 0;
    display: flex;
    align-items: center;
    justify-content: center;
    color: var(--jx-muted);
    border: 1px dashed var(--jx-border);
    border-radius: 4px;
  }
  .jx-tooltip {
    z-index: 3;
    pointer-events: none;
    min-width: 90px;
    max-width: min(360px, 90%);
    padding: 6px 9px;
    font-size: 11.5px;
    line-height: 1.5;
  }
  .jx-tooltip-title,
  .jx-tooltip-more,
  .jx-tooltip-raw {
    color: var(--jx-muted);
  }
  .jx-tooltip-mark {
    color: var(--jx-warning);
  }
  .jx-tooltip-row {
    display: flex;
    align-items: center;
    gap: 7px;
    white-space: nowrap;
  }
  .jx-tooltip-row.jx-near {
    font-weight: 600;
  }
  .jx-tooltip-name {
    flex: 1 1 auto;
    overflow: hidden;
    text-overflow: ellipsis;
  }
  .jx-menu {
    position: relative;
    flex: none;
  }
  .jx-menu > summary {
    display: flex;
    align-items: center;
    justify-content: center;
    width: 26px;
    height: 22px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    list-style: none;
    cursor: pointer;
  }
  .jx-menu > summary::-webkit-details-marker {
    display: none;
  }
  .jx-menu > summary:hover,
  .jx-menu[open] > summary {
    color: var(--jx-text);
  }
  .jx-menu-box {
    right: 0;
    top: 26px;
    z-index: 4;
    display: grid;
    gap: 5px;
    width: max-content;
    padding: 9px 11px;
  }
  .jx-menu-row {
    display: flex;
    align-items: center;
    gap: 6px;
    min-height: 22px;
  }
  .jx-menu-row > span:first-child {
    flex: 0 0 104px;
    color: var(--jx-muted);
  }
  .jx-menu-row select {
    height: 22px;
    max-width: 210px;
  }
`;

export const CHART_STYLES: StyleSheet = { id: 'jupyter-ext-chart-style', text: CSS };
