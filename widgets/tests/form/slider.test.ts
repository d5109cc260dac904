import assert from 'node:assert/strict';
import { test } from 'node:test';
import { positionOf, textOfNumber, valueAt } from '../../src/form/slider';
import type { LaunchSlider } from '../../src/wire';

const EPOCHS: LaunchSlider = { low: 1, high: 9, step: 1, scale: 'integer' };
const RATE: LaunchSlider = { low: -6, high: 0, step: 0.05, scale: 'log' };
const MOMENTUM: LaunchSlider = { low: 0, high: 1, step: 0.005, scale: 'linear' };

test('the middle of a slider is the middle of its scale', () => {
  assert.equal(valueAt(EPOCHS, 0.5), 5);
  assert.equal(textOfNumber(RATE, valueAt(RATE, 0.5)), '0.001');
  assert.equal(valueAt(MOMENTUM, 0.5), 0.5);
});

test('what is written into the box is read back at the same place', () => {
  for (const spec of [EPOCHS, RATE, MOMENTUM]) {
    for (const position of [0, 0.25, 0.5, 0.75, 1]) {
      const text = textOfNumber(spec, valueAt(spec, position));
      const back = positionOf(spec, Number(text));
      assert.ok(back !== null && Math.abs(back - position) < 0.02, `${text} is at ${back}, not ${position}`);
    }
  }
});

test('a number that is not on the slider has no place there', () => {
  assert.equal(positionOf(EPOCHS, 12), null);
  assert.equal(positionOf(RATE, 0), null);
  assert.equal(positionOf(RATE, -1), null);
  assert.equal(positionOf(MOMENTUM, Number('many')), null);
});

test('numbers are written as a person would', () => {
  assert.equal(textOfNumber(RATE, 1.0000001e-5), '1e-5');
  assert.equal(textOfNumber(RATE, 0.02511), '0.025');
  assert.equal(textOfNumber(MOMENTUM, 0.905), '0.905');
});
