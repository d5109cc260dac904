import assert from 'node:assert/strict';
import { test } from 'node:test';
import schema from '../../../labextension/schema/plots.json';
import { BUILT_IN, isBuiltIn } from '../../../labextension/src/plots/built_in';
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

test('what the schema says of plots is what they are without it', () => {
  const { properties } = schema;
  assert.deepEqual(
    Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.default])),
    BUILT_IN
  );
  const { smoothing: weight, smoothingKind: kind, palette: _, ...rest } = BUILT_IN;
  assert.deepEqual({ ...defaultOptions(), ...rest, smoothing: { kind, weight } }, defaultOptions());
  assert.equal(isBuiltIn(BUILT_IN), true);
  assert.equal(isBuiltIn({ ...BUILT_IN, size: 'large' }), false);
});
