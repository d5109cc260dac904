// What the table of runs looks like beyond the shared styles.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-runs-bar {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
    padding: 10px 14px 6px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-runs-bar input[type='search'] {
    width: 220px;
  }
  .jx-runs-bar label {
    display: inline-flex;
    gap: 6px;
    align-items: center;
  }
  .jx-runs-bar select {
    max-width: 180px;
  }
  .jx-runs-scroll {
    overflow-x: auto;
  }
  .jx-panel .jx-table,
  .jx-panel .jx-diff {
    width: 100%;
    border-collapse: collapse;
    border: 0;
    font-size: 12px;
    margin: 0;
    table-layout: auto;
  }
  .jx-panel :is(.jx-table, .jx-diff) :is(th, td) {
    padding: 4px 8px;
    text-align: left;
    white-space: nowrap;
    border: 0;
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
    max-width: 240px;
    overflow: hidden;
    text-overflow: ellipsis;
    color: var(--jx-text);
    background: none;
    font-weight: normal;
  }
  .jx-panel .jx-table :is(th, td):first-child {
    padding-left: 14px;
  }
  .jx-panel .jx-table thead th,
  .jx-panel .jx-diff :is(thead th, th[scope='row']) {
    color: var(--jx-muted);
    font-weight: 600;
  }
  .jx-panel .jx-table .jx-num {
    text-align: right;
  }
  .jx-table thead button {
    font-weight: 600;
    color: var(--jx-muted);
  }
  .jx-table thead button:hover {
    color: var(--jx-text);
  }
  .jx-table tbody tr:hover td {
    background: color-mix(in srgb, var(--jx-text) 4%, transparent);
  }
  .jx-table tbody tr[aria-selected='true'] td {
    background: color-mix(in srgb, var(--jx-accent) 10%, transparent);
  }
  .jx-table .jx-open {
    font-weight: 600;
  }
  .jx-table .jx-open[aria-expanded='true'] {
    color: var(--jx-accent);
  }
  .jx-runs-panel-head {
    display: flex;
    justify-content: flex-end;
    padding-top: 6px;
    font-size: 12px;
  }
  .jx-table .jx-open:hover {
    text-decoration: underline;
  }
  .jx-table .jx-runid {
    font: 11px var(--jx-mono);
    color: var(--jx-muted);
  }
  .jx-table .jx-label {
    padding: 0 2px;
    cursor: text;
    max-width: 200px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    text-align: left;
    min-width: 40px;
  }
  .jx-table .jx-label-none {
    color: var(--jx-muted);
    opacity: 0.55;
  }
  .jx-table .jx-label:hover {
    background: color-mix(in srgb, var(--jx-text) 8%, transparent);
  }
  .jx-runs-note {
    padding: 4px 14px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-runs-note:empty {
    display: none;
  }
  .jx-runs-note[data-tone='error'] {
    color: var(--jx-error);
  }
  .jx-compare {
    border-top: 1px solid var(--jx-border);
    padding: 8px 0 10px;
  }
  .jx-compare-head {
    display: flex;
    flex-wrap: wrap;
    align-items: flex-start;
    justify-content: space-between;
    gap: 2px 16px;
    margin-bottom: 4px;
  }
  .jx-panel .jx-run-names {
    display: flex;
    flex: 0 1 auto;
    flex-wrap: wrap;
    gap: 1px 4px;
    max-height: 86px; /* half of a row at the end: there are more */
    overflow-y: auto;
    scrollbar-width: thin;
    list-style: none;
    margin: 0;
    padding: 2px 0 0;
  }
  .jx-panel .jx-run-names li {
    display: inline-flex;
    align-items: center;
    max-width: 100%;
    margin: 0;
  }
  .jx-run-names .jx-swatch {
    width: 18px;
  }
  .jx-compare-head .jx-toolbar {
    flex: 0 1 auto;
    margin-left: auto;
  }
  .jx-inputs-box {
    padding: 2px 14px 6px;
  }
  .jx-inputs-box > svg {
    display: block;
    width: 100%;
    max-width: 1100px;
  }
  .jx-inputs-grid {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(200px, 1fr));
    gap: 8px 16px;
    margin-top: 6px;
  }
  .jx-inputs-grid figure {
    margin: 0;
    max-width: 300px;
  }
  .jx-inputs-grid figcaption {
    display: flex;
    justify-content: space-between;
    font-size: 11.5px;
    color: var(--jx-muted);
  }
  .jx-inputs-grid strong {
    color: var(--jx-text);
  }
  .jx-inputs-axis {
    stroke: var(--jx-border);
  }
  .jx-inputs-text,
  .jx-inputs-name {
    font-size: 10px;
    fill: var(--jx-muted);
    stroke: var(--jx-surface);
    stroke-width: 3px;
    paint-order: stroke;
  }
  .jx-inputs-name {
    font-weight: 600;
    fill: var(--jx-text);
  }
  .jx-inputs-polyline {
    stroke-width: 1.6;
    stroke-opacity: 0.75;
  }
  .jx-inputs-polyline:hover {
    stroke-width: 3.5;
    stroke-opacity: 1;
  }
  .jx-inputs-circle:hover {
    stroke: var(--jx-text);
    stroke-width: 1.5;
  }
  .jx-runs-note select {
    height: 22px;
  }
  .jx-diff-box {
    margin: 6px 14px 0;
    max-height: 260px;
    overflow: auto;
  }
  .jx-compare .jx-diff {
    width: auto;
  }
  .jx-again {
    padding: 8px 14px 12px;
    border-bottom: 1px solid var(--jx-border);
    background: color-mix(in srgb, var(--jx-text) 2.5%, transparent);
    font-size: 12px;
  }
  .jx-again-title {
    font-weight: 600;
    margin-bottom: 6px;
  }
  .jx-again-inputs {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(min(260px, 100%), 1fr));
    gap: 6px 20px;
  }
  .jx-again-inputs label {
    display: flex;
    align-items: center;
    gap: 8px;
    min-width: 0;
  }
  .jx-again-inputs label span {
    flex: 0 0 96px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    color: var(--jx-muted);
  }
  .jx-again-inputs :is(input, select) {
    flex: 1 1 auto;
    min-width: 0;
    font: 12px var(--jx-mono);
  }
  .jx-again .jx-bad:not(:empty) {
    margin-top: 8px;
  }
  .jx-again-end {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
    margin-top: 10px;
  }
  .jx-again-told {
    color: var(--jx-muted);
  }
  .jx-runs-panel {
    padding: 0 14px 8px;
  }
`;

export const RUNS_STYLES: StyleSheet = { id: 'jupyter-ext-runs-style', text: CSS };
