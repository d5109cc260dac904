import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpolated } from '../../src/chart/seek';

test('a place between two points is between their times', () => {
  const [steps, times] = [Float64Array.of(0, 10, 20), Float64Array.of(100, 110, 150)];
  assert.equal(interpolated(steps, times, 5), 105);
  assert.equal(interpolated(steps, times, 10), 110);
  assert.equal(interpolated(steps, times, 15), 130);
  assert.equal(interpolated(steps, times, -5), 100);
  assert.equal(interpolated(steps, times, 99), 150);
});

test('where nothing is known there is no place', () => {
  assert.equal(interpolated(new Float64Array(), new Float64Array(), 1), null);
  assert.equal(interpolated(Float64Array.of(1), Float64Array.of(2), Number.NaN), null);
});
