// What the log looks like, with the colours of a terminal.

import { css, type StyleSheet } from '../core/styles';

const CSS = css`
  .jx-log {
    height: 148px;
    min-height: 60px;
    max-height: 70vh;
    overflow: auto;
    resize: vertical;
    padding: 2px 14px 8px;
    font: 12px / 1.5 var(--jx-mono);
    background: transparent;
    overscroll-behavior: contain;
  }
  .jx-log-frame {
    position: relative;
  }
  .jx-log-frame .jx-log {
    overflow-anchor: none;
  }
  .jx-log-ticks {
    position: absolute;
    top: 0;
    right: 0;
    width: 6px;
    height: 100%;
    color: var(--jx-warning);
    pointer-events: none;
  }
  .jx-log-history {
    position: relative;
  }
  .jx-log-block {
    position: absolute;
    left: 0;
    right: 0;
  }
  .jx-log:not(.jx-log-wrapped) .jx-log-block {
    right: auto;
    min-width: 100%;
  }
  .jx-log:not(.jx-log-wrapped):not(.jx-log-hits) .jx-log-row {
    white-space: pre;
    overflow-wrap: normal;
  }
  .jx-log-marked {
    background: color-mix(in srgb, var(--jx-accent) 22%, transparent);
  }
  .jx-log-search {
    display: flex;
    align-items: center;
    gap: 4px;
    min-width: 0;
  }
  .jx-log-search :is(input, select) {
    height: 20px;
    padding: 0 6px;
    border-radius: 3px;
    font: 12px var(--jx-font);
  }
  .jx-log-search select option {
    background: var(--jx-surface);
    color: var(--jx-text);
  }
  .jx-log-search input {
    width: 150px;
    min-width: 60px;
  }
  .jx-panel .jx-log-toggle {
    height: 20px;
    min-width: 22px;
    padding: 0 5px;
    border: 1px solid transparent;
    border-radius: 3px;
    background: none;
    color: var(--jx-muted);
    font: 11px var(--jx-mono);
    white-space: nowrap;
    cursor: pointer;
  }
  .jx-panel .jx-log-toggle:hover {
    border-color: var(--jx-border);
  }
  .jx-panel .jx-log-toggle[aria-pressed='true'] {
    border-color: var(--jx-accent);
    color: var(--jx-accent);
  }
  .jx-log-move {
    display: flex;
    gap: 2px;
  }
  .jx-log-found {
    flex: none;
    font-size: 11.5px;
    color: var(--jx-muted);
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    max-width: 260px;
  }
  .jx-panel .jx-link[aria-pressed='false'] {
    color: var(--jx-muted);
  }
  .jx-log-hits {
    border-top: 1px dashed var(--jx-border);
  }
  .jx-panel .jx-log-hit {
    display: block;
    width: 100%;
    font: inherit;
    text-align: left;
    white-space: pre;
    overflow: hidden;
    text-overflow: ellipsis;
  }
  .jx-panel .jx-log-hit:hover {
    background: color-mix(in srgb, var(--jx-accent) 12%, transparent);
  }
  .jx-log-number {
    display: inline-block;
    min-width: 5em;
    margin-right: 1em;
    color: var(--jx-muted);
    text-align: right;
  }
  .jx-log-short {
    height: auto;
    min-height: 0;
    resize: none;
  }
  .jx-log-row {
    margin-left: -8px;
    padding-left: 6px;
    border-left: 2px solid transparent;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .jx-log-err {
    border-left-color: color-mix(in srgb, var(--jx-warning) 75%, transparent);
  }
  .jx-log-timed .jx-log-row {
    padding-left: calc(6px + 10ch);
    text-indent: -10ch;
  }
  .jx-log-timed .jx-log-row::before {
    content: attr(data-time);
    display: inline-block;
    width: 10ch;
    color: var(--jx-muted);
    text-indent: 0;
  }
  .jx-log-folded {
    display: none;
  }
  .jx-log-fold {
    display: inline-flex;
    gap: 14px;
    margin-left: 14px;
    user-select: none;
  }
  .jx-panel .jx-log .jx-link {
    padding: 0;
    font: inherit;
    text-indent: 0;
  }
  .jx-log-empty {
    color: var(--jx-muted);
    font-family: var(--jx-font);
  }
  .jx-log .ansi-bold {
    font-weight: 700;
  }
  .jx-log .ansi-dim {
    opacity: 0.7;
  }
  .jx-log .ansi-italic {
    font-style: italic;
  }
  .jx-log .ansi-underline {
    text-decoration: underline;
  }
  .jx-log .ansi-strikethrough {
    text-decoration: line-through;
  }
  .jx-log .ansi-hidden {
    visibility: hidden;
  }
  @container (max-width: 620px) {
    .jx-section-head:has(.jx-log-search) {
      flex-wrap: wrap;
    }
    .jx-log {
      padding-left: 10px;
      padding-right: 10px;
    }
  }
`;

/** Per colour: on a light page normal and bright, on a dark page the same for both. */
const ANSI: Readonly<Record<string, readonly [string, string, string]>> = {
  black: ['#3e424d', '#5b606e', '#8b90a0'],
  red: ['#c9302c', '#b22b31', '#ff7b72'],
  green: ['#00803c', '#007427', '#56d364'],
  yellow: ['#a66f00', '#8f5f00', '#e3b341'],
  blue: ['#1769c2', '#0065ca', '#79c0ff'],
  magenta: ['#a03196', '#8a1f80', '#d2a8ff'],
  cyan: ['#0f7d8c', '#006f7d', '#56d4dd'],
  white: ['#6f6f6f', '#757575', '#e6e6e6'],
};

function ansiColors(): string {
  return Object.entries(ANSI)
    .flatMap(([name, [normal, bright, dark]]) => {
      const title = name[0].toUpperCase() + name.slice(1);
      return [
        `.jx-panel { --jx-ansi-${name}: var(--vscode-terminal-ansi${title}, ${normal}); --jx-ansi-bright-${name}: var(--vscode-terminal-ansiBright${title}, ${bright}); }`,
        `.jx-panel[data-theme='dark'] { --jx-ansi-${name}: var(--vscode-terminal-ansi${title}, ${dark}); --jx-ansi-bright-${name}: var(--vscode-terminal-ansiBright${title}, ${dark}); }`,
        `.jx-log .ansi-${name} { color: var(--jx-ansi-${name}); }`,
        `.jx-log .ansi-bright-${name} { color: var(--jx-ansi-bright-${name}); }`,
        `.jx-log .ansi-${name}-bg, .jx-log .ansi-bright-${name}-bg { background-color: color-mix(in srgb, var(--jx-ansi-${name}) 30%, transparent); }`,
      ];
    })
    .join('\n');
}

export const LOG_STYLES: StyleSheet = { id: 'jupyter-ext-log-style', text: `${CSS}${ansiColors()}` };
