import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf } from '../../src/chart/grouping';
// Shared with tests/unit/client/test_snapshot_svg.py: the saved picture groups as the panel does.
import cases from './metric_names.json';

test('names of one metric share a plot', () => {
  for (const [key, group, split] of cases) {
    assert.deepEqual(nameOf(key), { group, split }, key);
  }
});
