// What the models view looks like beyond the shared styles.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-models-bar {
    display: flex;
    flex-wrap: wrap;
    gap: 8px 14px;
    align-items: center;
    padding: 10px 14px 6px;
  }
  .jx-models-title {
    font-weight: 600;
    font-size: 14px;
  }
  .jx-models-add {
    display: flex;
    gap: 6px;
    flex: 0 1 400px;
    min-width: min(220px, 100%);
  }
  .jx-models-add input {
    flex: 1;
    min-width: 0;
  }
  .jx-models textarea {
    width: 100%;
    resize: vertical;
    line-height: 1.5;
  }
  .jx-models .jx-button {
    padding: 0 11px;
  }
  .jx-models .jx-button.jx-primary {
    border-color: color-mix(in srgb, var(--jx-accent) 55%, transparent);
    background: color-mix(in srgb, var(--jx-accent) 10%, transparent);
  }
  .jx-models-filter {
    width: 130px;
  }
  .jx-models-note {
    padding: 0 14px 6px;
    font-size: 12px;
    color: var(--jx-muted);
    overflow-wrap: anywhere;
  }
  .jx-models-note:empty {
    display: none;
  }
  .jx-models-note[data-tone='error'] {
    color: var(--jx-error);
  }
  .jx-models-one > .jx-connection {
    display: block;
    padding: 6px 14px 0;
  }
  .jx-machine {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 26px;
    padding: 0 14px 10px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-machine-item {
    display: inline-flex;
    flex-wrap: wrap;
    gap: 2px 8px;
    align-items: center;
  }
  .jx-meter {
    display: inline-flex;
    flex: none;
    width: 120px;
    height: 6px;
    border-radius: 3px;
    overflow: hidden;
    background: color-mix(in srgb, var(--jx-text) 10%, transparent);
  }
  .jx-meter-models {
    background: var(--jx-accent);
  }
  .jx-meter-others {
    background: color-mix(in srgb, var(--jx-text) 32%, transparent);
  }
  .jx-model {
    padding: 7px 14px;
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
  }
  .jx-models-one .jx-model:first-child {
    border-top: 0;
  }
  .jx-model-line {
    display: grid;
    grid-template-columns: minmax(110px, 2.2fr) 116px minmax(64px, 1fr) minmax(66px, 1fr) minmax(66px, 1fr) minmax(
        54px,
        1fr
      ) 204px;
    gap: 0 10px;
    align-items: center;
    min-height: 26px;
  }
  .jx-model-columns {
    padding: 0 14px;
    min-height: 22px;
    font-size: 12px;
    font-weight: 600;
    color: var(--jx-muted);
  }
  .jx-model-title {
    min-width: 0;
  }
  .jx-panel .jx-model-name {
    display: block;
    max-width: 100%;
    padding: 0 0 0 16px;
    border: 0;
    background: none;
    cursor: pointer;
    font-weight: 600;
    text-align: left;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    position: relative;
  }
  .jx-model-name::before {
    content: '';
    position: absolute;
    left: 2px;
    top: calc(50% - 4px);
    border: 4px solid transparent;
    border-left: 6px solid var(--jx-muted);
    border-right: 0;
    transition: transform 0.12s;
  }
  .jx-model-name[aria-expanded='true']::before {
    transform: rotate(90deg);
  }
  .jx-panel .jx-model-name:hover {
    text-decoration: underline;
  }
  .jx-model-cell {
    min-width: 0;
    font-size: 12px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-model-cell[data-label='size'] {
    white-space: normal;
  }
  .jx-model-cell[data-label='revision'] {
    font-family: var(--jx-mono);
    font-size: 11.5px;
  }
  .jx-model-newer {
    display: block;
    font: 11px var(--jx-font);
    color: var(--jx-warning);
    white-space: nowrap;
  }
  .jx-model-actions {
    display: flex;
    gap: 6px;
    justify-content: flex-end;
  }
  .jx-model-confirm {
    display: flex;
    flex-wrap: wrap;
    gap: 6px 8px;
    align-items: center;
    justify-content: flex-end;
    padding-top: 5px;
    font-size: 12px;
  }
  .jx-model-question {
    overflow-wrap: anywhere;
  }
  .jx-model-transfer .jx-bar {
    margin-top: 5px;
  }
  .jx-model-transfer .jx-progress-text span:last-child {
    white-space: nowrap;
  }
  .jx-models .jx-chip[data-status='downloaded'] {
    --jx-tone: var(--jx-accent);
  }
  .jx-models .jx-chip[data-status='loaded'] {
    --jx-tone: var(--jx-success);
  }
  .jx-models .jx-chip[data-status='partial'] {
    --jx-tone: var(--jx-warning);
  }
  .jx-models .jx-chip:is([data-status='downloading'], [data-status='loading'], [data-status='unloading']) {
    --jx-tone: var(--jx-accent);
  }
  .jx-models
    .jx-chip:is([data-status='downloading'], [data-status='loading'], [data-status='unloading'])
    .jx-dot {
    animation: jx-pulse 1.8s ease-in-out infinite;
  }
  .jx-model-body {
    padding: 8px 0 4px 16px;
  }
  .jx-model-wish {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
    margin-bottom: 8px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-staying label {
    display: inline-flex;
    gap: 6px;
    align-items: center;
    min-width: 0;
    max-width: 100%;
  }
  .jx-models .jx-staying select {
    min-width: 0;
    max-width: 100%;
    flex: 0 1 auto;
    text-overflow: ellipsis;
  }
  .jx-staying-note {
    min-width: 0;
    overflow-wrap: anywhere;
  }
  .jx-staying label[hidden] {
    display: none;
  }
  .jx-staying input[type='checkbox'] {
    width: 14px;
    height: 14px;
    margin: 0;
    accent-color: var(--jx-accent);
  }
  .jx-staying-note[data-tone='error'] {
    color: var(--jx-error);
  }
  .jx-panel .jx-model-facts {
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr));
    gap: 1px 28px;
    margin: 0 0 8px;
  }
  .jx-model-facts .jx-fact dt {
    flex-basis: 84px;
  }
  .jx-model-facts .jx-fact-long {
    grid-column: 1 / -1;
  }
  .jx-model-files {
    font-size: 12px;
    margin-bottom: 8px;
  }
  .jx-model-files summary {
    cursor: pointer;
    width: max-content;
    color: var(--jx-muted);
    font-weight: 600;
  }
  .jx-model-file {
    display: grid;
    grid-template-columns: minmax(0, 1fr) 130px 110px;
    gap: 12px;
    padding: 1px 0;
  }
  .jx-model-file span {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-model-file span:nth-child(2) {
    text-align: right;
  }
  .jx-model-hash {
    font: 11px var(--jx-mono);
    color: var(--jx-muted);
    line-height: 18px;
  }
  .jx-model-code {
    display: flex;
    flex-wrap: wrap;
    gap: 4px 12px;
    align-items: baseline;
    font-size: 12px;
  }
  .jx-panel .jx-model-code code {
    font: 12px var(--jx-mono);
    color: inherit;
    background: none;
    padding: 0;
    overflow-wrap: anywhere;
  }
  @container (max-width: 780px) {
    .jx-model-line.jx-model-columns {
      display: none;
    }
    .jx-model-line {
      display: flex;
      flex-wrap: wrap;
      gap: 3px 14px;
    }
    .jx-model-title {
      flex: 1 1 calc(100% - 160px);
    }
    .jx-model-state {
      margin-left: auto;
    }
    .jx-model-cell {
      flex: 0 1 auto;
    }
    .jx-model-cell[data-none] {
      display: none;
    }
    .jx-model-cell::before {
      content: attr(data-label) ' ';
      color: var(--jx-muted);
      font: 12px var(--jx-font);
    }
    .jx-model-newer {
      display: inline;
      margin-left: 6px;
    }
    .jx-model-actions {
      flex: 1 1 auto;
    }
  }
  @container (max-width: 620px) {
    .jx-models-bar,
    .jx-machine,
    .jx-model,
    .jx-models-note {
      padding-left: 10px;
      padding-right: 10px;
    }
    .jx-model-body {
      padding-left: 4px;
    }
    .jx-model-file {
      grid-template-columns: minmax(0, 1fr) 100px;
    }
    .jx-model-hash {
      display: none;
    }
    .jx-meter {
      width: 70px;
    }
  }
`;

export const MODELS_STYLES: StyleSheet = { id: 'jupyter-ext-models-style', text: CSS };
