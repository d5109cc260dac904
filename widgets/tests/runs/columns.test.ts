import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLowerBetter } from '../../src/plot/directions';
import { columnsOf, defaultMetric, differingInputs, edgeOf, metricKeys } from '../../src/runs/columns';
import type { Training } from '../../src/wire';

const run = (input: Record<string, unknown>, last: Record<string, number> = {}): Training =>
  ({
    id: 'a',
    input,
    created_at: '2026-01-01T00:00:00Z',
    started_at: '2026-01-01T00:00:01Z',
    completed_at: '2026-01-01T00:02:01Z',
    last: Object.fromEntries(Object.entries(last).map(([key, value]) => [key, { step: 1, value, time: 0 }])),
    extremes: Object.fromEntries(
      Object.entries(last).map(([key, value]) => [key, { min: value - 1, max: value + 1 }])
    ),
  }) as unknown as Training;

test('only inputs that differ have a column, also those that some lack', () => {
  const runs = [run({ lr: 0.1, epochs: 5, layers: [1] }), run({ lr: 0.2, epochs: 5, layers: [1], seed: 3 })];
  assert.deepEqual(differingInputs(runs), ['lr', 'seed']);
  assert.deepEqual(differingInputs([runs[0]]), []);
});

test('the words of a metric say which end is its best', () => {
  for (const key of ['loss', 'train/loss', 'val_loss', 'eval.Perplexity', 'mse', 'word_error', 'L1Loss']) {
    assert.ok(isLowerBetter(key), key);
  }
  for (const key of ['accuracy', 'f1', 'lossless_ratio', 'reward', 'terror_index']) {
    assert.ok(!isLowerBetter(key), key);
  }
  assert.equal(edgeOf('loss', 'auto'), 'min');
  assert.equal(edgeOf('loss', 'max'), 'max');
});

test('a table begins with the metric that most people look for', () => {
  const keys = metricKeys([
    run({}, { lr: 1, 'train/loss': 2 }),
    run({}, { 'train/loss': 1, 'test/loss': 2, 'test/accuracy': 1 }),
  ]);
  assert.equal(keys[0], 'train/loss', 'those of most runs first');
  assert.equal(defaultMetric(keys), 'test/loss');
  assert.equal(defaultMetric([]), null);
});

test('cells say how old, how long, which inputs, the last and the best value', () => {
  const runs = [run({ lr: 0.1 + 0.2 }, { loss: 0.5 }), run({ lr: 1 }, {})];
  const now = Date.parse('2026-01-01T03:00:00Z');
  const columns = columnsOf(runs, 'loss', 'auto');
  assert.deepEqual(
    columns.map(column => column.sort),
    ['created_at', 'duration', 'input:lr', 'last:loss', 'min:loss']
  );
  assert.deepEqual(
    columns.map(column => column.text(runs[0], now)),
    ['3 h', '2 min 00 s', '0.3', '0.5', '-0.5']
  );
  assert.deepEqual(columns.map(column => column.text(runs[1], now)).slice(3), ['', '']);
});
