// The look that all views share: colours, chips, bars, messages, errors, sections. Colours come from the
// host: JupyterLab's variables, else VS Code's, else plain ones.

import { CONTROL_STYLES } from './control_styles';
import { css, type StyleSheet } from './css';

export { css, type StyleSheet } from './css';

/** Add the shared styles and those of features once to the document or shadow root that an element is in. */
export function addStyles(inside: HTMLElement, ...sheets: readonly StyleSheet[]): void {
  const root = inside.getRootNode();
  const home = root instanceof ShadowRoot ? root : document.head;
  for (const { id, text } of [SHARED_STYLES, CONTROL_STYLES, ...sheets]) {
    if (!home.querySelector(`#${id}`)) {
      const style = document.createElement('style');
      style.id = id;
      style.textContent = text;
      home.append(style);
    }
  }
}

const SHARED_CSS = css`
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
    /* biome-ignore lint/complexity/noImportantStyles: beats every display of these sheets and of the page's own */
    display: none !important;
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
  .jx-metrics {
    position: relative;
    padding: 0 14px 6px;
  }
  .jx-panel .jx-bad {
    color: var(--jx-error);
    font-weight: 600;
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
  .jx-section-title {
    font-size: 12px;
    font-weight: 600;
    color: var(--jx-muted);
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
  @media (prefers-reduced-motion: reduce) {
    .jx-panel *,
    .jx-panel *::before {
      /* biome-ignore lint/complexity/noImportantStyles: beats the motion of every sheet, however specific its rule */
      animation: none !important;
      /* biome-ignore lint/complexity/noImportantStyles: as above */
      transition: none !important;
    }
  }
  @container (max-width: 620px) {
    .jx-header {
      padding: 8px 10px 4px;
    }
    .jx-messages,
    .jx-metrics,
    .jx-section-head {
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
`;

const SHARED_STYLES: StyleSheet = { id: 'jupyter-ext-style', text: SHARED_CSS };
