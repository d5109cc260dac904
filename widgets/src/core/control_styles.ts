// What can be used in any view: buttons, fields, links, and what opens over the page.
// The rule: a button is neutral; what ends or deletes something is a `jx-danger`, red when pointed at,
// and with `jx-danger-confirm`, where it is asked for the second time, always. Rules for buttons begin with
// `.jx-panel`, as the rule that takes the host's font and colour off them does. A field looks as here unless a feature
// needs another size; a button that is only its text is a `jx-bare`, what opens over the page a `jx-popup`.

import { css, type StyleSheet } from './css';

const CSS = css`
  .jx-panel button {
    font: inherit;
    color: inherit;
  }
  .jx-panel :where(input:not([type='checkbox'], [type='radio'], [type='range']), select, textarea) {
    height: 26px;
    padding: 0 8px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: var(--jx-surface);
    color: var(--jx-text);
    font: inherit;
    font-size: 12px;
  }
  .jx-panel :where(textarea) {
    height: auto;
    padding: 6px 8px;
  }
  .jx-panel :where(input, select, textarea):focus-visible {
    outline: 2px solid var(--jx-accent);
    outline-offset: 0;
  }
  .jx-panel :where(input:is([type='checkbox'], [type='radio'], [type='range'])) {
    margin: 0;
    accent-color: var(--jx-accent);
  }
  .jx-panel button:focus-visible,
  .jx-panel summary:focus-visible,
  .jx-panel [tabindex]:focus-visible {
    outline: 2px solid var(--jx-accent);
    outline-offset: 1px;
  }
  .jx-panel .jx-button {
    flex: none;
    height: 26px;
    padding: 0 12px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: transparent;
    font-size: 12px;
    cursor: pointer;
  }
  .jx-panel .jx-button:disabled {
    opacity: 0.45;
    cursor: default;
  }
  .jx-panel .jx-button:hover:not(:disabled) {
    border-color: var(--jx-accent);
  }
  .jx-panel .jx-primary:not(:disabled) {
    border-color: var(--jx-accent);
    color: var(--jx-accent);
  }
  .jx-panel .jx-primary:hover:not(:disabled) {
    background: color-mix(in srgb, var(--jx-accent) 12%, transparent);
  }
  .jx-panel :is(.jx-danger:hover:not(:disabled), .jx-danger-confirm) {
    border-color: var(--jx-error);
    color: var(--jx-error);
  }
  .jx-panel :is(.jx-link, .jx-bare) {
    padding: 0;
    border: 0;
    background: none;
    font-size: 12px;
    cursor: pointer;
  }
  .jx-panel .jx-link {
    color: var(--jx-accent);
    white-space: nowrap;
  }
  .jx-panel .jx-link:hover {
    text-decoration: underline;
  }
  .jx-panel .jx-link:disabled {
    opacity: 0.5;
    cursor: default;
  }
  .jx-popup {
    position: absolute;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: var(--jx-surface);
    color: var(--jx-text);
    box-shadow: 0 3px 12px rgb(0 0 0 / 18%);
  }
  .jx-segments {
    display: flex;
  }
  .jx-segments button:first-child {
    border-radius: 4px 0 0 4px;
  }
  .jx-segments button:last-child {
    border-radius: 0 4px 4px 0;
    margin-left: -1px;
  }
`;

export const CONTROL_STYLES: StyleSheet = { id: 'jupyter-ext-control-style', text: CSS };
