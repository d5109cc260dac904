// The control of each kind of input. What it holds goes to the engine as it is, which says what it means.

import { element } from '../core/dom';
import { textOf } from '../runs/rerun_fields';
import type { LaunchField } from '../wire';
import { type Files, pathTools } from './path_box';
import { makeSlider } from './slider';

/** A drawn input. */
export interface Control {
  field: LaunchField;
  /** Gets the focus, and says what it is to readers of the screen. */
  main: HTMLElement;
  /** All of its row but the label, in order. */
  parts: readonly HTMLElement[];
  /** What it holds now, or `undefined` where nothing was chosen. */
  holds(): unknown;
}

const MAX_ROWS = 6;

export function makeControl(field: LaunchField, files: Files, signal: AbortSignal): Control {
  switch (field.kind) {
    case 'choice':
      return choice(field);
    case 'choices':
      return choices(field);
    case 'checkbox':
      return checkbox(field);
    case 'text':
    case 'list':
    case 'secret':
    case 'path':
    case 'paths':
      return box(field, files, signal);
  }
}

function choice(field: LaunchField): Control {
  const values = field.nullable ? [null, ...field.choices] : field.choices;
  const main = element('select', { title: field.tooltip });
  const start = values.indexOf(field.value);
  if (start < 0) {
    main.append(element('option', { text: 'choose…', attrs: { value: '' } }));
  }
  main.append(
    ...values.map((value, i) =>
      element('option', { text: value === null ? 'None' : nameOf(value), attrs: { value: String(i) } })
    )
  );
  main.value = start < 0 ? '' : String(start);
  return {
    field,
    main,
    parts: [main],
    holds: () => (main.value === '' ? undefined : values[Number(main.value)]),
  };
}

function choices(field: LaunchField): Control {
  const main = element('select', { title: field.tooltip });
  main.multiple = true;
  main.size = Math.min(MAX_ROWS, field.choices.length);
  const chosen = Array.isArray(field.value) ? (field.value as unknown[]) : [];
  field.choices.forEach((value, i) => {
    const option = element('option', { text: nameOf(value), attrs: { value: String(i) } });
    option.selected = chosen.includes(value);
    main.append(option);
  });
  return {
    field,
    main,
    parts: [main],
    holds: () => [...main.selectedOptions].map(option => field.choices[Number(option.value)]),
  };
}

function checkbox(field: LaunchField): Control {
  const main = element('input', { title: field.tooltip, attrs: { type: 'checkbox' } });
  main.checked = field.value === true;
  return { field, main, parts: [main], holds: () => main.checked };
}

function box(field: LaunchField, files: Files, signal: AbortSignal): Control {
  const isSecret = field.kind === 'secret';
  const main = element('input', {
    title: field.tooltip,
    attrs: {
      type: isSecret ? 'password' : 'text',
      placeholder: field.placeholder,
      spellcheck: 'false',
      autocomplete: isSecret ? 'new-password' : 'off',
    },
  });
  main.value = textOf(field.value);
  const isPath = field.kind === 'path' || field.kind === 'paths';
  const parts: HTMLElement[] = [main];
  if (field.slider) {
    parts.push(makeSlider(field.slider, main, signal));
  } else if (isPath) {
    parts.push(...pathTools(field, main, files, signal));
  }
  return { field, main, parts, holds: () => main.value };
}

function nameOf(value: unknown): string {
  return value === true ? 'True' : value === false ? 'False' : textOf(value);
}
