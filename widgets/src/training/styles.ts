// What a training's view looks like beyond the shared styles.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-training .jx-title > .jx-button {
    min-width: 76px;
  }
  .jx-elapsed {
    color: var(--jx-muted);
    flex: none;
    min-width: 3em;
    text-align: right;
  }
  .jx-panel .jx-chart-none {
    min-height: 40px;
    max-height: 40px;
  }
  .jx-metrics:has(.jx-chart-none) .jx-toolbar {
    display: none;
  }
  .jx-last {
    display: flex;
    flex-wrap: wrap;
    gap: 3px 20px;
    padding: 8px 0 4px;
    font-size: 12px;
  }
  .jx-last span:first-child {
    color: var(--jx-muted);
    margin-right: 7px;
  }
  .jx-system {
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
    font-size: 12px;
  }
  .jx-system-row {
    display: flex;
    align-items: center;
    gap: 18px;
    height: 31px;
    padding: 0 14px;
    min-width: 0;
  }
  .jx-readouts {
    display: flex;
    flex: 1 1 auto;
    flex-wrap: wrap;
    gap: 0 22px;
    height: 20px;
    min-width: 0;
    overflow: hidden;
  }
  .jx-readout {
    display: flex;
    align-items: center;
    gap: 7px;
    height: 20px;
    white-space: nowrap;
  }
  .jx-readout-label {
    color: var(--jx-muted);
  }
  .jx-readout-value {
    min-width: 4em;
  }
  .jx-readout path {
    fill: none;
    stroke: var(--jx-muted);
    stroke-width: 1.2;
    stroke-linejoin: round;
  }
  .jx-system-charts {
    padding: 0 14px 8px;
  }
  .jx-details {
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
    padding: 0 14px;
  }
  .jx-details > summary {
    font-size: 12px;
    font-weight: 600;
    color: var(--jx-muted);
    padding: 6px 0;
    cursor: pointer;
    width: max-content;
  }
  .jx-before {
    padding: 0 14px 10px;
  }
  .jx-before:empty {
    display: none;
  }
  .jx-crash {
    color: var(--jx-error, #d32f2f);
    white-space: pre-wrap;
  }
  @container (max-width: 620px) {
    .jx-readout svg {
      display: none;
    }
    .jx-readout-value {
      min-width: 0;
    }
    .jx-system-row,
    .jx-system-charts,
    .jx-details {
      padding-left: 10px;
      padding-right: 10px;
    }
  }
`;

export const TRAINING_STYLES: StyleSheet = { id: 'jupyter-ext-training-style', text: CSS };
