// Which metrics share a plot: `train/loss`, `val_loss` and `loss` are all "loss", told apart by their split.

/** A key cut into what is measured and on which data. */
export interface MetricName {
  /** What is measured, such as `loss`; names the plot. */
  group: string;
  /** On which data, such as `train`; empty when the key does not say. */
  split: string;
}

const SPLITS: ReadonlySet<string> = new Set([
  'train',
  'training',
  'val',
  'valid',
  'validation',
  'test',
  'testing',
  'eval',
  'dev',
]);

/** Lightning's reductions of the same metric. */
const REDUCTIONS: ReadonlySet<string> = new Set(['step', 'epoch']);

const SPELLED: Readonly<Record<string, string>> = {
  acc: 'accuracy',
  lr: 'learning rate',
  learning_rate: 'learning rate',
};

/** Plots in the order in which most people look at them; all others follow as they came. */
const ORDER = ['loss', 'accuracy'];

/** Cut a key into group and split. */
export function nameOf(key: string): MetricName {
  const parts = key.split(/([/_.\-: ])/);
  const words = parts.filter((_, i) => i % 2 === 0);
  const isSplit = (i: number) => SPLITS.has(words[i].toLowerCase());
  const last = words.length - 1;
  let from = 0;
  let to = last;
  const split: string[] = [];
  if (last > 0 && isSplit(0)) {
    split.push(words[0].toLowerCase());
    from = 1;
  } else if (last > 0 && isSplit(last)) {
    split.push(words[last].toLowerCase());
    to = last - 1;
  }
  if (to > from && REDUCTIONS.has(words[to].toLowerCase()) && split.length > 0) {
    split.push(words[to].toLowerCase());
    to -= 1;
  }
  const group = parts.slice(2 * from, 2 * to + 1).join('');
  return { group: SPELLED[group.toLowerCase()] ?? group, split: split.join(' ') };
}

/** Order groups for drawing. */
export function orderGroups(groups: readonly string[]): string[] {
  const rank = (group: string) => {
    const at = ORDER.indexOf(group.toLowerCase());
    return at < 0 ? ORDER.length : at;
  };
  return [...groups].sort((a, b) => rank(a) - rank(b));
}

/** Which colour a split asks for; splits keep theirs from plot to plot. */
export function preferredColor(split: string): number {
  const word = split.split(' ')[0];
  if (word === '' || word.startsWith('train')) {
    return 0;
  }
  return SPLITS.has(word) ? 1 : 2;
}
