// The cells that use what the panel lists, and those of the first steps. Pure; knows no page.

import type { Target } from '../tabs/target';

/** What a cell is made for; with a metric, of a training. */
export interface Used extends Target {
  metric?: string;
}

/** Return the source of the cell that uses a training, a metric of it, a debug session or a model. */
export function sourceOf({ kind, id, name = '', metric }: Used): string {
  switch (kind) {
    case 'training': {
      const get = `jx.trainings.get(${quoted(id)})`;
      return metric === undefined
        ? `import jupyter_ext as jx\n\nrun = ${get}${comment(name)}\nrun.metrics()`
        : `import jupyter_ext as jx\n\n${get}.figure([${quoted(metric)}])${comment(name)}`;
    }
    case 'compare': {
      const ids = id.split(',').map(quoted).join(', ');
      return `import jupyter_ext as jx\n\nruns = [jx.trainings.get(id) for id in (${ids},)]\nruns`;
    }
    case 'session':
      return `import jupyter_ext as jx\n\nsession = jx.debug_sessions.get(${quoted(id)})${comment(name)}\nsession`;
    case 'model':
      return `import jupyter_ext as jx\n\nmodel = jx.models.get(${quoted(id)})\nmodel.load()`;
    case 'trainings':
      return 'import jupyter_ext as jx\n\njx.trainings.list()';
    case 'models':
      return 'import jupyter_ext as jx\n\njx.models.list()';
    default:
      kind satisfies never;
      return '';
  }
}

/** The cells of the first steps, one list for each section of the panel. */
export const FIRST_CELLS = {
  training: [
    '%load_ext jupyter_ext',
    `%%train first -i steps=200 -i lr=0.1
import torch
from jupyter_ext import log, progress

def train(steps: int, lr: float):
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    x = torch.randn(256, 8)
    y = x @ torch.randn(8, 1)
    for step in range(steps):
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log({"train/loss": loss.item()}, step=step)
        progress(step + 1, steps)`,
  ],
  session: [
    '%load_ext jupyter_ext',
    `%%debug_session first
import torch

class Net(torch.nn.Module):
    def __init__(self, hidden: int = 16):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1)
        )

    def evaluate(self, rows: int = 4):
        return self.layers(torch.randn(rows, 8))`,
    '%debug_call first.instantiate -p hidden=32',
  ],
  model: ['%load_ext jupyter_ext', '%model sentence-transformers/all-MiniLM-L6-v2'],
} as const satisfies Record<string, readonly string[]>;

function quoted(text: string): string {
  return JSON.stringify(text);
}

function comment(name: string): string {
  const plain = name.replace(/\s+/g, ' ').trim();
  return plain ? `  # ${plain}` : '';
}
