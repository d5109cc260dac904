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
  .jx-log-short {
    height: auto;
    min-height: 0;
    resize: none;
  }
  .jx-log-row {
    white-space: pre-wrap;
    overflow-wrap: anywhere;
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
