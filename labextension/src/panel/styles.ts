// What the side panel looks like beyond the shared styles.

import { css, type StyleSheet } from '../../../widgets/src/core/styles';

const CSS = css`
  .jx-panel.jx-side {
    display: flex;
    flex-direction: column;
    height: 100%;
    max-width: none;
    margin: 0;
    border: 0;
    border-radius: 0;
    font-size: 13px;
  }
  .jx-side-engine {
    display: flex;
    flex: none;
    align-items: center;
    gap: 8px;
    min-height: 36px;
    padding: 4px 12px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-side-state {
    flex: 1 1 auto;
    display: inline-flex;
    align-items: center;
    gap: 8px;
    min-width: 0;
  }
  .jx-side-state::before {
    content: '';
    flex: none;
    width: 8px;
    height: 8px;
    border-radius: 50%;
    background: color-mix(in srgb, var(--jx-muted) 55%, transparent);
  }
  .jx-side-state[data-state='live']::before {
    background: var(--jx-success);
  }
  .jx-side-state:is([data-state='starting'], [data-state='reconnecting'])::before {
    background: var(--jx-warning);
  }
  .jx-side-search {
    display: flex;
    flex: none;
    gap: 6px;
    padding: 0 12px 10px;
    border-bottom: 1px solid var(--jx-border);
  }
  .jx-side-search :is(input, select) {
    height: 28px;
    padding: 0 8px;
    border: 1px solid var(--jx-border);
    border-radius: 3px;
    background: var(--jx-surface);
    color: var(--jx-text);
    font: 12px var(--jx-font);
  }
  .jx-side-search input {
    flex: 1 1 auto;
    min-width: 0;
  }
  .jx-side-search select {
    flex: none;
    padding: 0 4px;
  }
  .jx-side-search :is(input, select):focus-visible {
    outline: 2px solid var(--jx-accent);
    outline-offset: -1px;
  }
  .jx-side-sections {
    flex: 1 1 auto;
    overflow-y: auto;
    overflow-x: hidden;
  }
  .jx-side-section {
    border-bottom: 1px solid var(--jx-border);
  }
  .jx-panel .jx-side-head {
    position: sticky;
    top: 0;
    z-index: 1;
    display: flex;
    align-items: center;
    margin: 0;
    padding: 0 6px 0 0;
    background: var(--jx-surface);
    font-size: 12px;
  }
  .jx-panel .jx-side-fold {
    flex: 1 1 auto;
    display: flex;
    align-items: center;
    gap: 6px;
    min-width: 0;
    height: 32px;
    padding: 0 8px;
    border: 0;
    background: none;
    cursor: pointer;
    font-weight: 600;
    text-align: left;
  }
  .jx-side-fold:hover,
  .jx-panel .jx-side-open:hover {
    background: color-mix(in srgb, var(--jx-text) 6%, transparent);
  }
  .jx-panel .jx-side-fold:focus-visible {
    outline-offset: -2px;
  }
  .jx-side-caret {
    flex: none;
    width: 0;
    height: 0;
    border: 4px solid transparent;
    border-left: 5px solid var(--jx-muted);
    border-right: 0;
    transition: transform 0.12s;
  }
  .jx-side-fold[aria-expanded='true'] .jx-side-caret {
    transform: rotate(90deg);
  }
  .jx-side-icon {
    display: inline-flex;
    flex: none;
  }
  .jx-side-title {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .jx-side-count {
    margin-left: auto;
    padding-left: 8px;
    font-weight: 400;
    color: var(--jx-muted);
    white-space: nowrap;
  }
  .jx-panel .jx-side-open {
    flex: none;
    width: 26px;
    height: 26px;
    border: 0;
    border-radius: 3px;
    background: none;
    color: var(--jx-muted);
    cursor: pointer;
    font-size: 14px;
    line-height: 1;
  }
  .jx-side-body {
    padding-bottom: 6px;
  }
  .jx-panel .jx-side-list {
    list-style: none;
    margin: 0;
    padding: 0;
  }
  .jx-panel .jx-side-row {
    position: relative;
    display: flex;
    align-items: stretch;
    margin: 0;
  }
  .jx-side-row:hover,
  .jx-side-row:focus-within {
    background: color-mix(in srgb, var(--jx-text) 6%, transparent);
  }
  .jx-panel .jx-side-main {
    flex: 1 1 auto;
    display: block;
    min-width: 0;
    padding: 5px 4px 7px 13px;
    border: 0;
    background: none;
    cursor: pointer;
    text-align: left;
  }
  .jx-panel .jx-side-main:focus-visible,
  .jx-panel .jx-side-menu:focus-visible {
    outline: 2px solid var(--jx-accent);
    outline-offset: -2px;
  }
  .jx-side-line {
    display: flex;
    align-items: center;
    gap: 8px;
    min-width: 0;
    height: 20px;
  }
  .jx-side-dot {
    --jx-tone: color-mix(in srgb, var(--jx-muted) 55%, transparent);
    flex: none;
    width: 8px;
    height: 8px;
    border-radius: 50%;
    background: var(--jx-tone);
  }
  .jx-side-row:is([data-status='processing'], [data-status='starting']) .jx-side-dot {
    --jx-tone: var(--jx-accent);
    animation: jx-pulse 1.8s ease-in-out infinite;
  }
  .jx-side-row[data-status='stopping'] .jx-side-dot {
    --jx-tone: var(--jx-warning);
  }
  .jx-side-row[data-status='succeeded'] .jx-side-dot {
    --jx-tone: var(--jx-success);
  }
  .jx-side-row[data-status='failed'] .jx-side-dot {
    --jx-tone: var(--jx-error);
  }
  .jx-side-row:is([data-status='canceled'], [data-status='idle']) .jx-side-dot {
    background: none;
    box-shadow: inset 0 0 0 1.5px var(--jx-muted);
  }
  .jx-side-name {
    flex: 1 1 auto;
    min-width: 0;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    font-weight: 500;
  }
  .jx-side-value {
    flex: none;
    font-size: 12px;
    font-variant-numeric: tabular-nums;
  }
  .jx-side-second {
    padding-left: 16px;
  }
  .jx-side-facts {
    flex: 1 1 auto;
    min-width: 0;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    font-size: 11.5px;
    color: var(--jx-muted);
  }
  .jx-side-curve {
    flex: none;
    width: 48px;
    height: 18px;
    overflow: visible;
  }
  .jx-side-curve[hidden] {
    display: none;
  }
  .jx-side-curve path {
    fill: none;
    stroke: color-mix(in srgb, var(--jx-accent) 85%, var(--jx-text));
    stroke-width: 1.4;
    stroke-linejoin: round;
    stroke-linecap: round;
  }
  .jx-side-row:is([data-status='succeeded'], [data-status='canceled']) .jx-side-curve path {
    stroke: var(--jx-muted);
  }
  .jx-side-row[data-status='failed'] .jx-side-curve path {
    stroke: var(--jx-error);
  }
  .jx-panel .jx-side-menu {
    flex: none;
    align-self: center;
    width: 24px;
    height: 28px;
    margin-right: 4px;
    padding: 0;
    border: 0;
    border-radius: 3px;
    background: none;
    color: var(--jx-muted);
    cursor: pointer;
    font-size: 15px;
    line-height: 1;
    opacity: 0;
  }
  .jx-side-row:is(:hover, :focus-within) .jx-side-menu {
    opacity: 1;
  }
  .jx-panel .jx-side-menu:hover {
    background: color-mix(in srgb, var(--jx-text) 9%, transparent);
  }
  .jx-side-bar {
    position: absolute;
    right: 12px;
    bottom: 2px;
    left: 29px;
    height: 2px;
    border-radius: 1px;
    overflow: hidden;
    background: color-mix(in srgb, var(--jx-text) 10%, transparent);
  }
  .jx-side-bar span {
    display: block;
    height: 100%;
    background: var(--jx-accent);
    transition: width 0.25s linear;
  }
  .jx-side-bar-unknown span {
    width: 22%;
    animation: jx-slide 1.8s ease-in-out infinite alternate;
  }
  .jx-side-empty {
    padding: 2px 14px 8px 29px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-side-empty p {
    margin: 0 0 8px;
    line-height: 1.45;
  }
  .jx-side-none {
    padding: 2px 14px 6px 29px;
    font-size: 12px;
    color: var(--jx-muted);
  }
  .jx-panel .jx-side-more {
    margin: 4px 0 2px 29px;
  }
  @media (prefers-reduced-motion: reduce) {
    .jx-side :is(.jx-side-dot, .jx-side-bar span) {
      animation: none;
    }
  }
`;

export const PANEL_STYLES: StyleSheet = { id: 'jupyter-ext-side-style', text: CSS };
