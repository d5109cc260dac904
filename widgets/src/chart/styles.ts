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
    margin: 0;
    accent-color: var(--jx-accent);
    cursor: pointer;
  }
  .jx-slider-value {
    width: 2.4em;
  }
  .jx-stage {
    position: relative;
    height: 236px;
  }
  .jx-plot,
  .jx-legend {
    position: absolute;
    inset: 0;
  }
  .jx-legend {
    pointer-events: none;
  }
  .jx-legend-row {
    position: absolute;
    display: flex;
    align-items: center;
    gap: 12px;
    min-width: 0;
    padding-right: 6px;
  }
  .jx-legend-title {
    flex: 0 1 auto;
    min-width: 2.5em;
    font-weight: 600;
    font-size: 12px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-legend-names {
    display: flex;
    gap: 2px;
    flex: 0 100 auto;
    min-width: 40%;
    overflow-x: auto;
    scrollbar-width: none;
    pointer-events: auto;
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
`;

export const CHART_STYLES: StyleSheet = { id: 'jupyter-ext-chart-style', text: CSS };
