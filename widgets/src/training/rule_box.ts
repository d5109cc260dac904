// A box under a plot's title: be told, or have the run stopped, when a metric does something. The engine holds the rules.

import { button, element, setHidden } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatValue } from '../core/format';
import { directionOf } from '../plot/directions';
import type { Rule } from '../wire';

/** A rule as it is asked for. */
export type NewRule = Pick<Rule, 'kind' | 'action' | 'metric'> &
  Partial<Pick<Rule, 'op' | 'value' | 'patience' | 'mode'>>;

type Condition = 'below' | 'above' | 'patience' | 'nan';

const CONDITIONS: readonly (readonly [Condition, string])[] = [
  ['below', 'is below'],
  ['above', 'is above'],
  ['patience', 'has not improved for'],
  ['nan', 'is not finite'],
];
const ACTIONS: readonly (readonly [Rule['action'], string])[] = [
  ['tell', 'Tell me when'],
  ['stop', 'Stop when'],
];
const PATIENCE = 10;

/** What a box needs. */
export interface RuleBoxSetup {
  /** Metrics of the plot, and their latest values. */
  metrics: readonly (readonly [key: string, last: number | null])[];
  rules: readonly Rule[];
  /** Hands a rule to the engine. */
  add(rule: NewRule): Promise<void>;
  /** The box was closed. */
  closed(): void;
}

/** Make the rule that a box asks for; says what is missing where there is none. */
export function ruleOf(
  metric: string,
  action: Rule['action'],
  condition: Condition,
  text: string
): NewRule | string {
  if (condition === 'nan') {
    return { kind: 'nan', action, metric };
  }
  const number = text.trim() === '' ? NaN : Number(text.trim());
  if (condition === 'patience') {
    const isCount = Number.isInteger(number) && number >= 1;
    const mode = directionOf(metric) ?? 'min';
    return isCount
      ? { kind: 'patience', action, metric, patience: number, mode }
      : 'Say after how many values.';
  }
  const op = condition === 'below' ? '<' : '>';
  return Number.isFinite(number)
    ? { kind: 'threshold', action, metric, op, value: number }
    : 'Give a number.';
}

/** Say a rule in words. */
export function ruleText({ kind, action, metric, op, value, patience }: Rule): string {
  const what = {
    threshold: `${metric} ${op} ${value === null ? '' : formatValue(value)}`,
    patience: `${metric} has not improved for ${patience} values`,
    nan: `${metric ?? 'any metric'} is not finite`,
  }[kind];
  return `${action === 'stop' ? 'Stop' : 'Tell me'} when ${what}`;
}

/** Make a box; it removes itself. */
export function ruleBox(setup: RuleBoxSetup, signal: AbortSignal): HTMLElement {
  const ended = new AbortController();
  signal.addEventListener('abort', () => ended.abort(), { signal: ended.signal });
  const action = select('What to do', ACTIONS);
  const metric = select(
    'Metric',
    setup.metrics.map(([key]) => [key, key] as const)
  );
  const condition = select('Condition', CONDITIONS);
  const value = element('input', {
    attrs: { type: 'text', inputmode: 'decimal', 'aria-label': 'Value', size: '8' },
  });
  const unit = element('span', { text: 'values' });
  const problem = element('div', { class: 'jx-rule-problem', attrs: { role: 'alert' } });
  const sync = () => {
    setHidden(value, condition.value === 'nan');
    setHidden(unit, condition.value !== 'patience');
    const last = setup.metrics.find(([key]) => key === metric.value)?.[1] ?? null;
    value.value = condition.value === 'patience' ? String(PATIENCE) : last === null ? '' : formatValue(last);
  };
  const close = () => {
    ended.abort();
    box.remove();
    setup.closed();
  };
  const add = async () => {
    const rule = ruleOf(
      metric.value,
      action.value as Rule['action'],
      condition.value as Condition,
      value.value
    );
    if (typeof rule === 'string') {
      problem.textContent = rule;
      value.focus();
      return;
    }
    submit.disabled = true;
    try {
      await setup.add(rule);
      close();
    } catch (error) {
      problem.textContent = messageOf(error);
      submit.disabled = false;
    }
  };
  const submit = button({ class: 'jx-button', text: 'Add' }, () => void add(), ended.signal);
  const line = element('div', { class: 'jx-rule-line' }, action, metric, condition, value, unit, submit);
  const box = element(
    'div',
    { class: 'jx-popup jx-rule-box', attrs: { role: 'dialog', 'aria-label': 'Rules of this plot' } },
    line,
    problem,
    ...setup.rules.map(rule =>
      element('div', {
        class: 'jx-rule-known',
        text: `${ruleText(rule)}${rule.fired === null ? '' : ` — ${rule.fired}`}`,
      })
    )
  );
  box.addEventListener('close', close, { signal: ended.signal });
  for (const each of [metric, condition]) {
    each.addEventListener('change', sync, { signal: ended.signal });
  }
  box.addEventListener(
    'keydown',
    event => {
      event.stopPropagation(); // the notebook has shortcuts of its own
      if (event.key === 'Escape') {
        close();
      } else if (event.key === 'Enter' && event.target === value) {
        event.preventDefault();
        void add();
      }
    },
    { signal: ended.signal }
  );
  document.addEventListener(
    'pointerdown',
    ({ target }) => box.contains(target as Node) || (target as Element).closest('.jx-watch') || close(),
    { signal: ended.signal }
  );
  sync();
  return box;
}

function select(label: string, options: readonly (readonly [string, string])[]): HTMLSelectElement {
  return element(
    'select',
    { attrs: { 'aria-label': label } },
    ...options.map(([value, text]) => element('option', { text, attrs: { value } }))
  );
}
