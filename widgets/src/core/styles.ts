// The panel's look. Colours come from the host: JupyterLab's variables, else VS Code's, else plain ones.

import { addStyleSheet, css } from './dom';

/** Add the styles once to the document or shadow root that an element is in. */
export function addStyles(inside: HTMLElement): void {
  addStyleSheet(inside, 'jupyter-ext-style', `${CSS}${ansiColors()}`);
}

const CSS = css`
  .jx-panel {
    --jx-surface: var(--jp-layout-color1, var(--vscode-editor-background, #ffffff));
    --jx-sunken: var(--jp-layout-color2, var(--vscode-sideBar-background, #f5f5f5));
    --jx-text: var(--jp-ui-font-color1, var(--vscode-editor-foreground, #212121));
    --jx-muted: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #616161));
    --jx-border: var(--jp-border-color2, var(--vscode-panel-border, #e0e0e0));
    --jx-accent: var(--jp-brand-color1, var(--vscode-focusBorder, #1976d2));
    --jx-font: var(
      --jp-ui-font-family,
      var(--vscode-font-family, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif)
    );
    --jx-mono: var(
      --jp-code-font-family,
      var(--vscode-editor-font-family, ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace)
    );
    --jx-error: var(--jp-error-color1, var(--vscode-errorForeground, #d32f2f));
    --jx-warning: var(--jp-warn-color0, #a15c00);
    --jx-success: var(--jp-success-color1, #2e7d32);
    container-type: inline-size;
    box-sizing: border-box;
    width: 100%;
    max-width: 1400px;
    margin: 4px 0;
    border: 1px solid var(--jx-border);
    border-radius: 6px;
    background: var(--jx-surface);
    color: var(--jx-text);
    font: 13px / 1.45 var(--jx-font);
    font-variant-numeric: tabular-nums;
    overflow: hidden;
  }
  .jx-panel *,
  .jx-panel *::before,
  .jx-panel *::after {
    box-sizing: border-box;
  }
  .jx-panel [hidden] {
    display: none !important;
  }
  .jx-panel button {
    font: inherit;
    color: inherit;
  }
  .jx-panel button:focus-visible,
  .jx-panel summary:focus-visible,
  .jx-panel [tabindex]:focus-visible {
    outline: 2px solid var(--jx-accent);
    outline-offset: 1px;
  }
  .jx-blank {
    padding: 14px 16px;
    color: var(--jx-muted);
    min-height: 48px;
  }
  .jx-blank[data-tone='error'] span {
    color: var(--jx-error);
  }
  .jx-blank .jx-link {
    margin-left: 12px;
  }
  .jx-spacer {
    flex: 1 1 auto;
  }

  .jx-header {
    padding: 10px 14px 4px;
  }
  .jx-title {
    display: flex;
    align-items: center;
    gap: 10px;
    min-height: 26px;
    min-width: 0;
  }
  .jx-name {
    font-weight: 600;
    font-size: 14px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    min-width: 3em;
  }
  .jx-id {
    font: 11px var(--jx-mono);
    color: var(--jx-muted);
    flex: none;
  }
  .jx-elapsed {
    color: var(--jx-muted);
    flex: none;
    min-width: 3em;
    text-align: right;
  }
  .jx-connection {
    color: var(--jx-warning);
    font-size: 12px;
    flex: none;
  }
  .jx-chip {
    --jx-tone: var(--jx-muted);
    display: inline-flex;
    align-items: center;
    gap: 6px;
    flex: none;
    height: 20px;
    padding: 0 9px 0 7px;
    border-radius: 10px;
    font-size: 11.5px;
    font-weight: 500;
    white-space: nowrap;
    color: color-mix(in srgb, var(--jx-tone) 78%, var(--jx-text));
    background: color-mix(in srgb, var(--jx-tone) 13%, transparent);
  }
  .jx-dot {
    width: 7px;
    height: 7px;
    border-radius: 50%;
    background: var(--jx-tone);
  }
  .jx-chip[data-status='starting'] {
    --jx-tone: var(--jx-muted);
  }
  .jx-chip[data-status='processing'] {
    --jx-tone: var(--jx-accent);
  }
  .jx-chip[data-status='succeeded'] {
    --jx-tone: var(--jx-success);
  }
  .jx-chip[data-status='failed'] {
    --jx-tone: var(--jx-error);
  }
  .jx-chip[data-status='stopping'] {
    --jx-tone: var(--jx-warning);
  }
  .jx-chip[data-status='processing'] .jx-dot,
  .jx-chip[data-status='starting'] .jx-dot,
  .jx-chip[data-status='stopping'] .jx-dot {
    animation: jx-pulse 1.8s ease-in-out infinite;
  }
  @keyframes jx-pulse {
    50% {
      opacity: 0.35;
    }
  }
  .jx-button {
    flex: none;
    min-width: 76px;
    height: 26px;
    padding: 0 12px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: transparent;
    font-size: 12px !important;
    cursor: pointer;
  }
  .jx-button:hover:not(:disabled) {
    border-color: var(--jx-error);
    color: var(--jx-error) !important;
  }
  .jx-primary:not(:disabled) {
    border-color: var(--jx-accent);
    color: var(--jx-accent) !important;
  }
  .jx-primary:hover:not(:disabled) {
    border-color: var(--jx-accent);
    background: color-mix(in srgb, var(--jx-accent) 12%, transparent);
    color: var(--jx-accent) !important;
  }
  .jx-button:disabled {
    opacity: 0.45;
    cursor: default;
  }
  .jx-bar {
    position: relative;
    height: 4px;
    margin-top: 8px;
    border-radius: 2px;
    overflow: hidden;
    background: color-mix(in srgb, var(--jx-text) 10%, transparent);
  }
  .jx-bar-fill {
    height: 100%;
    border-radius: 2px;
    background: var(--jx-accent);
    transition: width 0.25s linear;
  }
  .jx-bar[data-status='succeeded'] .jx-bar-fill {
    background: var(--jx-success);
  }
  .jx-bar[data-status='failed'] .jx-bar-fill {
    background: var(--jx-error);
  }
  .jx-bar[data-status='canceled'] .jx-bar-fill {
    background: var(--jx-muted);
  }
  .jx-bar-unknown .jx-bar-fill {
    width: 22%;
    animation: jx-slide 1.8s ease-in-out infinite alternate;
  }
  @keyframes jx-slide {
    from {
      transform: translateX(0);
    }
    to {
      transform: translateX(355%);
    }
  }
  .jx-progress-text {
    display: flex;
    justify-content: space-between;
    gap: 12px;
    margin-top: 4px;
    min-height: 18px;
    font-size: 12px;
    color: var(--jx-muted);
  }

  .jx-messages {
    padding: 0 14px 4px;
  }
  .jx-message {
    display: flex;
    gap: 8px;
    align-items: baseline;
    padding: 3px 0 3px 9px;
    margin: 2px 0;
    border-left: 3px solid var(--jx-border);
    font-size: 12px;
    color: var(--jx-muted);
    overflow-wrap: anywhere;
  }
  .jx-panel .jx-message code {
    padding: 0 3px;
    border-radius: 3px;
    background: color-mix(in srgb, var(--jx-text) 7%, transparent);
    color: inherit;
    font: 11.5px var(--jx-mono);
  }
  .jx-message[data-tone='warning'] {
    border-color: var(--jx-warning);
    color: var(--jx-text);
  }
  .jx-message[data-tone='error'] {
    border-color: var(--jx-error);
    color: var(--jx-error);
  }
  .jx-link {
    padding: 0;
    border: 0;
    background: none;
    color: var(--jx-accent) !important;
    font-size: 12px !important;
    cursor: pointer;
    white-space: nowrap;
  }
  .jx-link:hover {
    text-decoration: underline;
  }
  .jx-link:disabled {
    opacity: 0.5;
    cursor: default;
  }
  .jx-stacks {
    max-height: 240px;
    overflow: auto;
    margin: 0 14px 8px;
    padding: 8px 10px;
    border-radius: 4px;
    background: var(--jx-sunken);
    font: 12px / 1.45 var(--jx-mono);
    color: inherit;
  }

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

  .jx-metrics {
    position: relative;
    padding: 0 14px 6px;
  }
  .jx-toolbar {
    display: flex;
    justify-content: flex-end;
    align-items: center;
    gap: 8px;
    height: 26px;
    margin-bottom: 2px;
    font-size: 11.5px;
    color: var(--jx-muted);
  }
  .jx-toolbar button {
    height: 22px;
    padding: 0 8px;
    border: 1px solid var(--jx-border);
    border-radius: 4px;
    background: transparent;
    font-size: 11.5px;
    color: var(--jx-muted);
    cursor: pointer;
  }
  .jx-toolbar button:hover {
    color: var(--jx-text);
  }
  .jx-toolbar button[aria-pressed='true'] {
    color: var(--jx-text);
    background: color-mix(in srgb, var(--jx-accent) 14%, transparent);
    border-color: color-mix(in srgb, var(--jx-accent) 45%, transparent);
  }
  .jx-toolbar .jx-reset {
    color: var(--jx-accent);
    border-color: transparent;
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
  .jx-slider {
    display: inline-flex;
    align-items: center;
    gap: 6px;
  }
  .jx-slider input {
    width: 84px;
    height: 16px;
    margin: 0;
    accent-color: var(--jx-accent);
    cursor: pointer;
  }
  .jx-slider-value {
    width: 2.4em;
  }
  .jx-stage {
    position: relative;
    height: 236px;
  }
  .jx-plot,
  .jx-legend {
    position: absolute;
    inset: 0;
  }
  .jx-legend {
    pointer-events: none;
  }
  .jx-legend-row {
    position: absolute;
    display: flex;
    align-items: center;
    gap: 12px;
    min-width: 0;
    padding-right: 6px;
  }
  .jx-legend-title {
    flex: 0 1 auto;
    min-width: 2.5em;
    font-weight: 600;
    font-size: 12px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-legend-names {
    display: flex;
    gap: 2px;
    flex: 0 100 auto;
    min-width: 40%;
    overflow-x: auto;
    scrollbar-width: none;
    pointer-events: auto;
  }
  .jx-legend-name {
    display: inline-flex;
    align-items: center;
    gap: 5px;
    flex: none;
    padding: 1px 6px;
    border: 0;
    border-radius: 3px;
    background: none;
    font-size: 11.5px !important;
    color: var(--jx-muted) !important;
    cursor: pointer;
    white-space: nowrap;
  }
  .jx-legend-name:hover {
    background: color-mix(in srgb, var(--jx-text) 7%, transparent);
  }
  .jx-legend-name[aria-pressed='false'] {
    opacity: 0.4;
    text-decoration: line-through;
  }
  .jx-swatch {
    width: 10px;
    height: 3px;
    border-radius: 2px;
    flex: none;
  }
  .jx-legend-value {
    color: var(--jx-text);
  }
  .jx-bad {
    color: var(--jx-error);
    font-weight: 600;
  }
  .jx-chart-note {
    position: absolute;
    inset: 0;
    display: flex;
    align-items: center;
    justify-content: center;
    color: var(--jx-muted);
    border: 1px dashed var(--jx-border);
    border-radius: 4px;
  }
  .jx-chart-none .jx-stage {
    height: 40px !important;
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

  .jx-section {
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
  }
  .jx-section-head {
    display: flex;
    align-items: center;
    gap: 12px;
    padding: 5px 14px 3px;
    min-height: 28px;
  }
  .jx-section-title,
  .jx-details > summary {
    font-size: 12px;
    font-weight: 600;
    color: var(--jx-muted);
  }
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
  .jx-details {
    border-top: 1px solid color-mix(in srgb, var(--jx-border) 70%, transparent);
    padding: 0 14px;
  }
  .jx-details > summary {
    padding: 6px 0;
    cursor: pointer;
    width: max-content;
  }
  .jx-panel .jx-facts {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(280px, 1fr));
    gap: 12px 28px;
    margin: 2px 0 12px;
  }
  .jx-fact-title {
    font-size: 11px;
    font-weight: 600;
    color: var(--jx-muted);
    margin-bottom: 3px;
  }
  .jx-fact {
    display: flex;
    gap: 10px;
    font-size: 12px;
    padding: 1px 0;
  }
  .jx-fact dt {
    flex: 0 0 104px;
    color: var(--jx-muted);
    overflow-wrap: anywhere;
    font-weight: normal;
    margin: 0;
  }
  .jx-fact dt:empty {
    display: none;
  }
  .jx-fact dd {
    margin: 0;
    font-family: var(--jx-mono);
    overflow-wrap: anywhere;
    min-width: 0;
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

  .ansi-bold {
    font-weight: 700;
  }
  .ansi-dim {
    opacity: 0.7;
  }
  .ansi-italic {
    font-style: italic;
  }
  .ansi-underline {
    text-decoration: underline;
  }
  .ansi-strikethrough {
    text-decoration: line-through;
  }
  .ansi-hidden {
    visibility: hidden;
  }

  @container (max-width: 620px) {
    .jx-header {
      padding: 8px 10px 4px;
    }
    .jx-messages,
    .jx-metrics,
    .jx-system,
    .jx-section-head,
    .jx-log,
    .jx-details {
      padding-left: 10px;
      padding-right: 10px;
    }
    .jx-id {
      display: none;
    }
    .jx-panel .jx-facts {
      grid-template-columns: 1fr;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    .jx-panel *,
    .jx-panel *::before {
      animation: none !important;
      transition: none !important;
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
        `.jx-panel .ansi-${name} { color: var(--jx-ansi-${name}); }`,
        `.jx-panel .ansi-bright-${name} { color: var(--jx-ansi-bright-${name}); }`,
        `.jx-panel .ansi-${name}-bg, .jx-panel .ansi-bright-${name}-bg { background-color: color-mix(in srgb, var(--jx-ansi-${name}) 30%, transparent); }`,
      ];
    })
    .join('\n');
}
