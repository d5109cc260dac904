import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Downsampler } from '../../src/series/downsampler';
import { MetricSeries } from '../../src/series/series_store';

function filled(n: number, value: (i: number) => number, cap = 100): Downsampler {
  const points = new Downsampler(cap);
  for (let i = 0; i < n; i++) {
    points.push(i, value(i), 1000 + i);
  }
  return points;
}

test('a short series is kept whole and in order', () => {
  const { x, y } = filled(100, i => Math.sin(i)).curve('step');
  assert.deepEqual(
    [...x],
    Array.from({ length: 100 }, (_, i) => i)
  );
  assert.deepEqual(
    [...y],
    Array.from({ length: 100 }, (_, i) => Math.sin(i))
  );
});

test('a long series stays bounded, ordered and keeps its spikes and both ends', () => {
  for (const n of [101, 257, 5_000, 100_000]) {
    const spike = Math.floor(n / 3);
    const points = filled(n, i => (i === spike ? 99 : i === spike + 7 ? -99 : Math.sin(i / 50)));
    const { x, y } = points.curve('step');
    assert.ok(x.length <= 2 * 100 + 2, `${n}: ${x.length}`);
    assert.ok(x.length >= 50);
    assert.equal(y[x.indexOf(spike)], 99);
    assert.equal(y[x.indexOf(spike + 7)], -99);
    assert.equal(x[0], 0);
    assert.equal(x[x.length - 1], n - 1);
    assert.ok(
      x.every((value, i) => i === 0 || value > x[i - 1]),
      'no point twice, none out of order'
    );
  }
});

test('only real points are drawn', () => {
  const value = (i: number) => Math.sin(i * 12.9898) * 43758.5453;
  const { x, y } = filled(10_000, value).curve('step');
  for (const [i, step] of x.entries()) {
    assert.equal(y[i], value(step));
  }
});

test('values that are not finite become gaps and spoil nothing', () => {
  const { y } = filled(10_000, i => (i >= 5_000 && i < 7_000 ? NaN : i === 8_000 ? Infinity : 1)).curve(
    'step'
  );
  assert.ok(y.some(Number.isNaN));
  assert.ok(y.every(value => Number.isNaN(value) || value === 1));
  assert.deepEqual(
    [
      ...filled(3, () => NaN)
        .curve('step')
        .y.filter(Number.isFinite),
    ],
    []
  );
});

test('decimated columns count for what they stand for', () => {
  const points = new Downsampler(100);
  for (let i = 0; i < 160; i++) {
    points.push(i * 1000, 1, i, 1000);
  }
  for (let i = 0; i < 1000; i++) {
    points.push(160_000 + i, 2, 160 + i);
  }
  const { x } = points.curve('step');
  assert.equal(points.total, 161_000);
  assert.ok(x.filter(step => step < 160_000).length > 40, 'the past is not squeezed by a few new points');
});

test('an empty series and a single point can be drawn', () => {
  assert.equal(new Downsampler().curve('step').x.length, 0);
  assert.deepEqual([...filled(1, () => 5).curve('time', 1000).x], [0]);
});

test('the moving average is unbiased at its start and follows the curve', () => {
  const { y } = filled(50, () => 3).smoothed('step', { kind: 'ema', weight: 0.9 });
  for (const value of y) {
    assert.ok(Math.abs(value - 3) < 1e-9);
  }
});

test('a series says since when it is not finite', () => {
  const series = new MetricSeries('loss', '0');
  const block = (from: number, values: number[]) => ({
    index: 0,
    steps: Float64Array.from(values, (_, i) => from + i),
    values: Float64Array.from(values),
    times: Float64Array.from(values, (_, i) => i),
  });
  series.append(block(510, [1, 2]));
  assert.equal(series.warning, null);
  series.append(block(512, [NaN, NaN]));
  assert.equal(series.warning, 'loss is NaN since step 512');
  series.append(block(514, [1]));
  assert.equal(series.warning, 'loss had 2 values that are not finite, the first at step 512');
});
