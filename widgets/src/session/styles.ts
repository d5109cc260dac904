// What the session view looks like beyond the shared styles.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-session .jx-title {
    flex-wrap: wrap;
    row-gap: 4px;
  }
  .jx-session-dim {
    color: var(--jx-muted);
    font-size: 12px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    min-width: 0;
  }
  .jx-session-id {
    flex: none;
    font: 11px var(--jx-mono);
    color: var(--jx-muted);
    background: none;
    padding: 0;
    max-width: 9em;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-session-confirm {
    display: inline-flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
    font-size: 12px;
  }
  .jx-session-item {
    padding: 3px 14px 6px;
  }
  .jx-session-line {
    display: flex;
    gap: 10px;
    align-items: center;
    min-height: 26px;
    min-width: 0;
  }
  .jx-session-line > .jx-spacer {
    flex: 1 1 0;
  }
  .jx-panel.jx-session .jx-stacks {
    margin: 0 14px 8px;
    padding: 8px 10px;
  }
  .jx-session-interrupt {
    border-color: var(--jx-border);
    background: none;
  }
  .jx-session-interrupt .jx-error-title {
    color: var(--jx-text);
  }
  .jx-session-interrupt .jx-frame-last .jx-frame-source {
    background: color-mix(in srgb, var(--jx-text) 5%, transparent);
    box-shadow: inset 2px 0 var(--jx-muted);
  }
  .jx-session-item .jx-bar {
    margin: 4px 0 6px;
  }
  .jx-session-item .jx-metrics {
    padding: 0;
  }
  .jx-session-one .jx-session-item {
    padding-top: 8px;
  }
  .jx-session-one .jx-session-id {
    display: none;
  }
  .jx-session-of {
    flex: none;
    max-width: 16em;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-session-body {
    padding: 2px 0 6px;
  }
  .jx-session-again {
    display: flex;
    justify-content: space-between;
    gap: 12px;
  }
  .jx-parameter {
    display: grid;
    grid-template-columns: minmax(90px, 1.4fr) minmax(90px, 1fr) minmax(0, 2fr) minmax(0, 2fr);
    gap: 2px 12px;
    align-items: center;
    padding: 2px 0;
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 45%, transparent);
  }
  .jx-panel .jx-parameter-name,
  .jx-panel .jx-name-name,
  .jx-panel .jx-value-head code,
  .jx-panel .jx-console-answer > code {
    font: 12px var(--jx-mono);
    color: inherit;
    background: none;
    padding: 0;
  }
  .jx-parameter-name {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-parameter-half {
    display: flex;
    gap: 8px;
    align-items: center;
    min-width: 0;
  }
  .jx-spark {
    flex: none;
    width: 64px;
    height: 20px;
  }
  .jx-spark svg,
  .jx-histogram svg {
    display: block;
    width: 100%;
    height: 100%;
  }
  .jx-spark rect,
  .jx-histogram rect {
    fill: var(--jx-accent);
  }
  .jx-histogram {
    width: min(340px, 100%);
    height: 110px;
    padding-bottom: 18px;
    position: relative;
  }
  .jx-histogram svg {
    border-bottom: 1px solid var(--jx-border);
  }
  .jx-histogram-range {
    display: flex;
    justify-content: space-between;
    font-size: 11px;
    color: var(--jx-muted);
  }
  .jx-value {
    padding: 3px 0 6px;
  }
  .jx-value-head {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 12px;
    align-items: baseline;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-panel .jx-value-head code {
    color: var(--jx-text);
    overflow-wrap: anywhere;
  }
  .jx-value-facts {
    display: flex;
    flex-wrap: wrap;
    gap: 1px 16px;
    font-size: 12px;
  }
  .jx-value-facts > span > span:first-child {
    color: var(--jx-muted);
    margin-right: 6px;
  }
  .jx-value-facts > span > span:last-child {
    font-family: var(--jx-mono);
    font-size: 11.5px;
  }
  .jx-panel .jx-value-text {
    margin: 3px 0 0;
    padding: 0;
    max-height: 220px;
    overflow: auto;
    font: 12px / 1.5 var(--jx-mono);
    color: var(--jx-text);
    background: none;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .jx-value-drawn {
    display: flex;
    flex-wrap: wrap;
    gap: 12px 24px;
    margin-top: 6px;
    align-items: flex-start;
  }
  .jx-panel .jx-picture {
    margin: 0;
  }
  .jx-picture canvas {
    display: block;
    image-rendering: pixelated;
    border: 1px solid var(--jx-border);
  }
  .jx-picture figcaption {
    font-size: 11px;
    color: var(--jx-muted);
  }
  .jx-names {
    margin: 5px 0 2px;
    font-size: 12px;
  }
  .jx-section > .jx-names {
    padding: 0 14px 8px;
  }
  .jx-names-none {
    color: var(--jx-muted);
  }
  .jx-name-row {
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 45%, transparent);
  }
  .jx-panel .jx-name-open {
    display: grid;
    grid-template-columns: minmax(70px, 1fr) minmax(90px, 1.2fr) minmax(0, 4fr);
    gap: 12px;
    width: 100%;
    padding: 2px 0;
    border: 0;
    background: none;
    text-align: left;
    cursor: pointer;
    font-size: 12px;
    align-items: baseline;
  }
  .jx-panel .jx-name-open:hover {
    background: color-mix(in srgb, var(--jx-text) 4%, transparent);
  }
  .jx-name-open > * {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-name-type {
    color: var(--jx-muted);
  }
  .jx-name-value {
    font-family: var(--jx-mono);
    font-size: 11.5px;
  }
  .jx-name-close {
    padding: 0 0 6px 12px;
    border-left: 2px solid var(--jx-border);
    margin-left: 2px;
  }
  .jx-session-frames .jx-frame-where {
    width: 100%;
    padding: 2px 0;
    border: 0;
    background: none;
    text-align: left;
    cursor: pointer;
  }
  .jx-session-frames .jx-frame-where:hover .jx-frame-function {
    text-decoration: underline;
  }
  .jx-session-frames .jx-frame-where::before {
    content: '';
    flex: none;
    align-self: center;
    border: 4px solid transparent;
    border-left: 6px solid var(--jx-muted);
    border-right: 0;
  }
  .jx-session-frames .jx-frame-selected .jx-frame-where::before {
    transform: rotate(90deg);
  }
  .jx-session-frames .jx-frame-selected .jx-frame-function {
    font-weight: 600;
  }
  .jx-panel .jx-console-input {
    flex: 1 1 auto;
    min-width: 0;
    font: 12px var(--jx-mono);
  }
  .jx-panel .jx-calls-which {
    flex: 0 1 auto;
    min-width: 90px;
    max-width: 240px;
    padding: 0 4px;
    font: 12px var(--jx-mono);
  }
  .jx-calls-answer {
    padding: 2px 14px 7px;
    color: var(--jx-muted);
    font: 12px var(--jx-mono);
    overflow-wrap: anywhere;
  }
  .jx-calls-answer[data-tone='error'] {
    color: var(--jx-error);
    font-family: var(--jx-font);
  }
  .jx-console-answers {
    padding: 0 14px;
    max-height: 420px;
    overflow: auto;
  }
  .jx-console-answer {
    padding: 4px 0;
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 45%, transparent);
    font-size: 12px;
    overflow-wrap: anywhere;
  }
  .jx-console-answer:last-child {
    margin-bottom: 6px;
  }

  @container (max-width: 620px) {
    .jx-session-item,
    .jx-calls-answer,
    .jx-console-answers,
    .jx-section > .jx-names {
      padding-left: 10px;
      padding-right: 10px;
    }
    .jx-parameter {
      grid-template-columns: 1fr 1fr;
    }
    .jx-panel .jx-name-open {
      grid-template-columns: minmax(60px, 1fr) minmax(0, 3fr);
    }
    .jx-name-type {
      display: none;
    }
    .jx-session-facts {
      flex-basis: 100%;
      order: 9;
    }
    .jx-session-id {
      display: none;
    }
    .jx-session-line {
      flex-wrap: wrap;
      row-gap: 2px;
    }
    .jx-session .jx-toolbar {
      height: auto;
      flex-wrap: wrap;
    }
    .jx-session .jx-toolbar button {
      white-space: nowrap;
    }
  }
`;

export const SESSION_STYLES: StyleSheet = { id: 'jupyter-ext-session-style', text: CSS };
