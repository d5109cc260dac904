import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inputEffects, metricOf, spearman } from '../../src/runs/input_effects';
import type { Training } from '../../src/wire';

const run = (id: string, input: Record<string, unknown>, loss: number | 'NaN'): Training =>
  ({
    id,
    input,
    last: { loss: { value: loss, step: 1, time: 1 } },
    extremes: loss === 'NaN' ? {} : { loss: { min: loss - 1, max: loss + 1 } },
  }) as unknown as Training;

test('a correlation is of ranks, shares ties and says nothing of too few', () => {
  assert.equal(spearman([1, 2, 3, 4], [1, 10, 100, 1000]), 1);
  assert.equal(spearman([1, 2, 3], [3, 2, 1]), -1);
  assert.equal(spearman([1, 2], [1, 2]), null);
  assert.equal(spearman([1, 1, 1], [1, 2, 3]), null);
  assert.equal(spearman([1, 2, NaN, 3], [1, 2, 9, 3]), 1);
  assert.ok(Math.abs((spearman([1, 2, 2, 3], [1, 3, 2, 4]) ?? 0) - 0.9486833) < 1e-6);
});

test('the input that goes with the metric comes first', () => {
  const runs = [
    run('a', { lr: 1e-4, width: 8, kind: 'sgd', same: 1 }, 4),
    run('b', { lr: 1e-3, width: 64, kind: 'adam', same: 1 }, 3),
    run('c', { lr: 1e-2, width: 16, kind: 'sgd', same: 1 }, 2),
    run('d', { lr: 1e-1, width: 32, kind: 'adam', same: 1 }, 'NaN'),
  ];
  const effects = inputEffects(runs, training => metricOf(training, 'loss', null));
  assert.deepEqual(
    effects.map(({ name }) => name),
    ['lr', 'width', 'kind']
  );
  const [lr, width, kind] = effects;
  assert.equal(lr.correlation, -1);
  assert.ok(lr.log);
  assert.deepEqual(lr.ends, ['0.0001', '0.1']);
  assert.deepEqual(
    lr.points.map(({ place }) => Math.round(3 * place)),
    [0, 1, 2, 3]
  );
  assert.equal(width.points[0].place, 0);
  assert.deepEqual([kind.correlation, kind.ends], [null, ['adam', 'sgd']]);
  assert.equal(metricOf(runs[0], 'loss', 'min'), 3);
  assert.ok(Number.isNaN(metricOf(runs[3], 'loss', null)));
});
