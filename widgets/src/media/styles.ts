// What media look like.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-media .jx-section-head input[type='range'] {
    flex: 1 1 120px;
    max-width: 420px;
    min-width: 80px;
    margin: 0;
    accent-color: var(--jx-accent);
  }
  .jx-media-where {
    font-size: 12px;
    color: var(--jx-muted);
    white-space: nowrap;
  }
  .jx-media-grid {
    display: grid;
    grid-template-columns: repeat(
        auto-fill,
        minmax(min(100%, calc(var(--jx-media-runs) * 200px + 40px)), 1fr)
      );
    gap: 10px;
    padding: 2px 14px 12px;
    align-items: start;
  }
  .jx-media-card {
    min-width: 0;
    padding: 6px 10px 9px;
    border: 1px solid color-mix(in srgb, var(--jx-border) 80%, transparent);
    border-radius: 5px;
  }
  .jx-media-wide {
    grid-column: 1 / -1;
  }
  .jx-panel .jx-media-key {
    display: block;
    max-width: 100%;
    padding: 0;
    border: 0;
    background: none;
    font-size: 12px;
    font-weight: 600;
    text-align: left;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    cursor: zoom-in;
  }
  .jx-media-wide .jx-media-key {
    cursor: zoom-out;
  }
  .jx-media-columns {
    display: grid;
    grid-template-columns: repeat(var(--jx-media-runs), minmax(0, 1fr));
    gap: 12px;
  }
  .jx-media-run {
    display: flex;
    justify-content: space-between;
    gap: 8px;
    min-height: 18px;
    margin-bottom: 3px;
    font-size: 11px;
    color: var(--jx-muted);
  }
  .jx-media-run span:first-child:empty {
    display: none;
  }
  .jx-media-body {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    min-width: 0;
  }
  .jx-media-body > * {
    flex: 1 1 100%;
    min-width: 0;
  }
  .jx-media-body:has(> .jx-media-item + .jx-media-item img) {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(72px, 1fr));
  }
  .jx-media-wide .jx-media-body:has(> .jx-media-item + .jx-media-item img) {
    grid-template-columns: repeat(auto-fill, minmax(200px, 1fr));
  }
  .jx-panel .jx-media-item img,
  .jx-media-item video {
    display: block;
    max-width: 100%;
    width: auto;
    height: auto;
    min-width: min(100%, 64px);
    max-height: 260px;
    object-fit: contain;
    border-radius: 3px;
  }
  .jx-media-wide .jx-media-item img,
  .jx-media-wide .jx-media-item video {
    max-height: 80vh;
    min-width: min(100%, 360px);
  }
  .jx-panel .jx-media-item img.jx-media-pixels {
    image-rendering: pixelated;
    width: 100%;
    max-width: 260px;
  }
  .jx-panel .jx-media-wide .jx-media-item img.jx-media-pixels {
    max-width: 640px;
  }
  .jx-media-item audio {
    display: block;
    width: 100%;
    height: 36px;
  }
  .jx-media-caption,
  .jx-media-none {
    margin-top: 3px;
    font-size: 11px;
    color: var(--jx-muted);
    overflow-wrap: anywhere;
  }
  .jx-media-caption:empty {
    display: none;
  }
  .jx-media-failed {
    font-size: 12px;
    color: var(--jx-error);
  }
  .jx-panel .jx-media-text {
    max-height: 220px;
    margin: 0;
    overflow: auto;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
    font: 12px / 1.45 var(--jx-mono);
    background: none;
    color: inherit;
  }
  .jx-media-frame {
    display: block;
    width: 100%;
    height: 220px;
    border: 0;
    border-radius: 3px;
    background: #ffffff;
  }
  .jx-media-wide .jx-media-frame {
    height: 480px;
  }
  .jx-media-scroll {
    max-height: 240px;
    overflow: auto;
  }
  .jx-media-wide .jx-media-scroll {
    max-height: 560px;
  }
  .jx-panel .jx-media-table {
    border-collapse: collapse;
    margin: 0;
    width: auto;
    font-size: 12px;
    font-variant-numeric: tabular-nums;
  }
  .jx-panel .jx-media-table :is(th, td) {
    padding: 2px 9px 2px 0;
    border: 0;
    border-bottom: 1px solid color-mix(in srgb, var(--jx-border) 60%, transparent);
    text-align: left;
    vertical-align: top;
    background: none;
    max-width: 320px;
    overflow-wrap: anywhere;
  }
  .jx-panel .jx-media-table th {
    font-weight: 600;
    color: var(--jx-muted);
  }
  .jx-panel .jx-media-table thead th {
    position: sticky;
    top: 0;
    background: var(--jx-surface);
    white-space: nowrap;
  }
  .jx-panel .jx-media-table .jx-media-number {
    text-align: right;
    font-family: var(--jx-mono);
    white-space: nowrap;
  }
  .jx-panel .jx-media-matrix td {
    padding: 3px 8px;
    background: color-mix(in srgb, var(--jx-error) var(--jx-share), transparent);
  }
  .jx-panel .jx-media-matrix td[data-diagonal='true'] {
    background: color-mix(in srgb, var(--jx-accent) var(--jx-share), transparent);
  }
  .jx-media-drawing {
    display: block;
    width: 100%;
    height: 110px;
    border-bottom: 1px solid var(--jx-border);
  }
  .jx-media-band {
    margin-top: 8px;
  }
  .jx-media-band .jx-media-drawing {
    height: 76px;
  }
  .jx-media-fill {
    fill: var(--jx-accent);
  }
  .jx-media-line {
    fill: none;
    stroke: var(--jx-accent);
    stroke-width: 1.8;
    vector-effect: non-scaling-stroke;
  }
  .jx-media-now {
    stroke: var(--jx-text);
    stroke-width: 1.2;
    vector-effect: non-scaling-stroke;
  }
  .jx-media-axis {
    display: flex;
    justify-content: space-between;
    gap: 8px;
    margin-top: 2px;
    font-size: 10.5px;
    color: var(--jx-muted);
  }
  .jx-panel .jx-media-more {
    margin: 0 14px 10px;
  }
  @container (max-width: 620px) {
    .jx-media-grid {
      padding-left: 10px;
      padding-right: 10px;
    }
  }
`;

export const MEDIA_STYLES: StyleSheet = { id: 'jupyter-ext-media-style', text: CSS };
