// The look of a form: one column of names, one of controls, what they mean beside them.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-form {
    max-width: 1100px;
    margin: 0;
    border: 0;
    border-radius: 0;
    padding: 14px 18px 20px;
    overflow: visible;
  }
  .jx-form-head {
    display: flex;
    align-items: baseline;
    gap: 2px;
    padding-bottom: 8px;
    margin-bottom: 12px;
    border-bottom: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
  }
  .jx-form-verb,
  .jx-panel .jx-form-name {
    font: 600 16px var(--jx-font);
  }
  .jx-panel .jx-form-name {
    field-sizing: content;
    min-width: 40px;
    max-width: 60%;
    padding: 2px 6px;
    border: 1px solid transparent;
    border-radius: 4px;
    background: transparent;
    color: var(--jx-text);
  }
  .jx-panel .jx-form-name:hover {
    border-color: var(--jx-border);
  }
  .jx-panel .jx-form-name:focus {
    border-color: var(--jx-accent);
    background: var(--jx-surface);
    outline: none;
  }
  .jx-form-on-word {
    color: var(--jx-muted);
  }
  .jx-panel .jx-form-on {
    max-width: 40%;
    margin-left: 4px;
    padding: 2px 4px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: var(--jx-surface);
    color: var(--jx-text);
    font: inherit;
  }
  .jx-form-origin {
    margin-left: 8px;
    font-size: 12px;
    color: var(--jx-muted);
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-form .jx-messages {
    padding: 0 0 8px;
  }
  .jx-form-rows {
    display: grid;
    gap: 10px;
  }
  .jx-form-row {
    display: grid;
    grid-template-columns: 140px minmax(0, 1fr);
    align-items: start;
    gap: 0 12px;
  }
  .jx-form-row label {
    padding-top: 5px;
    text-align: right;
    overflow-wrap: anywhere;
    color: var(--jx-text);
  }
  .jx-form-required::after {
    content: ' *' / '';
    color: var(--jx-error);
  }
  .jx-form-control {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 6px 10px;
    min-width: 0;
    min-height: 30px;
  }
  .jx-panel .jx-form-control :is(input[type='text'], input[type='password'], select) {
    flex: 0 1 300px;
    min-width: 0;
    width: 300px;
    height: 30px;
    padding: 0 9px;
    font: 13px var(--jx-font);
    font-variant-numeric: tabular-nums;
  }
  .jx-panel .jx-form-control select[multiple] {
    height: auto;
    padding: 3px;
  }
  .jx-panel .jx-form-control :is(input, select):focus-visible {
    outline: 2px solid var(--jx-accent);
    outline-offset: -1px;
  }
  .jx-panel .jx-form-control [aria-invalid='true'] {
    border-color: var(--jx-error);
  }
  .jx-panel .jx-form-control ::placeholder {
    color: var(--jx-muted);
    opacity: 0.85;
  }
  .jx-panel .jx-form-control input[type='checkbox'] {
    width: 16px;
    height: 16px;
  }
  .jx-panel .jx-slider {
    flex: 0 1 180px;
    width: 180px;
    min-width: 80px;
    height: 18px;
    cursor: pointer;
  }
  .jx-panel .jx-slider[data-off='true'] {
    opacity: 0.45;
  }
  .jx-panel .jx-form-control .jx-button {
    height: 30px;
  }
  .jx-form-about,
  .jx-form-told,
  .jx-form-wait {
    font-size: 12px;
    color: var(--jx-muted);
    overflow-wrap: anywhere;
  }
  .jx-form-told:empty {
    display: none;
  }
  .jx-form-error {
    flex: 1 0 100%;
    font-size: 12px;
    color: var(--jx-error);
  }
  .jx-form-refused {
    padding: 8px 0 8px 10px;
    border-left: 3px solid var(--jx-error);
    overflow-wrap: anywhere;
  }
  .jx-form-general:not(:empty) {
    margin-top: 10px;
  }
  .jx-form-end {
    display: flex;
    align-items: center;
    gap: 16px;
    margin: 18px 0 0 152px;
    min-width: 0;
  }
  .jx-panel .jx-form-start {
    height: 32px;
    min-width: 96px;
    padding: 0 18px;
    border-color: var(--jx-accent);
    background: var(--jx-accent);
    color: var(--jp-ui-inverse-font-color1, #ffffff);
    font-size: 13px;
    font-weight: 600;
  }
  .jx-panel .jx-form-start:hover:not(:disabled) {
    background: color-mix(in srgb, var(--jx-accent) 86%, var(--jx-text));
  }
  .jx-form-same {
    display: flex;
    align-items: baseline;
    gap: 10px;
    min-width: 0;
  }
  .jx-panel .jx-form-line {
    padding: 0;
    background: none;
    color: var(--jx-muted);
    font: 12px / 1.5 var(--jx-mono);
    overflow-wrap: anywhere;
    user-select: all;
  }
  @container (max-width: 620px) {
    .jx-form-row {
      grid-template-columns: minmax(0, 1fr);
    }
    .jx-form-row label {
      padding: 0 0 3px;
      text-align: left;
    }
    .jx-form-end {
      flex-wrap: wrap;
      margin-left: 0;
    }
  }
`;

export const FORM_STYLES: StyleSheet = { id: 'jupyter-ext-form-style', text: CSS };
