// What of a session can be called. Pure; knows no page.

import type { DebugSession } from '../wire';
import type { ValueTree } from './values';

/** A call that a session offers now. */
export interface OfferedCall {
  key: string;
  label: string;
  op: 'instantiate' | 'train' | 'evaluate' | 'call';
  params: Readonly<Record<string, string>>;
}

const OPS: readonly string[] = ['train', 'evaluate'];
/** Of a model that is a module: what its author did not write is left to cells. */
const MAX_METHODS = 40;

/** List what can be called: the methods of the newest model first, a new model, functions. */
export function callsOf({ entry, models, functions }: DebugSession): OfferedCall[] {
  const newestFirst = [...models].reverse();
  const ofModels = newestFirst.flatMap(({ id, type, methods }): OfferedCall[] =>
    methods.slice(0, MAX_METHODS).map(method => ({
      key: `${id} ${method}`,
      label: models.length > 1 ? `${type} ${id}: ${method}` : method,
      op: OPS.includes(method) ? (method as OfferedCall['op']) : 'call',
      params: { model_id: id, ...(!OPS.includes(method) && { method }) },
    }))
  );
  const make: OfferedCall[] = entry
    ? [{ key: 'instantiate', label: `new ${entry.name}`, op: 'instantiate', params: {} }]
    : [];
  const ofCode = functions.map(
    (method): OfferedCall => ({
      key: `function ${method}`,
      label: `${method}()`,
      op: 'call',
      params: { method },
    })
  );
  return models.length > 0 ? [...ofModels, ...make, ...ofCode] : [...make, ...ofCode];
}

/** Say in one line what a call gave. */
export function answerText(result: {
  model_id?: string;
  training_id?: string;
  value?: ValueTree;
  code?: string;
}): string {
  if (result.model_id) {
    return `made model ${result.model_id}`;
  }
  if (result.training_id) {
    return `training ${result.training_id} has begun`;
  }
  return textOf(result.value ?? null).slice(0, 500);
}

function textOf(tree: ValueTree): string {
  if (tree === null || typeof tree !== 'object') {
    return tree === null ? 'None' : typeof tree === 'string' ? JSON.stringify(tree) : pythonOf(tree);
  }
  const items = Array.isArray(tree.v) ? (tree.v as ValueTree[]) : [];
  switch (tree.k) {
    case 'float':
    case 'int':
      return String(tree.v);
    case 'list':
      return `[${items.map(textOf).join(', ')}]`;
    case 'tuple':
      return `(${items.map(textOf).join(', ')})`;
    case 'dict':
      return `{${(tree.v as [ValueTree, ValueTree][]).map(([key, one]) => `${textOf(key)}: ${textOf(one)}`).join(', ')}}`;
    default:
      return arrayText(tree);
  }
}

function arrayText({ k, shape, dtype }: { k: string; shape?: unknown; dtype?: unknown }): string {
  return Array.isArray(shape) ? `${k} ${shape.join(' × ')} ${String(dtype ?? '')}`.trim() : k;
}

function pythonOf(value: boolean | number): string {
  return value === true ? 'True' : value === false ? 'False' : String(value);
}
