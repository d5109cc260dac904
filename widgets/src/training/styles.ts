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
  .jx-chart-none .jx-stage {
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
    display: flex;
    flex-wrap: wrap;
    gap: 4px 22px;
    padding: 6px 14px;
    min-height: 31px;
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
    font-size: 12px;
  }
  .jx-readout {
    display: flex;
    align-items: center;
    gap: 8px;
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
    .jx-system,
    .jx-details {
      padding-left: 10px;
      padding-right: 10px;
    }
  }
`;

export const TRAINING_STYLES: StyleSheet = { id: 'jupyter-ext-training-style', text: CSS };
