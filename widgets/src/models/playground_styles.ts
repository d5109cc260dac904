// What the playground of a model looks like beyond the shared styles.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-play {
    margin: 0 0 10px;
    padding: 8px 10px 10px;
    border: 1px solid var(--jx-border);
    border-radius: 5px;
    background: color-mix(in srgb, var(--jx-text) 2.5%, transparent);
  }
  .jx-play-head {
    display: flex;
    justify-content: space-between;
    align-items: center;
    margin-bottom: 6px;
    min-height: 24px;
  }
  .jx-play-modes button {
    height: 22px;
    padding: 0 10px;
    border: 1px solid var(--jx-border);
    background: transparent;
    font-size: 11.5px;
    color: var(--jx-muted);
    cursor: pointer;
  }
  .jx-play-modes button[aria-pressed='true'] {
    color: var(--jx-text);
    background: color-mix(in srgb, var(--jx-accent) 14%, transparent);
    border-color: color-mix(in srgb, var(--jx-accent) 45%, transparent);
  }
  .jx-play-form {
    display: flex;
    flex-direction: column;
    gap: 6px;
  }
  .jx-play-form label {
    display: inline-flex;
    gap: 6px;
    align-items: center;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-play-form label[hidden] {
    display: none;
  }
  .jx-play-form input[type='number'] {
    width: 80px;
  }
  .jx-play-fields {
    display: flex;
    flex-wrap: wrap;
    gap: 6px 16px;
  }
  .jx-play-fields input {
    width: 170px;
    font-family: var(--jx-mono);
  }
  .jx-play-form > textarea[aria-label='Values'] {
    font-family: var(--jx-mono);
  }
  .jx-play-go {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
    margin-top: 6px;
    min-height: 26px;
  }
  .jx-play-note {
    font-size: 12px;
    color: var(--jx-muted);
    overflow-wrap: anywhere;
  }
  .jx-play-note[data-tone='error'] {
    color: var(--jx-error);
  }
  .jx-play-item {
    margin-top: 10px;
  }
  .jx-play-name {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 10px;
    font-size: 12px;
  }
  .jx-play-name span:first-child {
    font-weight: 600;
  }
  .jx-play-name span:last-child {
    color: var(--jx-muted);
  }
  .jx-play-facts {
    display: flex;
    flex-wrap: wrap;
    gap: 1px 18px;
    font-size: 12px;
  }
  .jx-play-facts > span > span:first-child {
    color: var(--jx-muted);
    margin-right: 6px;
  }
  .jx-play-facts > span > span:last-child {
    font-family: var(--jx-mono);
    font-size: 11.5px;
    overflow-wrap: anywhere;
  }
  .jx-play-vector {
    margin-top: 8px;
  }
  .jx-play-of {
    font-size: 12px;
    margin-bottom: 2px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-play-strip {
    display: block;
    width: 100%;
    height: 30px;
    margin-bottom: 2px;
    border-radius: 3px;
    background: color-mix(in srgb, var(--jx-text) 4%, transparent);
  }
  .jx-play-up {
    fill: var(--jx-accent);
  }
  .jx-play-down {
    fill: #d1570a;
  }
  .jx-play-histogram {
    height: 130px;
    margin-top: 4px;
  }
  .jx-play-unplotted {
    height: auto;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-panel .jx-play-text {
    margin: 8px 0 0;
    max-height: 320px;
    overflow: auto;
    padding: 8px 10px;
    border-radius: 4px;
    background: var(--jx-sunken);
    color: var(--jx-text);
    font: 12.5px / 1.55 var(--jx-font);
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .jx-play-prompt {
    color: var(--jx-muted);
  }
`;

export const PLAYGROUND_STYLES: StyleSheet = { id: 'jupyter-ext-playground-style', text: CSS };
