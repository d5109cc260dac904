import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockHeights } from '../../src/log/block_heights';

test('blocks that were not measured have the height that is thought', () => {
  const heights = new BlockHeights(100);
  assert.equal(heights.top(5_000), 500_000);
  assert.equal(heights.at(250, 10), 2);
  assert.equal(heights.at(99_999, 10), 9);
  assert.equal(heights.at(0, 0), 0);
});

test('what is measured moves what is below it', () => {
  const heights = new BlockHeights(100);
  assert.equal(heights.measure(2, 150), 50);
  assert.equal(heights.measure(2, 140), -10);
  assert.deepEqual([heights.top(2), heights.top(3), heights.top(4)], [200, 340, 440]);
  assert.equal(heights.at(339, 10), 2);
  assert.equal(heights.at(340, 10), 3);
  heights.clear();
  assert.equal(heights.top(4), 400);
});
