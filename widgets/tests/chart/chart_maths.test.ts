import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runColors } from '../../src/chart/run_colors';
import { meanCurve } from '../../src/plot/aggregate';
import { extentOf } from '../../src/plot/ranges';
import { Downsampler } from '../../src/series/downsampler';
import { type SmoothingKind, smooth } from '../../src/series/smoothing';
// Shared with tests/unit/client/test_curves.py: plotly in Python draws what the page draws.
import cases from './chart_maths.json';

type Numbers = readonly (number | null)[];

const numbers = (values: Numbers) => Float64Array.from(values, value => value ?? NaN);

function assertClose(found: Float64Array, expected: Numbers, what: string): void {
  assert.equal(found.length, expected.length, what);
  numbers(expected).forEach((value, i) => {
    const same = Number.isNaN(value) ? Number.isNaN(found[i]) : Math.abs(found[i] - value) < 1e-6;
    assert.ok(same, `${what}, ${i}: ${found[i]} is not ${value}`);
  });
}

test('curves are smoothed alike', () => {
  for (const { values, weights, kind, weight, smoothed } of cases.smoothing) {
    const found = smooth(numbers(values), numbers(weights), { kind: kind as SmoothingKind, weight });
    assertClose(found, smoothed, `${kind} ${weight}`);
  }
});

test('long curves are divided alike', () => {
  for (const { n, x, means, count } of cases.buckets) {
    const points = new Downsampler();
    for (let i = 0; i < n; i++) {
      points.push(i, Number(Math.sin(i / 50).toFixed(4)), 0);
    }
    const found = points.smoothed('step', { kind: 'ema', weight: 0 });
    assert.equal(found.x.length, count);
    assertClose(found.x.subarray(0, 3), x[0], `x of ${n}`);
    assertClose(found.x.subarray(-2), x[1], `x of ${n}`);
    assertClose(found.y.subarray(0, 3), means[0], `means of ${n}`);
    assertClose(found.y.subarray(-2), means[1], `means of ${n}`);
  }
});

test('runs are averaged alike', () => {
  for (const { curves, x, mean, low, high } of cases.means) {
    const found = meanCurve(curves.map(([xs, ys]) => ({ x: numbers(xs), y: numbers(ys) })));
    assertClose(found.x, x, 'x');
    assertClose(found.mean, mean, 'mean');
    assertClose(found.low, low, 'low');
    assertClose(found.high, high, 'high');
  }
});

test('axes end alike', () => {
  for (const { values, log, ignore_outliers, extent } of cases.ranges) {
    const seen = log ? values.filter(value => value > 0).map(Math.log10) : values;
    const found = extentOf(seen, log, ignore_outliers);
    assert.equal(found === null, extent === null);
    if (found && extent) {
      const size = Math.abs(extent[1]) + 1e-12;
      assert.ok(Math.abs(found.low - extent[0]) < 1e-9 * size, `${found.low} is not ${extent[0]}`);
      assert.ok(Math.abs(found.high - extent[1]) < 1e-9 * size, `${found.high} is not ${extent[1]}`);
    }
  }
});

test('runs have the same colours', () => {
  for (const { ids, colours } of cases.colours) {
    const found = runColors(ids, 7);
    assert.deepEqual(
      ids.map(id => found.get(id)),
      colours
    );
  }
});
