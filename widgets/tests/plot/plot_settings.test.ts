import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultOptions, parseOptions, setDefaultOptions } from '../../src/plot/options';

test('settings are what a plot begins with, and what was chosen in it goes before', () => {
  setDefaultOptions({ logY: true, x: 'time', smoothing: { kind: 'mean', weight: 0.5 } });
  assert.equal(defaultOptions().logY, true);
  assert.equal(parseOptions(null).x, 'time');
  assert.equal(parseOptions('{"x": "step", "logY": false}').logY, false);
  const changed = defaultOptions();
  changed.smoothing.weight = 0.9;
  assert.equal(defaultOptions().smoothing.weight, 0.5, 'what is changed in one plot stays there');
  setDefaultOptions({});
  assert.equal(defaultOptions().logY, false);
});
