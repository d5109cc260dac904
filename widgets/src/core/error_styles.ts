// What an exception and its frames look like, of a training and of a debug session.

import { css, type StyleSheet } from './styles';

const CSS = css`
  .jx-error {
    margin: 2px 14px 10px;
    padding: 10px 12px;
    border: 1px solid color-mix(in srgb, var(--jx-error) 40%, transparent);
    border-radius: 5px;
    background: color-mix(in srgb, var(--jx-error) 6%, transparent);
  }
  .jx-error-title {
    font-weight: 600;
    color: color-mix(in srgb, var(--jx-error) 85%, var(--jx-text));
    overflow-wrap: anywhere;
    white-space: pre-wrap;
  }
  .jx-error-cause {
    margin-top: 3px;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .jx-error-hint {
    margin-top: 3px;
    color: var(--jx-muted);
  }
  .jx-frames {
    list-style: none;
    margin: 9px 0 0;
    padding: 0;
  }
  .jx-frame {
    margin: 0 0 7px;
  }
  .jx-frame-where {
    display: flex;
    gap: 10px;
    align-items: baseline;
    font-size: 12px;
    min-width: 0;
  }
  .jx-frame-function {
    font-family: var(--jx-mono);
  }
  .jx-frame-file {
    color: var(--jx-muted);
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-frame-source {
    display: flex;
    margin-top: 2px;
    border-radius: 3px;
    background: color-mix(in srgb, var(--jx-text) 5%, transparent);
    overflow-x: auto;
  }
  .jx-frame-line {
    flex: none;
    min-width: 42px;
    padding: 2px 8px;
    text-align: right;
    color: var(--jx-muted);
    font: 12px / 1.5 var(--jx-mono);
    user-select: none;
  }
  .jx-frame-source code {
    padding: 2px 8px 2px 2px;
    font: 12px / 1.5 var(--jx-mono);
    white-space: pre;
    background: none;
    color: inherit;
  }
  .jx-frame-last .jx-frame-source {
    background: color-mix(in srgb, var(--jx-error) 12%, transparent);
    box-shadow: inset 2px 0 var(--jx-error);
  }
  .jx-trace {
    margin-top: 4px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-trace summary {
    cursor: pointer;
    width: max-content;
  }
  .jx-trace pre {
    margin: 6px 0 0;
    max-height: 320px;
    overflow: auto;
    font: 12px / 1.45 var(--jx-mono);
    color: var(--jx-text);
    background: none;
    padding: 0;
  }
`;

export const ERROR_STYLES: StyleSheet = { id: 'jupyter-ext-error-style', text: CSS };
