import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf } from '../src/chart/grouping';

test('names of one metric share a plot', () => {
  const cases: [string, string, string][] = [
    ['loss', 'loss', ''],
    ['train/loss', 'loss', 'train'],
    ['test/loss', 'loss', 'test'],
    ['val_loss', 'loss', 'val'],
    ['loss/train', 'loss', 'train'],
    ['train_loss_step', 'loss', 'train step'],
    ['eval/accuracy', 'accuracy', 'eval'],
    ['acc', 'accuracy', ''],
    ['lr', 'learning rate', ''],
    ['train/learning_rate', 'learning rate', 'train'],
    ['layers/0/grad_norm', 'layers/0/grad_norm', ''],
    ['train', 'train', ''],
    ['epoch', 'epoch', ''],
  ];
  for (const [key, group, split] of cases) {
    assert.deepEqual(nameOf(key), { group, split }, key);
  }
});
