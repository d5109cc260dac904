// What a tab shows, and how that is written in a URL and in the saved layout. Pure; knows no page.

/** What can be opened in a tab. */
export type TargetKind = 'training' | 'compare' | 'trainings' | 'session' | 'model' | 'models';

/** One thing to show. */
export interface Target {
  kind: TargetKind;
  /** Of what: empty for a list, several ids with commas between them for a comparison. */
  id: string;
  /** What to call the tab until more is known. */
  name?: string;
}

/** The parameter of a page's URL that opens a tab: `…/lab?jupyter-ext=training:<id>`. */
export const URL_PARAMETER = 'jupyter-ext';

const LISTS: readonly string[] = ['trainings', 'models'];
const KINDS: readonly string[] = ['training', 'compare', 'session', 'model', ...LISTS];

/** Return the text that stands for a target: what is the same is shown once. */
export function keyOf({ kind, id }: Target): string {
  return LISTS.includes(kind) ? kind : `${kind}:${id}`;
}

/** Read `training:<id>`, `model:hub:org/name`, `models`; `null` for what is none of ours. */
export function parseTarget(text: string): Target | null {
  const [, kind, id = ''] = /^([a-z]+)(?::(.+))?$/s.exec(text) ?? [];
  if (kind === undefined || !KINDS.includes(kind) || LISTS.includes(kind) !== (id === '')) {
    return null;
  }
  return { kind: kind as TargetKind, id };
}

/** Return what a command was asked to open, or `null`. */
export function targetOf(args: Readonly<Record<string, unknown>>): Target | null {
  const { kind, id, name } = args;
  const target = typeof kind === 'string' ? parseTarget(id ? `${kind}:${String(id)}` : kind) : null;
  return target && typeof name === 'string' ? { ...target, name } : target;
}

/** Return the beginning of an id or the last part of a model's, for a tab that has no name yet. */
export function shortName({ kind, id, name }: Target): string {
  if (name) {
    return name;
  }
  return kind === 'model' ? (id.split('/').pop() ?? id) : id.slice(0, 10);
}
